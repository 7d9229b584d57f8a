"""Word wrapping that keeps commands, paths and addresses whole, so that they can be copied."""

from __future__ import annotations

from typing import Final

from wcwidth import width, wrap

from chatcli.text.lazy_pattern import lazy_pattern

_COMMAND_BEGUN: Final = lazy_pattern(r"\b(?:chatcli|scripts/chat)(?: \S+)?\Z")
_TAKES_A_VALUE: Final = lazy_pattern(r"(?:\A| )[-/]\S*\Z")
_OPTION: Final = lazy_pattern(r"--?\w")
_VALUE: Final = lazy_pattern(r"[A-Z]{2,}|\"")
_TYPED: Final = lazy_pattern(r"(?:[-/~\\]|\S*[/\\])[!-~]*")
"""An option, a slash command, a path or an address, which must stay whole to be copied."""
_HELD_SPACE: Final = "\ue000"  # as wide as a space, but not a break opportunity


def wrapped(text: str, columns: int) -> str:
    """Break the lines of ``text`` between words, or within a word wider than ``columns``.

    Nothing is broken at a hyphen, a command keeps its options, and a path or an address too long for a row
    stays whole. Later rows of an indented line keep its indent.
    """
    rows: list[str] = []
    for line in text.split("\n"):
        words = line.lstrip(" ")
        # No indent if it would leave no room for a wide character.
        indent = min(len(line) - len(words), max(0, columns - 2)) * " "
        rows += _rows(words, max(1, columns), indent) or [""]
    return "\n".join(rows)


def _rows(words: str, columns: int, indent: str) -> list[str]:
    room = columns - len(indent)
    rows: list[str] = []
    begun: list[str] = []
    for word in _held_together(words, room):
        if width(word) > room and _TYPED.fullmatch(word):
            rows += [*_wrapped(" ".join(begun), columns, indent), indent + word]
            begun = []
        else:
            begun.append(word)
    return rows + _wrapped(" ".join(begun), columns, indent)


def _held_together(words: str, room: int) -> list[str]:
    """Join a command with its options and their values to one word, if that fits on a row."""
    together: list[str] = []
    for word in words.split(" "):
        before = together[-1].replace(_HELD_SPACE, " ") if together else ""
        belongs = _OPTION.match(word) or (_TAKES_A_VALUE.search(before) and _VALUE.match(word))
        if before and (belongs or _COMMAND_BEGUN.search(before)) and width(before) + 1 + width(word) <= room:
            together[-1] += _HELD_SPACE + word
        else:
            together.append(word)
    return together


def _wrapped(words: str, columns: int, indent: str) -> list[str]:
    rows = wrap(
        words,
        columns,
        initial_indent=indent,
        subsequent_indent=indent,
        replace_whitespace=False,
        break_on_hyphens=False,
    )
    return [row.replace(_HELD_SPACE, " ") for row in rows]
