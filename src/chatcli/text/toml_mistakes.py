"""What to do about a text that is not TOML, where the mistake can be told from it."""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"\bline (\d+)")
# Of a Windows path in double quotes TOML takes every backslash for the beginning of a special character.
_BACKSLASH_IN_DOUBLE_QUOTES: Final = re.compile(r'"[^"]*\\')

SINGLE_QUOTES: Final = r"put a text with backslashes in single quotes: 'C:\Users\ada'"


def toml_hint(text: str, error: Exception) -> str | None:
    """Return what to do about an error of ``tomllib`` or ``tomlkit``; ``None`` where it does not tell more."""
    line = _LINE.search(str(error))
    lines = text.split("\n")
    number = int(line[1]) if line else len(lines)
    wrong = lines[number - 1] if 0 < number <= len(lines) else ""
    return SINGLE_QUOTES if _BACKSLASH_IN_DOUBLE_QUOTES.search(wrong) else None
