"""Locks between processes on open files, let go by the operating system when the file is closed or its holder dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from chatcli.storage.private_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TAKEN: Final = {errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_PAUSE_S: Final = 0.01
# Where Windows locks, nobody can read: far behind the end of any file.
_LOCKED_BYTE: Final = 1 << 40


def try_to_lock(descriptor: int) -> bool:
    """Take the lock of an open file; return whether it is ours, ``False`` where somebody else holds it.

    A file system that knows no locks lets everybody have it.
    """
    try:
        _lock(descriptor)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock of a file; of one that cannot be opened nobody does.

    That takes the lock for some microseconds, shared with all who look: whoever takes it for longer asks again.
    """
    try:
        with open_regular(path) as file:
            _share(file.fileno())
    except OSError as error:
        return error.errno in _TAKEN
    return False


def lock(descriptor: int, *, patience_s: float = 5.0) -> None:
    """Wait for the lock of an open file and take it. Raise ``OSError`` where there is no telling when it will be free.

    What is waited for is held for milliseconds; whoever holds it for seconds was stopped, and may be for ever.
    """
    until_s = time.monotonic() + patience_s
    while not try_to_lock(descriptor):
        if time.monotonic() >= until_s:
            break
        time.sleep(_PAUSE_S)
    else:
        return
    raise OSError(errno.EAGAIN, "another program holds its lock")


if sys.platform == "win32":

    def _share(descriptor: int) -> None:
        _lock(descriptor)  # Windows's C library locks for one alone

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
