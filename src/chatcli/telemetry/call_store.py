"""The store of finished calls: a SQLite database in the data folder, shared by all processes of one person."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import LocalIOError
from chatcli.storage.private_files import check_regular, close_to_others, open_for_append
from chatcli.telemetry.call_tables import (
    CHECKS,
    LATEST_US,
    TABLES,
    insert,
    kind_number,
    kind_of,
    kinds,
    microseconds,
    packed,
    recent,
    slices_of_calls,
    unpacked,
)
from chatcli.telemetry.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from chatcli.core.call_records import CallRecord
    from chatcli.core.statistics import Figures
    from chatcli.telemetry.tallies import CallKind, CallSlice

FILE_NAME: Final = "telemetry-1.sqlite"
"""The number is that of the tables: another version of them is another file."""

BUSY_TIMEOUT_S: Final = 1.0

LATE_US: Final = 15 * 60 * 10**6
"""A call is stored when it ends, under the time it began. Few take longer than this."""

_SIDE_FILES: Final = ("", "-wal", "-shm")
_ASIDE: Final = ".damaged"
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOREIGN: Final = _DAMAGED | {sqlite3.SQLITE_ERROR}
"""When the file is opened, ``SQLITE_ERROR`` says that the tables are not those of this program."""
_PAUSE_S: Final = 0.01
_HOUR_US: Final = 3600 * 10**6
_LONGEST_PERIOD_US: Final = 48 * _HOUR_US
_DELETED_AT_ONCE: Final = 20_000
_FEWEST_KEPT: Final = 200
"""Fewer calls are added up as quickly as their sums are read."""


class Period(NamedTuple):
    """Calls from ``start_us`` to before ``end_us``; one that ``is_closed`` gets no more calls, as far as is known."""

    start_us: int
    end_us: int
    is_closed: bool = False


class CallStore:
    """The calls in the file ``path``, readable only by its owner.

    Every method raises ``LocalIOError`` if the database cannot be used: it is busy for ``busy_timeout_s``, the disk is full, the
    file is damaged. A damaged file is moved aside (``telemetry-1.sqlite.damaged``), which ``on_damage`` is told in a line. Reading makes no file. Used by
    one thread at a time.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        on_damage: Callable[[str], None] = lambda _message: None,
        fewest_kept: int = _FEWEST_KEPT,
    ) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._on_damage = on_damage
        self._fewest_kept = fewest_kept
        self._opened: sqlite3.Connection | None = None
        self._file_number = 0
        self._kinds: dict[CallKind, int] = {}
        self._generation = -1
        self._last_conflict = (-1, -1)

    def append(self, calls: Sequence[CallRecord]) -> None:
        """Store all of ``calls`` or none."""
        if not calls:
            return
        with self._writing() as connection:
            times_us = [self._insert(connection, call) for call in calls]
            _forget_sums(connection, min(times_us), max(times_us))

    def figures(
        self, since_s: float, until_s: float, *, model: str | None = None, endpoint: str | None = None
    ) -> Figures:
        """Return the figures of calls that began from ``since_s`` to before ``until_s``, in seconds since the epoch."""
        since_us, until_us = microseconds(since_s), microseconds(until_s)
        tally = Tally()
        with self._reading() as connection:
            known = kinds(connection)
            for period in _covering(connection, since_us, until_us):
                for calls in self._slices(connection, period):
                    kind = known.get(calls.kind)
                    if kind and model in (None, kind.model) and endpoint in (None, kind.endpoint):
                        tally.add(kind, calls)
        return tally.figures()

    def recent(self, most: int, *, before_s: float | None = None) -> list[CallRecord]:
        """Return the last calls, at most so many, newest last; of those that began before ``before_s``, if it is given."""
        before_us = LATEST_US + 1 if before_s is None else microseconds(before_s)
        with self._reading() as connection:
            return recent(connection, before_us, most)[::-1]

    def first_and_last_s(self) -> tuple[float, float] | None:
        """Return when the first and the last call began, ``None`` if there is none."""
        with self._reading() as connection:
            first, last = (
                connection.execute(f"SELECT at_us FROM calls ORDER BY at_us {order} LIMIT 1").fetchone()  # noqa: S608
                for order in ("ASC", "DESC")
            )
        return None if first is None else (first[0] / 1e6, last[0] / 1e6)

    def kinds(self) -> dict[int, CallKind]:
        with self._reading() as connection:
            return kinds(connection)

    def slices(self, period: Period) -> list[CallSlice]:
        """Return what the calls of a period come to. That of a closed period is kept, if it can be."""
        with self._reading() as connection:
            return self._slices(connection, period)

    def forget(self, before_s: float) -> None:
        """Delete the calls that began before ``before_s``."""
        before_us = microseconds(before_s)
        if not self._path.exists():
            return
        deleted = _DELETED_AT_ONCE
        while deleted == _DELETED_AT_ONCE:
            # Others can write in between.
            with self._writing() as connection:
                deleted = connection.execute(
                    "DELETE FROM calls WHERE at_us IN (SELECT at_us FROM calls WHERE at_us < ? ORDER BY at_us LIMIT ?)",
                    (before_us, _DELETED_AT_ONCE),
                ).rowcount
                if deleted:
                    connection.execute("DELETE FROM periods WHERE start_us < ?", (before_us,))
                    if deleted < _DELETED_AT_ONCE:
                        connection.execute(
                            "DELETE FROM kinds WHERE id NOT IN (SELECT DISTINCT kind FROM calls)"
                        )
                    _begin_generation(connection)

    def clear(self) -> None:
        """Delete all calls."""
        if not self._path.exists():
            return
        with self._writing() as connection:
            for table in ("calls", "periods", "kinds"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of these names
            _begin_generation(connection)
        # Deleted rows stay in the file until it is written anew.
        with suppress(LocalIOError), self._using() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def damaged_at_s(self) -> float | None:
        """Return when a damaged file that was moved aside was last written, ``None`` if there is none."""
        try:
            return self._aside("").stat().st_mtime
        except OSError:
            return None

    def close(self) -> None:
        opened, self._opened = self._opened, None
        self._kinds.clear()
        if opened is not None:
            opened.close()

    def _insert(self, connection: sqlite3.Connection, call: CallRecord) -> int:
        kind = kind_of(call)
        number = self._kinds.get(kind)
        if number is None:
            number = self._kinds[kind] = kind_number(connection, kind)
        wanted_us = microseconds(call.at_s)
        # Many calls of one microsecond come from a clock that stands: the search goes on where it ended.
        asked, used = self._last_conflict
        at_us = insert(connection, call, number, used + 1 if asked == wanted_us else wanted_us)
        if at_us != wanted_us:
            self._last_conflict = (wanted_us, at_us)
        return at_us

    def _slices(self, connection: sqlite3.Connection, period: Period) -> list[CallSlice]:
        place = (period.start_us, period.end_us)
        kept = connection.execute(
            "SELECT slices FROM periods WHERE start_us = ? AND end_us = ?", place
        ).fetchone()
        if kept is not None:
            with suppress(ValueError):
                return unpacked(kept[0])
        generation = _generation(connection)
        slices = slices_of_calls(connection, *place)
        if period.is_closed and sum(each.sums.calls for each in slices) >= self._fewest_kept:
            # Other processes may write, the disk may be full or write-protected: then it is added up again next time.
            with suppress(sqlite3.Error):
                _keep(connection, place, slices, generation)
        return slices

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, one to an empty database if there is no file."""
        if self._opened is None and not self._path.exists():
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
                empty.executescript(TABLES)
                yield empty
            return
        with self._using() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                generation = _generation(connection)
                if generation != self._generation:
                    self._kinds.clear()
                    self._generation = generation
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # The numbers of this transaction are not kept either.
                self._kinds.clear()
                # An error may have ended the transaction already.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._opened = self._opened or self._connect()
            yield connection
        except sqlite3.Error as error:
            code = _code(error)
            if code in _DAMAGED:
                self._move_aside(error)
            elif code not in _BUSY and code != sqlite3.SQLITE_FULL:
                self.close()
            raise self._unavailable(str(error), code) from error
        except OSError as error:
            raise self._unavailable(error.strerror or str(error)) from error

    def _unavailable(self, reason: str, code: int = sqlite3.SQLITE_CANTOPEN) -> LocalIOError:
        hint = "check the permissions of the file and its folder"
        if code in _BUSY:
            reason, hint = "another process is using it", "try again"
        elif code in _DAMAGED:
            hint = f"it is in {self._aside('')} now; new calls go into a new file"
        elif code == sqlite3.SQLITE_FULL:
            hint = "free some space"
        return LocalIOError(f"cannot use the statistics in {self._path}: {reason}", hint=hint)

    def _connect(self) -> sqlite3.Connection:
        deadline_s = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return self._connected()
            except sqlite3.Error as error:
                # Two processes that make the database at once do not wait for each other.
                if _code(error) in _BUSY and time.monotonic() < deadline_s:
                    time.sleep(_PAUSE_S)
                    continue
                if _code(error) not in _FOREIGN:
                    raise
                self._move_aside(error)
                return self._connected()

    def _connected(self) -> sqlite3.Connection:
        # Made first, as SQLite would make it readable for others; its side files get the same permissions.
        try:
            descriptor = open_for_append(self._path)
        except PermissionError:
            return self._connected_to_read()
        try:
            status = os.fstat(descriptor)
            check_regular(status)
            self._file_number = status.st_ino
        finally:
            os.close(descriptor)
        close_to_others(self._path)
        connection = self._connection(str(self._path))
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(TABLES)
            return _checked(connection)
        except BaseException:
            connection.close()
            raise

    def _connected_to_read(self) -> sqlite3.Connection:
        """Connect to a file that cannot be written; if its folder cannot be either, nobody else may be writing there."""
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            connection = self._connection(f"{self._path.absolute().as_uri()}?{mode}")
            try:
                return _checked(connection)
            except sqlite3.Error as error:
                connection.close()
                last = error
        raise last

    def _connection(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )

    def _move_aside(self, error: sqlite3.Error) -> None:
        """Move the damaged file and its side files aside, unless another process has done so and made a new one."""
        self.close()
        with suppress(OSError):
            if self._path.stat().st_ino != self._file_number:
                return
            for suffix in _SIDE_FILES:
                with suppress(FileNotFoundError):
                    self._path.with_name(f"{self._path.name}{suffix}").replace(self._aside(suffix))
            self._on_damage(f"the statistics were damaged ({error}); they are in {self._aside('')} now")

    def _aside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}{_ASIDE}{suffix}")


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    for check in CHECKS:
        connection.execute(check).fetchone()
    return connection


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _generation(connection: sqlite3.Connection) -> int:
    """Return how often calls were deleted: numbers of kinds, and sums, are those of one generation."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _begin_generation(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {(_generation(connection) + 1) % 2**31}")


