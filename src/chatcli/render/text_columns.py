"""Short texts laid out in columns for a terminal."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Final

from wcwidth import ljust, rjust, width, wrap

from chatcli.render.printing import plain_lines
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import ELLIPSIS, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

_GAP: Final = "  "
_INDENT: Final = 2
_LEAST_COLUMNS: Final = 8
"""The minimum width of a shown cell."""
_LEAST_ROOM: Final = 16
"""The minimum width left for text that hangs under its beginning."""
_LEAST_EXPLANATION: Final = 18


def table(rows: Sequence[Sequence[str]], columns: int, *, right: Collection[int] = ()) -> str:
    """Return ``rows`` as lines of at most ``columns``; the columns ``right`` are aligned right.

    If there is too little room, the cells of later columns are cut, though not to nothing, and those of
    ``right`` last. For a pipe ``columns`` is ``sys.maxsize``, and there is nothing to fit.
    """
    cells = zip(*([sanitize_line(cell) for cell in row] for row in rows), strict=True)
    shown = {at: texts for at, texts in enumerate(cells) if any(map(width, texts))}
    if not shown:
        return ""
    natural = {at: max(map(width, texts)) for at, texts in shown.items()}
    by_importance = sorted(natural, key=lambda at: (at not in right, at))
    gaps = len(_GAP) * (len(shown) - 1)
    given = _shared({at: natural[at] for at in by_importance}, columns - gaps)
    fitting = [_fitted(texts, given[at], is_right=at in right) for at, texts in shown.items()]
    if columns == sys.maxsize:
        # What a program reads does not wait for rich.
        return "\n".join(_GAP.join(row).rstrip() for row in zip(*fitting, strict=True))
    return "\n".join(shortened(line, columns) for line in _beside(fitting))


def _shared(wanted: Mapping[int, int], room: int) -> dict[int, int]:
    """Give each column its wanted width in order, as long as the later ones keep a minimum."""
    given: dict[int, int] = {}
    left, least = room, sum(min(columns, _LEAST_COLUMNS) for columns in wanted.values())
    for at, columns in wanted.items():
        little = min(columns, _LEAST_COLUMNS)
        least -= little
        given[at] = max(little, min(columns, left - least))
        left -= given[at]
    return given


def _fitted(texts: Sequence[str], columns: int, *, is_right: bool) -> list[str]:
    place = rjust if is_right else ljust
    return [place(shortened(text, columns), columns) for text in texts]


def _beside(columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table of rich; the cells of each of its columns have one width."""
    # Imported late: only a table on a screen needs it.
    from rich.table import Table  # noqa: PLC0415

    grid = Table.grid(padding=(0, len(_GAP), 0, 0))
    widths = [width(texts[0]) for texts in columns]
    for column_width in widths:
        grid.add_column(width=column_width)
    grid.add_row(*map(_Column, columns))
    return plain_lines(grid, sum(widths) + len(_GAP) * len(widths))


class _Column:
    """The cells of a column as lines of a single cell for rich, which is slow per cell."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> Iterable[Segment]:
        from rich.segment import Segment  # noqa: PLC0415 - as above

        yield Segment("\n".join(self._texts))


def sentences(rows: Iterable[Sequence[str]]) -> str:
    """Return ``rows`` as sentences to be read aloud: a subject and its details.

    A row without a subject has further details of the one before.
    """
    lines: list[str] = []
    for first, *rest in rows:
        subject, details = sanitize_line(first), ", ".join(filter(None, map(sanitize_line, rest)))
        if lines and not subject:
            lines[-1] += f", {details}"
        else:
            lines.append(f"{subject}: {details}" if details else subject)
    return "\n".join(line if line.endswith((".", "!", "?", ELLIPSIS)) else f"{line}." for line in lines)


def labelled(rows: Sequence[tuple[str, str]], columns: int, *, whole: Collection[str] = ()) -> str:
    """Return labels with their values, none of them cut.

    A value without room next to its label wraps under its own beginning. The value of a label in ``whole``,
    such as a path, goes unbroken on the next line instead, so that it can be copied.
    """
    label_width = max((width(label) for label, _ in rows), default=0)
    lines: list[str] = []
    for label, value in rows:
        head = ljust(label, label_width) + _GAP
        if label in whole and width(head) + width(sanitize_line(value)) > columns:
            lines += [label, sanitize_line(value)]
        else:
            lines += hanging(head, value, columns)
    return "\n".join(lines)


def numbered(choices: Sequence[str], columns: int) -> list[str]:
    """Return the rows of a numbered list of choices; wrapped rows hang under the first."""
    digits = len(str(len(choices)))
    rows: list[str] = []
    for number, choice in enumerate(choices, start=1):
        rows += hanging(f"  {number:>{digits}}  ", choice, columns)
    return rows


def explained(rows: Sequence[tuple[str, str]], columns: int, term_columns: int) -> list[list[str]]:
    """Return the lines of each row: a term, and its explanation beside it, wrapped in its own column.

    A term of more than ``term_columns`` has lines of its own above the explanation, and so has every term if
    the explanations would have too little room.
    """
    if term_columns + len(_GAP) + _LEAST_EXPLANATION > columns:
        term_columns = _INDENT
    room = max(1, columns - term_columns - len(_GAP))
    above, terms, texts, counts = [], [], [], []
    for term, text in rows:
        lines = wrap(sanitize_line(text), room, break_on_hyphens=False) or [""]
        is_beside = width(term) <= term_columns
        above.append([] if is_beside else wrap(term, max(1, columns)))
        terms += [term if is_beside else "", *[""] * (len(lines) - 1)]
        texts += lines
        counts.append(len(lines))
    places = ((terms, term_columns), (texts, room))
    drawn = iter(_beside([_fitted(cells, wide, is_right=False) for cells, wide in places]))
    return [[*lines, *islice(drawn, count)] for lines, count in zip(above, counts, strict=True)]


def hanging(head: str, text: str, columns: int) -> list[str]:
    """Return ``text`` after ``head``, wrapped under its beginning as long as that leaves room."""
    indent = width(head) if width(head) + _LEAST_ROOM <= columns else min(len(_GAP), columns - 1)
    return wrap(
        head + sanitize_line(text),
        max(1, columns),
        subsequent_indent=" " * indent,
        replace_whitespace=False,
    ) or [head]
