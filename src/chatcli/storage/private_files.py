"""Files and folders only their owner can read (0600, 0700), replaced atomically, read only if regular.

On Windows they get the permissions of the profile. A pipe, socket, device or folder in place of a file is
refused, never waited for; the null device counts as an empty file, since a link to it is the usual way to
disable a file.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

# Without it Windows would turn every \n into \r\n.
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_APPEND: Final = os.O_RDWR | os.O_APPEND | _BINARY
# Windows needs special permissions to create links.
_NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)
# O_EXCL does not follow a link at the end of the path; O_NOFOLLOW says it again where a file system forgets.
_CREATE: Final[int] = _APPEND | os.O_CREAT | os.O_EXCL | _NO_LINK
_PRIVATE: Final = 0o600
_OF_OTHERS: Final = 0o077
# Windows has neither flag, and its pipes and devices are outside the file system.
_NOT_BLOCKING: Final[int] = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_READ: Final[int] = os.O_RDONLY | _NOT_BLOCKING | _BINARY | getattr(os, "O_CLOEXEC", 0)
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_CHUNK_BYTES: Final = 65_536


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its missing parents."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(mode=0o700, exist_ok=True)


def open_for_append(path: Path, *, follow_link: bool = False) -> int:
    """Return a descriptor that reads ``path`` from its start and appends at its end.

    Create file and folder if necessary.

    With ``follow_link``, a link to an existing file is followed, since the person chose the path. No file is
    ever created through a link.
    """
    try:
        return _create_or_open(path, follow_link=follow_link)
    except FileNotFoundError:
        make_folder(path.parent)
        return _create_or_open(path, follow_link=follow_link)


def _create_or_open(path: Path, *, follow_link: bool) -> int:
    try:
        return os.open(path, _CREATE, _PRIVATE)
    except FileExistsError:
        return open_existing(path, follow_link=follow_link)


def open_existing(path: Path, *, follow_link: bool = False) -> int:
    """Return such a descriptor for an existing file; raise ``FileNotFoundError`` if there is none."""
    return os.open(path, _APPEND if follow_link else _APPEND | _NO_LINK)


def create(path: Path, content: bytes, *, durably: bool = False) -> None:
    """Create a file with ``content``; raise ``FileExistsError`` if a file or link exists.

    With ``durably`` it is on the disk when this returns, which takes milliseconds and survives a power cut.
    """
    descriptor = os.open(path, _CREATE, _PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            if durably:
                stream.flush()
                os.fsync(stream.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, content: bytes, *, durably: bool = False) -> None:
    """Replace ``path`` by ``content`` atomically: a reader sees the old file or the new one.

    The folder is created if necessary. ``durably`` is as for ``create``.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        create(temporary, content, durably=durably)
    except FileNotFoundError:
        make_folder(path.parent)
        create(temporary, content, durably=durably)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def close_to_others(path: Path) -> None:
    """Remove the permissions of group and others; do nothing where that is not allowed or not supported (Windows)."""
    if os.name != "posix":
        return
    with suppress(OSError):
        if path.stat().st_mode & _OF_OTHERS:
            path.chmod(_PRIVATE)


def ensure_database(path: Path) -> os.stat_result:
    """Make sure that a file for SQLite is there, its owner's alone; return its status. Raise ``OSError`` if it is no file.

    An existing file is not opened: POSIX drops all locks that a process has on a file when it closes any descriptor of it, and with them
    those of its other connections. Another process would then delete the log that they write to
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with _making_database:
        try:
            status = path.lstat()
        except FileNotFoundError:
            make_folder(path.parent)
            with suppress(FileExistsError):
                create(path, b"")
            status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    check_regular(status)
    close_to_others(path)
    return status


_making_database: Final = Lock()
"""Held while a new file is open, so that no other thread has connected to it by then."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; raise ``OSError`` naming its type if it is anything else."""
    # Checked before opening, since opening a device can already have an effect.
    check_regular(path.stat())
    descriptor = os.open(path, _READ)
    try:
        # Checked again, since the path may have changed before it was opened.
        check_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, *, most_bytes: int) -> bytes:
    """Return the content of a regular file; raise ``OSError`` for anything else or more than ``most_bytes``."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    _check_size(len(content), most_bytes)
    return content


def read_regular_or_pipe(path: Path, *, most_bytes: int, patience_s: float) -> bytes:
    """Read a file that the person named, which may be a pipe, as in ``<(pass show env)``.

    Raise ``OSError`` as ``read_regular`` does, and if a pipe stays silent for ``patience_s``.
    """
    if sys.platform == "win32" or not stat.S_ISFIFO(path.stat().st_mode):
        return read_regular(path, most_bytes=most_bytes)
    descriptor = os.open(path, _READ)
    try:
        content = bytearray()
        while select.select([descriptor], [], [], patience_s)[0]:
            try:
                chunk = os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:  # another process has read it
                continue
            if not chunk:
                return bytes(content)
            content += chunk
            _check_size(len(content), most_bytes)
    finally:
        os.close(descriptor)
    raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe that sent nothing for {patience_s:g} s")


def check_regular(status: os.stat_result) -> None:
    """Raise ``OSError`` naming the type unless the file is regular."""
    if stat.S_ISREG(status.st_mode) or _is_null_device(status):
        return
    kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "something else")
    number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
    raise OSError(number, f"it is {kind}, not a file")


def _is_null_device(status: os.stat_result) -> bool:
    if not stat.S_ISCHR(status.st_mode):
        return False
    try:
        null = os.stat(os.devnull)  # noqa: PTH116 - no path of anybody's
    except OSError:
        return False
    # Windows gives devices no numbers, but has no other devices among its files either.
    return stat.S_ISCHR(null.st_mode) and status.st_rdev == null.st_rdev


def _check_size(size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes:,} bytes")
