"""What a session may be called: a file name that works on every system and stays in its folder."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

from chatcli.core.errors import UsageError

SUFFIX: Final = ".jsonl"

_LONGEST_CHARACTERS: Final = 100
# File systems allow 255 bytes; the suffix and a little room for a neighbour's prefix come off.
_LONGEST_BYTES: Final = 240
_SPECIAL: Final = frozenset('<>:"|?*\\/')
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Part of how words are spelled in Persian and in Indic scripts, and of how emoji are put together.
_JOINERS: Final = frozenset("\u200c\u200d")
_WINDOWS_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE
)


def is_path(text: str) -> bool:
    """Whether ``-s`` takes ``text`` as a path: it holds a separator or ends in ``.jsonl``."""
    return text.endswith(SUFFIX) or any(
        separator in text for separator in ("/", os.sep, os.altsep) if separator
    )


def checked_name(text: str) -> str:
    """Return ``text`` in Unicode's form NFC; raise ``UsageError`` when it cannot name a session."""
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
