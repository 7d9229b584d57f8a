"""Files and folders that only their owner can read (0600 and 0700), replaced in one step, and read only if they are files.

Windows gives them the profile's own rights. A pipe, a socket, a device or a folder in the place of a file is refused,
never waited for; the null device counts as an empty file, as a link to it is how people switch a file off.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

# Windows would otherwise turn every \n into \r\n.
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_APPEND: Final = os.O_RDWR | os.O_APPEND | _BINARY
# Windows makes no links without special rights.
_NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)
# O_EXCL does not follow a link at the end of the path; O_NOFOLLOW says it again where a file system forgets.
_CREATE: Final[int] = _APPEND | os.O_CREAT | os.O_EXCL | _NO_LINK
_PRIVATE: Final = 0o600
_OF_OTHERS: Final = 0o077
# Windows has neither, and keeps its pipes and devices out of the file system.
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
    """Make ``folder`` and whatever is missing above it."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(mode=0o700, exist_ok=True)


def open_for_append(path: Path, *, follow_link: bool = False) -> int:
    """Return a descriptor that reads ``path`` from its start and writes at its end; make file and folder if need be.

    With ``follow_link``, a link to an existing file is followed: where the person chose the path, it is their own
    link. No file is ever made through one.
    """
    try:
        return os.open(path, _CREATE, _PRIVATE)
    except FileExistsError:
        return open_existing(path, follow_link=follow_link)
    except FileNotFoundError:
        make_folder(path.parent)
        return os.open(path, _CREATE, _PRIVATE)


def open_existing(path: Path, *, follow_link: bool = False) -> int:
    """Return such a descriptor of a file that is there; raise ``FileNotFoundError`` where there is none."""
    return os.open(path, _APPEND if follow_link else _APPEND | _NO_LINK)


def create(path: Path, content: bytes, *, durably: bool = False) -> None:
    """Make a file with ``content``; raise ``FileExistsError`` where there is one, or a link.

    ``durably``, it is on the disk when this returns, which takes milliseconds and survives a power cut.
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
    """Put ``content`` in place of ``path`` in one step: a reader sees the old file or the new one.

    The folder is made if need be.
    ``durably`` is as for ``create``.
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
    """Take the rights of group and others away; where that is not allowed, or not known (Windows), do nothing."""
    if os.name != "posix":
        return
    with suppress(OSError):
        if path.stat().st_mode & _OF_OTHERS:
            path.chmod(_PRIVATE)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; raise ``OSError`` where it is none, saying what is in its place."""
    # Looked at first: opening a device can already do something to it.
    check_regular(path.stat())
    descriptor = os.open(path, _READ)
    try:
        # And again: what was opened may be something else by now.
        check_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, *, most_bytes: int) -> bytes:
    """Return what is in a file; raise ``OSError`` where it is none, or holds more than ``most_bytes``."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    _check_size(len(content), most_bytes)
    return content


def read_regular_or_pipe(path: Path, *, most_bytes: int, patience_s: float) -> bytes:
    """Read a file that the person named, which may be a pipe, as in ``<(pass show env)``.

    Raise ``OSError`` as ``read_regular`` does, and where nothing comes through the pipe for ``patience_s``.
    """
    if sys.platform == "win32" or not stat.S_ISFIFO(path.stat().st_mode):
        return read_regular(path, most_bytes=most_bytes)
    descriptor = os.open(path, _READ)
    try:
        content = bytearray()
        while select.select([descriptor], [], [], patience_s)[0]:
            try:
                chunk = os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:  # somebody else has read it
                continue
            if not chunk:
                return bytes(content)
            content += chunk
            _check_size(len(content), most_bytes)
    finally:
        os.close(descriptor)
    raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe that sent nothing for {patience_s:g} s")


def check_regular(status: os.stat_result) -> None:
    """Raise ``OSError`` for what is no file, saying what it is."""
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
    # Windows gives devices no numbers, but has no other ones among its files either.
    return stat.S_ISCHR(null.st_mode) and status.st_rdev == null.st_rdev


def _check_size(size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes:,} bytes")
