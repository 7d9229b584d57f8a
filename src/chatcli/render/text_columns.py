"""Rows of short texts in columns, as wide as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wcwidth import width, wrap

from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import ELLIPSIS, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_GAP: Final = "  "
_LEAST_ROOM: Final = 16
"""How many columns must be left for text that hangs under its beginning."""


def table(rows: Sequence[Sequence[str]], columns: int, *, right: Collection[int] = ()) -> str:
    """Return ``rows`` one below the other, each cut at ``columns``; the cells of ``right`` end in line."""
    cells = [[sanitize_line(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = (
        _GAP.join(
            _padded(cell, wide, to_the_right=at in right)
            for at, (cell, wide) in enumerate(zip(row, widths, strict=True))
            if wide
        ).rstrip()
        for row in cells
    )
    return "\n".join(shortened(line, columns) for line in lines)


def sentences(rows: Iterable[Sequence[str]]) -> str:
    """Return ``rows`` to be read aloud: a sentence each, what it is about and then what there is to say of that."""
    lines = []
    for first, *rest in rows:
        said = ", ".join(filter(None, map(sanitize_line, rest)))
        line = f"{sanitize_line(first)}: {said}" if said else sanitize_line(first)
        lines.append(line if line.endswith((".", "!", "?", ELLIPSIS)) else f"{line}.")
    return "\n".join(lines)


def labelled(rows: Sequence[tuple[str, str]], columns: int, *, whole: Collection[str] = ()) -> str:
    """Return labels with their values, none of them cut.

    A value without room beside its label goes on under its own beginning. One of the labels ``whole``, as a path, stands
    unbroken below it instead: so it can be copied.
    """
    label_width = max((width(label) for label, _ in rows), default=0)
    lines: list[str] = []
    for label, value in rows:
        head = _padded(label, label_width, to_the_right=False) + _GAP
        if label in whole and width(head) + width(sanitize_line(value)) > columns:
            lines += [label, sanitize_line(value)]
        else:
            lines += hanging(head, value, columns)
    return "\n".join(lines)


def numbered(choices: Sequence[str], columns: int) -> list[str]:
    """Return the rows of a list to choose from; what follows the first row of a choice hangs under it."""
    digits = len(str(len(choices)))
    rows: list[str] = []
    for number, choice in enumerate(choices, start=1):
        rows += hanging(f"  {number:>{digits}}  ", choice, columns)
    return rows


def hanging(head: str, text: str, columns: int) -> list[str]:
    """Return ``text`` behind ``head``, in rows that hang under its beginning as long as that leaves room."""
    indent = width(head) if width(head) + _LEAST_ROOM <= columns else min(len(_GAP), columns - 1)
    return wrap(
        head + sanitize_line(text),
        max(1, columns),
        subsequent_indent=" " * indent,
        replace_whitespace=False,
    ) or [head]


def _padded(cell: str, wide: int, *, to_the_right: bool) -> str:
    blanks = " " * (wide - width(cell))
    return blanks + cell if to_the_right else cell + blanks
