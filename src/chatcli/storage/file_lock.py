"""Locks on open files between processes.

The operating system releases them when the file is closed or its holder dies.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from chatcli.storage.private_files import open_for_append, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TAKEN: Final = {errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_PAUSE_S: Final = 0.01
# On Windows a locked range cannot be read, so the lock is far behind the end of any file.
_LOCKED_BYTE: Final = 1 << 40


def try_to_lock(descriptor: int, *, is_required: bool = False) -> bool:
    """Try to take the lock of an open file; return ``False`` if another process holds it.

    On file systems without locks, every caller gets it; if it ``is_required``, ``OSError`` is raised there.
    """
    try:
        _lock(descriptor)
    except OSError as error:
        if is_required and error.errno not in _TAKEN:
            raise
        return error.errno not in _TAKEN
    return True


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock of a file; ``False`` if the file cannot be opened.

    This takes the lock, shared among all who check, for some microseconds; a writer that meets it tries
    again.
    """
    try:
        with open_regular(path) as file:
            _share(file.fileno())
    except OSError as error:
        return error.errno in _TAKEN
    return False


def lock(descriptor: int, *, patience_s: float = 5.0, is_required: bool = False) -> None:
    """Wait for the lock of an open file and take it; raise ``OSError`` if it is not released in time.

    ``is_required`` is as for ``try_to_lock``.

    Holders keep this lock for milliseconds; a process that holds it for seconds is suspended, possibly for
    ever.
    """
    until_s = time.monotonic() + patience_s
    while not try_to_lock(descriptor, is_required=is_required):
        if time.monotonic() >= until_s:
            break
        time.sleep(_PAUSE_S)
    else:
        return
    raise OSError(errno.EAGAIN, "another program holds its lock")


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock of the file at ``path``, which is made if necessary; raise ``OSError`` as ``lock`` does."""
    descriptor = open_for_append(path)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":

    def _share(descriptor: int) -> None:
        _lock(descriptor)  # the C library of Windows has only exclusive locks

    def _lock(descriptor: int) -> None:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)

else:

    def _share(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
