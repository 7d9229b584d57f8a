"""A line-by-line parser for Markdown blocks: CommonMark 0.31 with GitHub's tables.

It follows the specification's appendix (https://spec.commonmark.org/0.31.2/#appendix-a-parsing-strategy):
each line first continues open containers, then may open new ones, and its rest belongs to a leaf. Nothing is
parsed twice, so the cost of a line does not depend on the text before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.render.markdown.blocks import (
    Block,
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
from chatcli.render.markdown.open_blocks import (
    Container,
    Fenced,
    Formula,
    Html,
    Indented,
    Item,
    ItemList,
    Leaf,
    ParagraphLines,
    Quote,
    Rows,
)
from chatcli.render.markdown.references import References, without_definitions
from chatcli.render.markdown.syntax import (
    BLANK_LINE,
    CODE_INDENT,
    FENCE,
    RULE,
    UNDERLINE,
    Alignment,
    Cursor,
    Marker,
    cells_of,
    columns_of,
    formula_end,
    heading_in,
    html_end,
    marker_in,
)

if TYPE_CHECKING:
    import re

DEEPEST: Final = 50
"""The maximum nesting depth of quotes, lists and items; a deeper opener is text."""

_LONGEST_WORD: Final = 100
"""The maximum length kept of the source line around a cut; its consumers need no more."""

FIRST_ROWS: Final = 20
"""A table is held back until it has this many rows."""


class BlockParser:
    """Takes lines without their ends and emits the blocks each starts, extends and ends.

    ``references`` is filled with the definitions of links.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._open: list[Container] = []
        self._leaf: Leaf | None = None
        self._after_blank = False
        self._emitted: list[Block] = []

    def copy(self, kinds: dict[ListKind, ListKind]) -> BlockParser:
        """Return an independent copy; ``kinds`` maps the kinds of open lists to their copies."""
        copied = BlockParser(dict(self._references))
        copied._open = [container.copy(kinds) for container in self._open]
        copied._leaf = self._leaf.copy() if self._leaf else None
        copied._after_blank = self._after_blank
        return copied

    def line(self, line: str) -> list[Block]:
        """Return the blocks that ``line`` emits."""
        cursor = Cursor(line)
        kept = self._continued(cursor)
        if not self._takes_verbatim(cursor, kept):
            self._read(cursor, kept)
        return self._take_emitted()

    def finish(self) -> list[Block]:
        """Close everything that is open and return the emitted blocks."""
        self._close_to(0)
        return self._take_emitted()

    @property
    def paragraph(self) -> str | None:
        """The text of the open paragraph that has not been emitted."""
        return "\n".join(self._leaf.lines) if isinstance(self._leaf, ParagraphLines) else None

    @property
    def continuation(self) -> str:
        """The prefix of a line that continues the open quotes and items."""
        return "".join(
            "> " if isinstance(container, Quote) else " " * container.content_indent
            for container in self._open
            if not isinstance(container, ItemList)
        )

    def may_begin(self, line: str) -> bool:
        """Whether ``line`` may start a block: it is not inside code, HTML, a formula or a table."""
        if not isinstance(self._leaf, Fenced | Indented | Html | Formula | Rows):
            return True
        return self._continued(Cursor(line)) < len(self._open)

    @property
    def open_fence(self) -> str | None:
        """The opening line of the open code block, without its indent."""
        return self._leaf.fence + self._leaf.info if isinstance(self._leaf, Fenced) else None

    def extend_paragraph(self, text: str) -> None:
        """Append to the last line of the open paragraph."""
        if isinstance(self._leaf, ParagraphLines):
            self._leaf.lines[-1] += text

    def cut_paragraph(self, at: int) -> list[Block]:
        """Emit the first ``at`` characters of the open paragraph, which is then certainly a paragraph."""
        if isinstance(self._leaf, ParagraphLines):
            text, before = "\n".join(self._leaf.lines), self._leaf.line_before
            word_after = text[at : at + _LONGEST_WORD].split(maxsplit=1)[:1]
            self._emitted.append(Paragraph(text[:at], True, before, "".join(word_after)))
            self._leaf.lines = text[at:].split("\n")
            self._leaf.is_cut = True
            cut_line = text[:at].rpartition("\n")
            line = cut_line[2] if cut_line[1] else before + cut_line[2]
            self._leaf.line_before = line[-_LONGEST_WORD:]
        return self._take_emitted()

    def _take_emitted(self) -> list[Block]:
        emitted, self._emitted = self._emitted, []
        return emitted

    def _continued(self, cursor: Cursor) -> int:
        """Skip the marks that continue open containers; return how many containers continue."""
        for at, container in enumerate(self._open):
            if isinstance(container, Quote):
                if not _takes_quote_mark(cursor):
                    return at
            elif isinstance(container, Item):
                has_ended = (
                    container.is_empty if cursor.is_blank else cursor.indent < container.content_indent
                )
                if has_ended:
                    return at
                cursor.skip_indent(container.content_indent)
        return len(self._open)

    def _takes_verbatim(self, cursor: Cursor, kept: int) -> bool:
        """Add the line to open code or HTML; return whether it belongs there."""
        if kept < len(self._open):
            return False
        match self._leaf:
            case Fenced() as fenced:
                if fenced.is_closed_by(cursor.text, cursor.indent):
                    self._close_leaf()
                else:
                    cursor.skip_indent(fenced.indent)
                    self._emitted.append(CodeText(cursor.rest))
            case Html(end=end) | Formula(end=end):
                if cursor.is_blank and (end is BLANK_LINE or isinstance(self._leaf, Formula)):
                    return False
                self._add_verbatim(cursor.rest, end)
            case _:
                return False
        self._after_blank = False
        return True

    def _add_verbatim(self, line: str, end: re.Pattern[str]) -> None:
        self._emitted.append(CodeText(line))
        if end is not BLANK_LINE and end.search(line):
            self._close_leaf()

    def _read(self, cursor: Cursor, kept: int) -> None:
        has_opened = False
        while not cursor.is_blank and cursor.indent < CODE_INDENT:
            if self._opens_container(cursor, kept, has_opened=has_opened):
                has_opened = True
                kept = len(self._open)
            elif self._is_leaf_of_its_own(cursor, kept, has_opened=has_opened):
                self._after_blank = False
                return
            else:
                break
        if cursor.is_blank:
            self._add_blank(cursor, kept, has_opened=has_opened)
        else:
            self._add_text(cursor, kept, has_opened=has_opened)
            self._after_blank = False

    def _opens_container(self, cursor: Cursor, kept: int, *, has_opened: bool) -> bool:
        if len(self._open) >= DEEPEST:
            return False
        text = cursor.text
        if text.startswith(">"):
            self._make_room(kept)
            _takes_quote_mark(cursor)
            self._open.append(Quote())
            self._emitted.append(QuoteStart())
            self._after_blank = False
            return True
        marker = marker_in(text)
        if marker is None or RULE.match(text) or self._is_heading(text, kept, has_opened=has_opened):
            return False
        if self._is_in_paragraph(kept, has_opened=has_opened):
            # Only an unmistakable list item may interrupt a paragraph (§5.2, §5.3).
            is_empty = not text[marker.width :].strip(" \t")
            if is_empty or marker.number not in {None, 1} or self._table_under(cursor):
                return False
        self._open_item(cursor, marker, kept)
        return True

    def _open_item(self, cursor: Cursor, marker: Marker, kept: int) -> None:
        indent = cursor.indent
        self._make_room(kept, marker)
        cursor.skip_indent(indent)
        cursor.skip(marker.width)
        space = cursor.indent
        if cursor.is_blank or space > CODE_INDENT:
            space = 1  # followed by indented code, or by nothing
        cursor.skip_indent(space)
        if not (self._open and isinstance(self._open[-1], ItemList)):
            kind = ListKind(marker.kind, marker.number)
            self._open.append(ItemList(kind))
            self._emitted.append(ListStart(kind))
        self._open.append(Item(indent + marker.width + space))
        self._emitted.append(ItemStart(marker.number))
        self._after_blank = False

    def _is_leaf_of_its_own(self, cursor: Cursor, kept: int, *, has_opened: bool) -> bool:
        """Start a leaf that needs no context: a heading, a rule, a fence, HTML, a table."""
        text = cursor.text
        if heading := heading_in(text):
            self._make_room(kept)
            self._emitted.append(Heading(*heading))
        elif fence := FENCE.match(text):
            self._make_room(kept)
            self._leaf = Fenced(fence["fence"], cursor.indent, fence["info"].strip(" \t"))
            self._emitted.append(CodeStart(self._leaf.info))
        elif end := html_end(text, in_paragraph=not has_opened and self._has_text):
            self._make_room(kept)
            self._leaf = Html(end)
            self._emitted.append(HtmlStart())
            self._add_verbatim(cursor.rest, end)
        elif end := formula_end(text, in_paragraph=not has_opened and self._has_text):
            self._make_room(kept)
            self._leaf = Formula(end)
            self._emitted.append(FormulaStart())
            # Its opening mark does not close it.
            self._emitted.append(CodeText(cursor.rest))
        elif self._is_heading(text, kept, has_opened=has_opened):
            self._underline(2 if text.startswith("-") else 1)
        elif not has_opened and kept == len(self._open) and self._table_under(cursor):
            self._begin_table(columns_of(text))
        elif RULE.match(text):
            self._make_room(kept)
            self._emitted.append(Rule())
        else:
            return False
        return True

    @property
    def _has_text(self) -> bool:
        return isinstance(self._leaf, ParagraphLines | Rows)

    def _is_in_paragraph(self, kept: int, *, has_opened: bool) -> bool:
        return not has_opened and kept == len(self._open) and isinstance(self._leaf, ParagraphLines)

    def _is_heading(self, text: str, kept: int, *, has_opened: bool) -> bool:
        """Whether ``text`` underlines the open paragraph (§4.3)."""
        if not self._is_in_paragraph(kept, has_opened=has_opened) or not UNDERLINE.match(text):
            return False
        leaf = self._leaf
        if not isinstance(leaf, ParagraphLines) or leaf.is_cut:
            return False
        leaf.lines = without_definitions(leaf.lines, self._references)
        if not leaf.lines:
            self._leaf = None
        return bool(leaf.lines)

    def _underline(self, level: int) -> None:
        if isinstance(self._leaf, ParagraphLines):
            text = "\n".join(self._leaf.lines).strip(" \t")
            self._leaf = None
            self._emitted.append(Heading(level, text))

    def _table_under(self, cursor: Cursor) -> bool:
        """Whether the line is a delimiter row below a header at the end of the open paragraph."""
        leaf = self._leaf
        if not isinstance(leaf, ParagraphLines) or leaf.last_is_lazy or "|" not in leaf.lines[-1]:
            return False
        if leaf.is_cut and len(leaf.lines) == 1:
            return False  # its beginning may have been emitted
        columns = columns_of(cursor.text)
        return bool(columns) and len(columns) == len(cells_of(leaf.lines[-1]))

    def _begin_table(self, alignments: tuple[Alignment, ...]) -> None:
        if isinstance(self._leaf, ParagraphLines):
            header = cells_of(self._leaf.lines.pop())
            if self._leaf.lines:
                self._close_leaf()
            self._leaf = Rows(alignments, tuple(header))

    def _add_blank(self, cursor: Cursor, kept: int, *, has_opened: bool) -> None:
        if has_opened:
            self._after_blank = False
            return
        is_in_code = kept == len(self._open) and isinstance(self._leaf, Indented)
        if isinstance(self._leaf, Indented) and is_in_code:
            cursor.skip_indent(CODE_INDENT)
            self._leaf.blank_lines.append(cursor.rest)
        else:
            self._close_leaf()
            self._close_to(kept)
        self._after_blank = not (self._open and isinstance(self._open[-1], Quote))

    def _add_text(self, cursor: Cursor, kept: int, *, has_opened: bool) -> None:
        is_code = cursor.indent >= CODE_INDENT
        continues = not has_opened and kept == len(self._open)
        leaf = self._leaf
        if isinstance(leaf, ParagraphLines) and not has_opened:
            # Even if a container has ended: a paragraph may be continued lazily (§5.1).
            leaf.lines.append(cursor.text)
            leaf.last_is_lazy = kept < len(self._open) or is_code
        elif isinstance(leaf, Rows) and continues and not is_code:
            self._add_row(leaf, cursor.text)
        elif is_code:
            if not (isinstance(leaf, Indented) and continues):
                self._make_room(kept)
                leaf = self._leaf = Indented()
                self._emitted.append(CodeStart(None))
            self._emitted += (CodeText(line) for line in leaf.blank_lines)
            leaf.blank_lines.clear()
            cursor.skip_indent(CODE_INDENT)
            self._emitted.append(CodeText(cursor.rest))
        else:
            self._make_room(kept)
            self._leaf = ParagraphLines([cursor.text])

    def _add_row(self, table: Rows, line: str) -> None:
        cells = cells_of(line)
        columns = len(table.alignments)
        # An unescaped | in code makes an extra cell; its text is still shown.
        surplus = cells[columns - 1 :] if len(cells) > columns else []
        cells = [*cells[: columns - 1], " | ".join(surplus)] if surplus else cells
        row = tuple(cells) + ("",) * (columns - len(cells))
        if table.is_emitted:
            self._emitted.append(TableRow(row))
            return
        table.rows.append(row)
        if len(table.rows) == FIRST_ROWS:
            self._emit_table(table)

    def _emit_table(self, table: Rows) -> None:
        self._emitted.append(Table(table.alignments, table.header, tuple(table.rows)))
        table.is_emitted = True

    def _make_room(self, kept: int, marker: Marker | None = None) -> None:
        """Close what cannot hold the next block, and update the looseness of the list around it."""
        self._close_leaf()
        self._close_to(kept)
        if self._open and isinstance(self._open[-1], ItemList):
            kind = self._open[-1].kind
            if marker is not None and marker.kind == kind.marker:
                if self._after_blank:
                    _loosen(kind)
                return
            self._close_to(len(self._open) - 1)
        if self._open and isinstance(item := self._open[-1], Item):
            if item.is_empty:
                self._open[-1] = replace(item, is_empty=False)
            elif self._after_blank and isinstance(around := self._open[-2], ItemList):
                _loosen(around.kind)

    def _close_to(self, kept: int) -> None:
        if len(self._open) > kept or not kept:
            self._close_leaf()
        while len(self._open) > kept:
            closed = self._open.pop()
            if isinstance(closed, ItemList):
                closed.kind.is_decided = True
            self._emitted.append(End())

    def _close_leaf(self) -> None:
        leaf, self._leaf = self._leaf, None
        match leaf:
            case ParagraphLines(lines=lines, is_cut=is_cut, line_before=before):
                lines = lines if is_cut else without_definitions(lines, self._references)
                if lines:
                    text = "\n".join(lines).rstrip(" \t")
                    self._emitted.append(Paragraph(text, line_before=before))
            case Fenced() | Indented() | Html() | Formula():
                self._emitted.append(CodeEnd())
            case Rows(is_emitted=is_emitted):
                if not is_emitted:
                    self._emit_table(leaf)
                self._emitted.append(TableEnd())


def _takes_quote_mark(cursor: Cursor) -> bool:
    if cursor.indent >= CODE_INDENT or not cursor.text.startswith(">"):
        return False
    cursor.skip_indent(cursor.indent)
    cursor.skip(1)
    cursor.skip_indent(1)
    return True


def _loosen(kind: ListKind) -> None:
    if not kind.is_decided:
        kind.is_loose = True