def _covering(connection: sqlite3.Connection, since_us: int, until_us: int) -> Iterator[Period]:
    """Yield periods from ``since_us`` to ``until_us``: those whose sums are kept, the longest first, and what is between them."""
    kept = connection.execute(
        "SELECT start_us, end_us FROM periods WHERE start_us >= ? AND end_us <= ? ORDER BY start_us, end_us DESC",
        (since_us, until_us),
    ).fetchall()
    closed_before_us = until_us - LATE_US
    reached_us = since_us
    for start_us, end_us in kept:
        if start_us < reached_us:
            continue
        yield from _hours(connection, reached_us, start_us, closed_before_us)
        yield Period(start_us, end_us)
        reached_us = end_us
    yield from _hours(connection, reached_us, until_us, closed_before_us)


def _hours(
    connection: sqlite3.Connection, start_us: int, end_us: int, closed_before_us: int
) -> Iterator[Period]:
    """Yield the hours between two times that have calls, each alone while they are closed."""
    while start_us < end_us:
        (next_us,) = connection.execute(
            "SELECT min(at_us) FROM calls WHERE at_us >= ? AND at_us < ?", (start_us, end_us)
        ).fetchone()
        if next_us is None:
            return
        hour_us = next_us - next_us % _HOUR_US
        start_us, next_us = max(start_us, hour_us), min(end_us, hour_us + _HOUR_US)
        is_whole = next_us - start_us == _HOUR_US
        if next_us > closed_before_us:
            next_us = end_us
        yield Period(start_us, next_us, is_closed=is_whole and next_us <= closed_before_us)
        start_us = next_us


def _keep(
    connection: sqlite3.Connection, place: tuple[int, int], slices: Sequence[CallSlice], generation: int
) -> None:
    """Keep the sums of a period, unless its calls have changed meanwhile."""
    blob = packed(slices)
    connection.execute("BEGIN IMMEDIATE")
    try:
        (calls,) = connection.execute(
            "SELECT count(*) FROM calls WHERE at_us >= ? AND at_us < ?", place
        ).fetchone()
        if calls == sum(each.sums.calls for each in slices) and generation == _generation(connection):
            connection.execute("INSERT OR REPLACE INTO periods VALUES (?, ?, ?)", (*place, blob))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _forget_sums(connection: sqlite3.Connection, first_us: int, last_us: int) -> None:
    """Delete the sums of the periods that calls from ``first_us`` to ``last_us`` may be in."""
    connection.execute(
        "DELETE FROM periods WHERE start_us > ? AND start_us <= ? AND end_us > ?",
        (first_us - _LONGEST_PERIOD_US, last_us, first_us),
    )
