"""Files and folders that only their owner can read: 0600 and 0700. Windows gives them the profile's own rights."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

# Windows would otherwise turn every \n into \r\n.
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_APPEND: Final = os.O_RDWR | os.O_APPEND | _BINARY
# Windows makes no links without special rights.
_NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)
# O_EXCL does not follow a link at the end of the path; O_NOFOLLOW says it again where a file system forgets.
_CREATE: Final[int] = _APPEND | os.O_CREAT | os.O_EXCL | _NO_LINK


def make_folder(folder: Path) -> None:
    """Make ``folder`` and whatever is missing above it."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(mode=0o700, exist_ok=True)


def open_for_append(path: Path, *, follow_link: bool = False) -> int:
    """Return a descriptor that reads ``path`` from its start and writes at its end; make the file if need be.

    With ``follow_link``, a link to an existing file is followed: where the person chose the path, it is their own
    link. No file is ever made through one.
    """
    try:
        return os.open(path, _CREATE, 0o600)
    except FileExistsError:
        return open_existing(path, follow_link=follow_link)


def open_existing(path: Path, *, follow_link: bool = False) -> int:
    """Return such a descriptor of a file that is there; raise ``FileNotFoundError`` where there is none."""
    return os.open(path, _APPEND if follow_link else _APPEND | _NO_LINK)


def create(path: Path, content: bytes) -> None:
    """Make a file with ``content``; raise ``FileExistsError`` where there is one, or a link."""
    descriptor = os.open(path, _CREATE, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, content: bytes, *, durably: bool = False) -> None:
    """Put ``content`` in place of ``path`` in one step: a reader sees the old file or the new one.

    ``durably``, it is on the disk when this returns, which takes milliseconds and survives a power cut.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            if durably:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
