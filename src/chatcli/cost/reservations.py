"""Amounts set aside for requests in flight, over all running chatclis.

Each is a file in one folder, locked by its process for as long as the request runs: the operating system drops the lock
with the process, however that ends, so that nothing stays reserved for one that was killed. The sum is computed and
added to under one lock for all.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chatcli.storage.file_lock import lock, try_to_lock
from chatcli.storage.private_files import create, make_folder, open_existing, open_for_append, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDER_NAME: Final = "reserved"

_LOCK: Final = "lock"
_SUFFIX: Final = ".json"
_LASTS: Final = timedelta(days=1)
"""No request runs longer: a lock that is held then is of a process that is suspended, or of another machine."""
_MOST_BYTES: Final = 10_000
_PATIENCE_S: Final = 5.0


class Reservation:
    """An amount set aside until ``release`` or the end of this process; a child that it forks sets nothing aside."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        _held.add(self)

    def release(self) -> None:
        """Set the amount free; calling it again does nothing."""
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        _held.discard(self)
        # Whoever sums up next deletes a file that cannot be deleted now.
        with suppress(OSError):
            self._path.unlink()

    def leave_to_parent(self) -> None:
        """Close the file in a forked child, whose descriptor would keep it locked when the parent has ended."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _held.discard(self)


_held: Final[set[Reservation]] = set()
_locks: Final[set[int]] = set()
"""The descriptors of ``Reservations.locked`` at this moment."""


def _leave_all_to_parent() -> None:
    for reservation in list(_held):
        reservation.leave_to_parent()
    while _locks:
        os.close(_locks.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)


class Reservations:
    """The amounts set aside in ``folder``. ``clock`` gives the aware time. Methods raise ``OSError``.

    A file system without locks is an error: no limit could be kept among several processes there.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], datetime], *, patience_s: float = _PATIENCE_S
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._patience_s = patience_s

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock out all other processes: ``total`` and ``add`` belong in here, together."""
        path = self._folder / _LOCK
        descriptor = open_for_append(path)
        _locks.add(descriptor)
        try:
            try:
                lock(descriptor, patience_s=self._patience_s, is_required=True)
            except OSError as error:
                raise _named(error, path) from error
            yield
        finally:
            # Not in a child that was forked meanwhile.
            if descriptor in _locks:
                _locks.remove(descriptor)
                os.close(descriptor)

    def total(self) -> Decimal:
        """Return the sum of what running processes have set aside; remove what dead ones have left behind."""
        paths = [path for path in self._folder.iterdir() if path.suffix == _SUFFIX]
        return sum((self._usd(path) for path in paths if not self._is_abandoned(path)), Decimal(0))

    def add(self, usd: Decimal) -> Reservation:
        """Set ``usd`` aside."""
        make_folder(self._folder)
        path = self._folder / f"{os.urandom(8).hex()}{_SUFFIX}"
        content = {"at": self._clock().isoformat(), "usd": str(usd)}
        create(path, json.dumps(content).encode() + b"\n")
        try:
            descriptor = open_existing(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        reservation = Reservation(path, descriptor)
        try:
            lock(descriptor, patience_s=self._patience_s, is_required=True)
        except OSError as error:
            reservation.release()
            raise _named(error, path) from error
        except BaseException:
            reservation.release()
            raise
        return reservation

    def _is_abandoned(self, path: Path) -> bool:
        try:
            descriptor = open_existing(path)
        except FileNotFoundError:
            return True  # released just now
        try:
            is_abandoned = try_to_lock(descriptor, is_required=True)
        finally:
            os.close(descriptor)
        if is_abandoned:
            with suppress(OSError):
                path.unlink()
        return is_abandoned

    def _usd(self, path: Path) -> Decimal:
        try:
            content = json.loads(read_regular(path, most_bytes=_MOST_BYTES))
            at, usd = datetime.fromisoformat(content["at"]), Decimal(content["usd"])
            age = self._clock() - at
        except FileNotFoundError:
            return Decimal(0)
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
            raise _named(OSError(errno.EINVAL, "damaged"), path) from error
        # Either sign: clocks are set.
        return usd if abs(age) <= _LASTS and usd.is_finite() and usd > 0 else Decimal(0)


def _named(error: OSError, path: Path) -> OSError:
    """Return ``error`` with the file it is about, which locks do not know."""
    return OSError(error.errno, error.strerror or str(error), str(path))
