"""Blocks as rows: containers, the gaps between blocks, and each kind of leaf."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen
from chatcli.render.code.highlighter import CodeHighlighter
from chatcli.render.markdown.blocks import (
    CodeEnd,
    CodeStart,
    CodeText,
    End,
    FormulaStart,
    Heading,
    HtmlStart,
    ItemStart,
    ListKind,
    ListStart,
    Paragraph,
    QuoteStart,
    Rule,
    Table,
    TableEnd,
    TableRow,
)
from chatcli.render.markdown.inline import Run
from chatcli.render.markdown.painting import without_ending_blanks
from chatcli.render.markdown.syntax import TASK
from chatcli.render.markdown.table import TableLayout
from chatcli.render.markdown.widths import columns_of
from chatcli.render.markdown.wrapping import Row, Wrapper, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.render.markdown.blocks import Block
    from chatcli.render.markdown.inline import Inline
    from chatcli.render.themes import Role

_BULLETS: Final = ("•", "◦", "▪")
_UNDERLINES: Final = {1: "═", 2: "─"}
_LONGEST_RULE: Final = 80
_LONGEST_LANGUAGE: Final = 30
_NARROWEST_TEXT: Final = 12
_BAR: Final = (Run("│ ", ("quote.bar",)),)


@frozen
class _Level:
    """An open quote, list or item.

    ``lead`` goes before its first row, ``indent`` before the others; both are ``columns`` wide.
    """

    lead: tuple[Run, ...] = ()
    indent: tuple[Run, ...] = ()
    kind: ListKind | None = None
    items: int = 0
    columns: int = 0
    is_quote: bool = False
    is_lead_drawn: bool = False
    has_child: bool = False


class Drawing:
    """Draws blocks in order. A copy continues independently, to preview uncertain blocks."""

    def __init__(self, inline: Inline) -> None:
        self._inline = inline
        self._levels: list[_Level] = [_Level()]
        self._code_blocks = 0
        self._code: CodeHighlighter | None = None  # None in HTML and in a formula
        self._verbatim: Role = "html"
        self._wrapper: Wrapper | None = None  # of a paragraph with more parts to come
        self._table: TableLayout | None = None

    def copy(self) -> Drawing:
        copied = Drawing(self._inline)
        copied._levels = list(self._levels)
        copied._code_blocks = self._code_blocks
        copied._code = self._code.copy() if self._code else None
        copied._verbatim = self._verbatim
        copied._wrapper = self._wrapper.copy() if self._wrapper else None
        copied._table = self._table
        return copied

    def forget_gap(self) -> None:
        """Draw the next block without a gap before it."""
        self._levels[-1] = replace(self._levels[-1], has_child=False)

    def reopen_code(self, info: str) -> None:
        """Continue a code block whose beginning was drawn elsewhere."""
        self._code = CodeHighlighter(info)
        self._levels[-1] = replace(self._levels[-1], has_child=True)

    def draw(self, blocks: Iterable[Block], columns: int) -> list[Row]:
        """Return the completed rows; the last row of an unfinished paragraph is held back."""
        rows: list[Row] = []
        for block in blocks:
            self._draw(block, columns, rows)
        return rows

    def _draw(self, block: Block, columns: int, rows: list[Row]) -> None:  # noqa: C901, PLR0912 - a table of kinds
        match block:
            case Paragraph():
                self._draw_paragraph(block, columns, rows)
            case Heading(level=level, text=text):
                self._begin(rows)
                self._add(self._heading(level, text, self._room(columns)), columns, rows)
            case Rule():
                self._begin(rows)
                length = min(self._room(columns), _LONGEST_RULE)
                self._add([[Run("─" * length, ("rule",))]], columns, rows)
            case CodeStart(info=info):
                self._begin(rows)
                self._code = CodeHighlighter(info or "")
                if info is not None:
                    self._add([self._label(info)], columns, rows)
            case HtmlStart() | FormulaStart():
                self._begin(rows)
                self._code = None
                self._verbatim = "html" if isinstance(block, HtmlStart) else "math"
            case CodeText(text=text):
                code = self._code.line(text) if self._code else [(self._verbatim, text)]
                self._add([[Run(part, (role,) if role else ()) for role, part in code]], columns, rows)
            case Table():
                self._begin(rows)
                self._table = TableLayout(block, self._inline, self._room(columns))
                self._add(self._table.beginning(), columns, rows)
            case TableRow(cells=cells) if self._table is not None:
                if self._table.columns != self._room(columns):
                    self._table = TableLayout(self._table.table, self._inline, self._room(columns))
                self._add(self._table.row(cells), columns, rows)
            case TableEnd():
                self._table = None
            case CodeEnd():
                self._code = None
            case QuoteStart():
                self._begin(rows)
                self._levels.append(_Level(_BAR, _BAR, columns=2, is_quote=True))
            case ListStart(kind=kind):
                self._begin(rows)
                self._levels.append(_Level(kind=kind))
            case ItemStart():
                self._begin_item(rows)
            case End():
                self._end_level(columns, rows)

    def _draw_paragraph(self, paragraph: Paragraph, columns: int, rows: list[Row]) -> None:
        if self._wrapper is None:
            self._begin(rows)
            if (text := self._without_task(paragraph.text)) != paragraph.text:
                paragraph = replace(paragraph, text=text)
            self._wrapper = Wrapper(self._room(columns))
        full, self._wrapper = self._wrapper.resized(self._room(columns))
        roles: tuple[Role, ...] = ("quote",) if any(level.is_quote for level in self._levels) else ()
        full += self._wrapper.add(self._inline.paragraph(paragraph, *roles))
        if not paragraph.continues:
            full += self._wrapper.finish()
            self._wrapper = None
        self._add(full, columns, rows)

    def _without_task(self, text: str) -> str:
        """Replace the bullet of a task item by a checkbox; return the text without the task mark."""
        item = self._levels[-1]
        task = TASK.match(text) if item.lead and not item.is_quote and not item.is_lead_drawn else None
        if task is None:
            return text
        box = "☐ " if task["mark"] == " " else "☑ "
        lead = (
            (Run(box, ("task",)),) if item.lead[0].text[0] in _BULLETS else (*item.lead, Run(box, ("task",)))
        )
        self._levels[-1] = _item_level(lead)
        return text[task.end() :]

    def _heading(self, level: int, text: str, room: int) -> list[Row]:
        runs = self._inline.runs(text, f"heading{level}" if level in _UNDERLINES else "heading")
        rows = wrapped(runs, room)
        if level in _UNDERLINES and rows:
            length = max(sum(columns_of(run.text) for run in row) for row in rows)
            rows.append([Run(_UNDERLINES[level] * length, ("border",))])
        return rows

    def _label(self, info: str) -> Row:
        """Return the line above a code block: its number, used by commands, and its language."""
        self._code_blocks += 1
        language = info.split(maxsplit=1)[0][:_LONGEST_LANGUAGE] if info else ""
        name = f"{self._code_blocks} · {language}" if language else str(self._code_blocks)
        return [Run(f"── {name} ──", ("label",))]

    def _begin(self, rows: list[Row]) -> None:
        """Add a gap before the next block of the innermost level, if one is due."""
        around = self._levels[-1]
        if around.has_child and not self._is_tight():
            rows.append(without_ending_blanks([run for level in self._levels for run in level.indent]))
        if not around.has_child:
            self._levels[-1] = replace(around, has_child=True)

    def _is_tight(self) -> bool:
        kinds = [level.kind for level in self._levels[-2:] if level.kind is not None]
        is_list_or_item = self._levels[-1].kind is not None or (
            len(self._levels) > 1 and self._levels[-2].kind is not None
        )
        return is_list_or_item and not kinds[-1].is_loose

    def _begin_item(self, rows: list[Row]) -> None:
        self._begin(rows)
        around = self._levels[-1]
        if around.kind is None or around.kind.start is None:
            depth = sum(level.kind is not None and level.kind.start is None for level in self._levels)
            mark = _BULLETS[(depth - 1) % len(_BULLETS)]
        else:
            mark = f"{around.kind.start + around.items}{around.kind.marker}"
        self._levels[-1] = replace(around, items=around.items + 1)
        self._levels.append(_item_level((Run(f"{mark} ", ("marker",)),)))

    def _end_level(self, columns: int, rows: list[Row]) -> None:
        if self._levels[-1].lead and not self._levels[-1].is_lead_drawn:
            self._add([[]], columns, rows)  # an empty item, an empty quote
        self._levels.pop()

    def _room(self, columns: int) -> int:
        """Return how many columns are left for text."""
        return max(1, columns - sum(level.columns for level in self._shown(columns)))

    def _shown(self, columns: int) -> list[_Level]:
        """Return the levels there is room to draw: the innermost ones, if there are too many."""
        left = max(columns - _NARROWEST_TEXT, columns // 2)
        for at in range(len(self._levels) - 1, -1, -1):
            left -= self._levels[at].columns
            if left < 0:
                return self._levels[at + 1 :]
        return self._levels

    def _add(self, drawn: Iterable[Row], columns: int, rows: list[Row]) -> None:
        shown = self._shown(columns)
        first = len(self._levels) - len(shown)
        for row in drawn:
            before: list[Run] = []
            for at, level in enumerate(self._levels):
                if level.lead and not level.is_lead_drawn:
                    before += level.lead
                    self._levels[at] = replace(level, is_lead_drawn=True)
                elif at >= first:
                    before += level.indent
            rows.append(without_ending_blanks([*before, *row]))


def _item_level(lead: tuple[Run, ...]) -> _Level:
    columns = sum(columns_of(run.text) for run in lead)
    return _Level(lead, (Run(" " * columns),), columns=columns)
