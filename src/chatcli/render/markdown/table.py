"""Table layout: columns at their natural width, otherwise wrapped cells, otherwise a list of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.render.markdown.inline import LINE_BREAK, Run
from chatcli.render.markdown.painting import BAR
from chatcli.render.markdown.widths import columns_of
from chatcli.render.markdown.wrapping import Row, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatcli.render.markdown.blocks import Table
    from chatcli.render.markdown.inline import Inline
    from chatcli.render.markdown.syntax import Alignment

NARROWEST: Final = 8
"""A table becomes a list of records if a column would be narrower than this and than its content."""

_UNDER_HEADER: Final = "─"
_BETWEEN_ROWS: Final = "╌"


class TableLayout:
    """The rows of one table in ``columns``; its column widths follow from its first rows."""

    def __init__(self, table: Table, inline: Inline, columns: int) -> None:
        self.table = table
        self.columns = columns
        self._inline = inline
        natural = [
            max(_natural_width(self._cell(cell)) for cell in cells)
            for cells in zip(table.header, *table.rows, strict=True)
        ]
        room = columns - len(BAR.text) * (len(natural) - 1)
        self._widths = natural if sum(natural) <= room else _narrowed(natural, room)
        self._is_list = sum(self._widths) > room or any(
            given < min(wanted, NARROWEST) for given, wanted in zip(self._widths, natural, strict=True)
        )
        # Rules separate the rows if cells wrap.
        self._is_ruled = self._widths != natural

    def beginning(self) -> Iterator[Row]:
        """Yield the header and the first rows."""
        if not self._is_list:
            yield from self._lines(self._cell(cell, "table.header") for cell in self.table.header)
            yield self._rule(_UNDER_HEADER)
        for at, cells in enumerate(self.table.rows):
            yield from self.row(cells, is_first=at == 0)

    def row(self, cells: Sequence[str], *, is_first: bool = False) -> Iterator[Row]:
        if self._is_list:
            if not is_first:
                yield []
            yield from self._record(cells)
            return
        if self._is_ruled and not is_first:
            yield self._rule(_BETWEEN_ROWS)
        yield from self._lines(self._cell(cell) for cell in cells)

    def _cell(self, text: str, *roles: str) -> list[Run]:
        return self._inline.runs(text, *roles)

    def _lines(self, cells: Iterable[list[Run]]) -> Iterator[Row]:
        columns = [wrapped(cell, width) for cell, width in zip(cells, self._widths, strict=True)]
        height = max(1, *map(len, columns))
        for line in zip(*[[*column, *[[]] * (height - len(column))] for column in columns], strict=True):
            row: Row = []
            for at, (part, width, alignment) in enumerate(
                zip(line, self._widths, self.table.alignments, strict=True)
            ):
                row += [BAR] if at else []
                row += _aligned(part, width, alignment)
            yield row

    def _rule(self, line: str) -> Row:
        return [Run(f"{line}┼{line}".join(line * width for width in self._widths), ("border",))]

    def _record(self, cells: Sequence[str]) -> Iterator[Row]:
        """Yield a row as a list of column names and values."""
        for name, cell in zip(self.table.header, cells, strict=True):
            label = self._cell(name, "table.header")
            value = self._cell(cell)
            between = [Run(": ", ("table.header",))] if label and value else []
            for at, line in enumerate(wrapped([*label, *between, *value], max(1, self.columns - 2))):
                yield [Run("  "), *line] if at else line


def _natural_width(cell: Sequence[Run]) -> int:
    """Return the width of a cell's widest line, at least one column."""
    widest = line = 0
    for run in cell:
        line = 0 if run is LINE_BREAK else line + columns_of(run.text)
        widest = max(widest, line)
    return max(1, widest)


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Divide ``room`` among columns: narrow ones get their width, the widest share the rest equally."""
    narrowed = list(widths)
    left, wider = room, sorted(range(len(widths)), key=lambda at: widths[at])
    for done, at in enumerate(wider):
        share = left // (len(wider) - done)
        narrowed[at] = min(widths[at], max(1, share))
        left -= narrowed[at]
    return narrowed


def _aligned(part: Row, width: int, alignment: Alignment) -> Row:
    room = max(0, width - sum(columns_of(run.text) for run in part))
    before = {"right": room, "center": room // 2}.get(alignment, 0)
    return [*_blanks(before), *part, *_blanks(room - before)]


def _blanks(columns: int) -> Row:
    return [Run(" " * columns)] if columns else []
