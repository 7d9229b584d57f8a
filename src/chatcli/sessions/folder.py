"""A folder of sessions: valid names, attachments, and detection of changes.

::

    NAME.jsonl              a name is a file name that works on every system and stays in the folder
    NAME.files/<sha256>     an attachment, named by the SHA-256 of its bytes
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import UsageError
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".jsonl"

_LONGEST_CHARACTERS: Final = 100
# File systems allow 255 bytes, from which the suffix and room for a copy's number are subtracted.
_LONGEST_BYTES: Final = 240
_SPECIAL: Final = frozenset('<>:"|?*\\/')
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Used in the spelling of Persian and Indic words, and in emoji sequences.
_JOINERS: Final = frozenset("\u200c\u200d")
_WINDOWS_DEVICE: Final = lazy_pattern(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE
)


def is_path(text: str) -> bool:
    """Return whether ``-s`` takes ``text`` as a path: it contains a separator or ends in ``.jsonl``."""
    return text.endswith(SUFFIX) or any(
        separator in text for separator in ("/", os.sep, os.altsep) if separator
    )


def checked_name(text: str) -> str:
    """Return ``text`` in Unicode's form NFC; raise ``UsageError`` if it is not a valid session name."""
    name = unicodedata.normalize("NFC", text)
    if (objection := _objection(name)) is not None:
        raise UsageError(
            f"{text!r} cannot name a session: {objection}",
            hint="use letters, digits, spaces and dashes, or give a path",
            code="session_name",
        )
    return name


def _objection(name: str) -> str | None:
    objections = {
        "it is empty": not name.strip(),
        "it begins or ends with a dot, a dash or a space": name.startswith((".", "-", " "))
        or name.endswith((".", " ")),
        "it is too long": len(name) > _LONGEST_CHARACTERS
        or len(name.encode(errors="replace")) > _LONGEST_BYTES,
        "it holds a control or invisible character": any(map(_is_invisible, name)),
        f"it holds one of {' '.join(sorted(_SPECIAL))}": not _SPECIAL.isdisjoint(name),
        "Windows reserves it for a device": _WINDOWS_DEVICE.fullmatch(name) is not None,
    }
    return next((objection for objection, holds in objections.items() if holds), None)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE and character not in _JOINERS


_SUFFIX: Final = ".files"


def attachments_folder(session: Path) -> Path:
    """Return the folder of a session's attachments, which exists only if there are any."""
    return session.with_name(session.name.removesuffix(SUFFIX) + _SUFFIX)


def move_attachments(session: Path, new_session: Path) -> None:
    """Move the attachments to a session's new place; raise ``OSError`` if that fails.

    If the folder is a link, the link itself is moved.
    """
    folder = attachments_folder(session)
    if folder.is_symlink() or folder.is_dir():
        folder.rename(attachments_folder(new_session))


def remove_attachments(session: Path) -> None:
    """Remove the attachments of a session; raise ``OSError`` if that fails.

    If the folder is a link, only the link is removed: its target may belong to others.
    """
    folder = attachments_folder(session)
    if folder.is_symlink():
        folder.unlink()
    elif _is_junction(folder):
        folder.rmdir()
    elif folder.is_dir():
        shutil.rmtree(folder)


def _is_junction(folder: Path) -> bool:
    # Windows links folders without special permissions; Python recognizes such links since 3.12.
    try:
        tag = getattr(folder.lstat(), "st_reparse_tag", 0)
    except OSError:
        return False
    return bool(tag)


_MOST_NS: Final = 2**63 - 1
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
"""The latest time that can be shown in every time zone."""


class Stamp(NamedTuple):
    """The size and time of a session file; another stamp means another content, since the file only grows."""

    mtime_ns: int
    size_bytes: int


def stamps(folder: Path) -> dict[str, Stamp]:
    """Return the stamp of each session in ``folder`` by its name; empty if the folder cannot be read."""
    found: dict[str, Stamp] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and (stamp := _stamp(entry)) is not None:
                    found[entry.name.removesuffix(SUFFIX)] = stamp
    except OSError:
        return found
    return found


def stamp_of(folder: Path, name: str) -> Stamp | None:
    """Return the stamp of one session, ``None`` if it does not exist."""
    return _stamp(folder / f"{name}{SUFFIX}")


def moment_of(mtime_ns: int) -> datetime:
    """Return the time of a file; a time outside the calendar, from a wrong clock, becomes the nearest valid one."""
    seconds = mtime_ns / 1e9
    return datetime.fromtimestamp(min(max(seconds, _EARLIEST.timestamp()), _LATEST.timestamp()), UTC)


def newest_first(found: dict[str, Stamp]) -> list[str]:
    return sorted(found, key=lambda name: (-found[name].mtime_ns, name))


def _stamp(entry: os.DirEntry[str] | Path) -> Stamp | None:
    try:
        status = entry.stat()
    except OSError:
        return None
    # A file system may store later times than the index can.
    mtime_ns = max(-_MOST_NS, min(status.st_mtime_ns, _MOST_NS))
    return Stamp(mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None
