"""Blocks as HTML, to compare them with the specification and other parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml, unescapeAll

from chatcli.render.markdown.blocks import (
    CodeEnd,
    CodeStart,
    CodeText,
    End,
    Heading,
    HtmlStart,
    ItemStart,
    ListStart,
    Paragraph,
    QuoteStart,
    Rule,
    Table,
    TableEnd,
    TableRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.render.markdown.blocks import Block
    from chatcli.render.markdown.references import References


def html_of(blocks: Iterable[Block], references: References) -> str:
    """Return the blocks as CommonMark's reference implementation writes them."""
    return _Writer(references).written(blocks)


class _Writer:
    def __init__(self, references: References) -> None:
        self._inline = MarkdownIt("commonmark").enable(["strikethrough"])
        self._references = references
        self._chunks: list[str] = []
        self._ends: list[str] = []
        self._lists: list[ListStart] = []
        self._in_html = False
        self._paragraph = ""

    def written(self, blocks: Iterable[Block]) -> str:
        for block in blocks:
            self._write(block)
        return "".join(self._chunks)

    def _text(self, text: str) -> str:
        return self._inline.renderInline(text, {"references": self._references})

    def _line(self, text: str) -> None:
        if self._chunks and not self._chunks[-1].endswith("\n"):
            self._chunks.append("\n")
        self._chunks.append(text)

    def _open(self, start: str, end: str) -> None:
        self._line(start)
        self._ends.append(end)

    def _row(self, cells: Iterable[str], table: Table, tag: str) -> None:
        self._line("<tr>\n")
        for cell, alignment in zip(cells, table.alignments, strict=True):
            style = f' style="text-align:{alignment}"' if alignment else ""
            self._line(f"<{tag}{style}>{self._text(cell)}</{tag}>\n")
        self._line("</tr>\n")

    def _write(self, block: Block) -> None:  # noqa: C901, PLR0912, PLR0915 - a table of kinds
        match block:
            case QuoteStart():
                self._open("<blockquote>\n", "</blockquote>\n")
            case ListStart(kind=kind):
                self._lists.append(block)
                start = f' start="{kind.start}"' if kind.start not in {None, 1} else ""
                tag = "ul" if kind.start is None else "ol"
                self._open(f"<{tag}{start}>\n", f"</{tag}>\n")
            case ItemStart():
                self._open("<li>", "</li>\n")
            case End():
                end = self._ends.pop()
                if end in {"</ul>\n", "</ol>\n"}:
                    self._lists.pop()
                if end == "</li>\n":
                    self._chunks.append(end)
                else:
                    self._line(end)
            case Paragraph(text=text, continues=continues):
                self._paragraph += text
                if not continues:
                    inner, self._paragraph = self._text(self._paragraph.strip()), ""
                    if self._ends[-1:] == ["</li>\n"] and not self._lists[-1].kind.is_loose:
                        (self._chunks.append if self._chunks[-1] == "<li>" else self._line)(inner)
                    else:
                        self._line(f"<p>{inner}</p>\n")
            case Heading(level=level, text=text):
                self._line(f"<h{level}>{self._text(text)}</h{level}>\n")
            case Rule():
                self._line("<hr />\n")
            case CodeStart(info=info):
                words = unescapeAll(info or "").split(maxsplit=1)
                language = f' class="language-{escapeHtml(words[0])}"' if words else ""
                self._line(f"<pre><code{language}>")
            case HtmlStart():
                self._in_html = True
                self._line("")
            case CodeText(text=text):
                self._chunks.append((text if self._in_html else escapeHtml(text)) + "\n")
            case CodeEnd():
                if not self._in_html:
                    self._chunks.append("</code></pre>\n")
                self._in_html = False
            case Table(header=header, rows=rows):
                self._table = block
                self._line("<table>\n<thead>\n")
                self._row(header, block, "th")
                self._line("</thead>\n")
                self._has_body = bool(rows)
                if rows:
                    self._line("<tbody>\n")
                for row in rows:
                    self._row(row, block, "td")
            case TableRow(cells=cells):
                self._row(cells, self._table, "td")
            case TableEnd():
                self._line("</tbody>\n</table>\n" if self._has_body else "</table>\n")
