"""Hints for common mistakes in TOML files."""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"\bline (\d+)")
# In double quotes TOML reads each backslash of a Windows path as an escape.
_BACKSLASH_IN_DOUBLE_QUOTES: Final = re.compile(r'"[^"]*\\')

SINGLE_QUOTES: Final = r"put a text with backslashes in single quotes: 'C:\Users\ada'"


def toml_hint(text: str, error: Exception) -> str | None:
    """Return a hint for an error of ``tomllib`` or ``tomlkit``, ``None`` if its cause is unknown."""
    line = _LINE.search(str(error))
    lines = text.split("\n")
    number = int(line[1]) if line else len(lines)
    wrong = lines[number - 1] if 0 < number <= len(lines) else ""
    return SINGLE_QUOTES if _BACKSLASH_IN_DOUBLE_QUOTES.search(wrong) else None
