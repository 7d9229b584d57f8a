"""Hints for common mistakes: the nearest known name, and what TOML wants otherwise than people write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable


_MOST_LISTED: Final = 100


def did_you_mean(name: str, known: Iterable[str], kind: str = "known") -> str:
    """Return a hint with the nearest of ``known``, or all of them, headed by ``kind``, if none is near.

    Of very many the first are named: a person may have thousands of templates.
    """
    candidates = list(known)
    if sentence := nearest(name, candidates):
        return sentence
    more = len(candidates) - _MOST_LISTED
    listed = ", ".join(candidates[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")
    return f"{kind}: {listed}" if candidates else "there are none"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest of ``known``, empty if none is near."""
    import difflib  # noqa: PLC0415 -- only a mistake needs it

    found = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]}?" if found else ""


_LINE: Final = lazy_pattern(r"\bline (\d+)")
# In double quotes TOML reads each backslash of a Windows path as an escape.
_BACKSLASH_IN_DOUBLE_QUOTES: Final = lazy_pattern(r'"[^"]*\\')
_TYPOGRAPHIC_QUOTE: Final = lazy_pattern("[=[,]\\s*[\u201c\u201d\u201e\u2018\u2019\u00ab\u300c\u300e\uff02]")
_FOREIGN_NAME: Final = lazy_pattern(r"""[^"'#=]*[^\x00-\x7f"'#=]""")
SINGLE_QUOTES: Final = r"put a text with backslashes in single quotes: 'C:\Users\ada'"
STRAIGHT_QUOTES: Final = 'use straight quotes: "text"'
QUOTED_NAME: Final = 'put a name with letters beyond a to z in quotes: "modèle" = "gpt-5"'


def toml_hint(text: str, error: Exception) -> str | None:
    """Return a hint for an error of ``tomllib`` or ``tomlkit``, ``None`` if its cause is unknown."""
    line = _LINE.search(str(error))
    lines = text.split("\n")
    number = int(line[1]) if line else len(lines)
    wrong = lines[number - 1] if 0 < number <= len(lines) else ""
    if _BACKSLASH_IN_DOUBLE_QUOTES.search(wrong):
        return SINGLE_QUOTES
    if _TYPOGRAPHIC_QUOTE.search(wrong):
        return STRAIGHT_QUOTES
    return QUOTED_NAME if _FOREIGN_NAME.match(wrong) else None
