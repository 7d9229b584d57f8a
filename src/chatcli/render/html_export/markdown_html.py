"""Untrusted Markdown as safe HTML, with the same blocks and marks as on the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Final

from chatcli.render.code.highlighter import CodeHighlighter
from chatcli.render.html_export.stylesheet import class_of
from chatcli.render.markdown.block_stream import BlockStream
from chatcli.render.markdown.blocks import (
    CodeEnd,
    CodeStart,
    CodeText,
    End,
    FormulaStart,
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
from chatcli.render.markdown.inline import Inline
from chatcli.render.markdown.syntax import TASK
from chatcli.text.sanitizer import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it.token import Token

    from chatcli.render.markdown.blocks import Block, ListKind
    from chatcli.render.markdown.references import References

# A relative address would lead into the folder of the file.
_SAFE_LINK: Final = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_LINE_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_LONGEST_HIGHLIGHTED: Final = 200_000
"""The characters of a code block: a longer one is data, and its colours would fill the file."""
_FIRST_HEADING: Final = 3  # below those of the document
_TAGS: Final = {
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "em_open": "<em>",
    "em_close": "</em>",
    "s_open": "<s>",
    "s_close": "</s>",
    "hardbreak": "<br>\n",
    "softbreak": "\n",
}


def markdown_to_html(text: str) -> str:
    """Return sanitized Markdown as HTML elements.

    HTML in it is shown as text, formulas as written. An image becomes a link, as nothing may be fetched.
    Headings begin at the third level, below those of the document.
    """
    references: References = {}
    # Definitions may follow their references.
    for _ in _blocks(text, references):
        pass
    return "".join(_Writer(references).written(_blocks(text, references)))


def _blocks(text: str, references: References) -> Iterator[Block]:
    stream = BlockStream(references)
    yield from stream.feed(text)
    yield from stream.finish()


class _Writer:
    """Writes one text. ``_ends`` holds the closing tags of the open elements."""

    def __init__(self, references: References) -> None:
        self._inline = Inline(references, shows_marks=False)
        self._ends: list[str] = []
        self._lists: list[ListKind] = []
        self._begins_item = False
        self._in_paragraph = False
        self._table: Table | None = None
        self._verbatim: list[str] = []
        self._verbatim_start: CodeStart | HtmlStart | FormulaStart = HtmlStart()

    def written(self, blocks: Iterable[Block]) -> Iterator[str]:
        for block in blocks:
            shown = block
            if self._begins_item:
                self._begins_item = False
                opening, shown = _first_in_item(block, self._lists[-1])
                yield opening
            yield from self._written(shown)

    def _written(self, block: Block) -> Iterator[str]:  # noqa: C901, PLR0912 - a table of kinds
        match block:
            case Paragraph():
                yield from self._paragraph(block)
            case Heading(level=level, text=text):
                tag = f"h{min(6, level + _FIRST_HEADING - 1)}"
                yield f"<{tag}>{self._text(text)}</{tag}>\n"
            case Rule():
                yield "<hr>\n"
            case CodeStart() | HtmlStart() | FormulaStart():
                self._verbatim_start = block
                self._verbatim.clear()
            case CodeText(text=text):
                self._verbatim += (text, "\n")
            case CodeEnd():
                yield _verbatim(self._verbatim_start, "".join(self._verbatim))
            case Table(header=header, rows=rows):
                self._table = block
                yield "<table>\n<thead>\n"
                yield from self._row(header, "th")
                yield "</thead>\n<tbody>\n"
                for row in rows:
                    yield from self._row(row, "td")
            case TableRow(cells=cells):
                yield from self._row(cells, "td")
            case TableEnd():
                yield "</tbody>\n</table>\n"
            case QuoteStart():
                self._ends.append("</blockquote>\n")
                yield "<blockquote>\n"
            case ListStart(kind=kind):
                self._lists.append(kind)
                start = f' start="{kind.start}"' if kind.start not in {None, 1} else ""
                tag = "ul" if kind.start is None else "ol"
                self._ends.append(f"</{tag}>\n")
                yield f"<{tag}{start}>\n"
            case ItemStart():
                self._ends.append("</li>\n")
                self._begins_item = True
            case End():
                end = self._ends.pop()
                if end in {"</ul>\n", "</ol>\n"}:
                    self._lists.pop()
                yield end

    def _paragraph(self, paragraph: Paragraph) -> Iterator[str]:
        is_tight = self._ends[-1:] == ["</li>\n"] and not self._lists[-1].is_loose
        if not self._in_paragraph:
            yield "" if is_tight else "<p>"
        yield _inline(self._inline.paragraph_tokens(paragraph))
        self._in_paragraph = paragraph.continues
        if not self._in_paragraph:
            yield "\n" if is_tight else "</p>\n"

    def _row(self, cells: Sequence[str], tag: str) -> Iterator[str]:
        alignments = self._table.alignments if self._table else ()
        yield "<tr>"
        for cell, alignment in zip(cells, alignments, strict=True):
            style = f' style="text-align:{alignment}"' if alignment else ""
            yield f"<{tag}{style}>{self._text(cell)}</{tag}>"
        yield "</tr>\n"

    def _text(self, text: str) -> str:
        return _inline(self._inline.tokens(text))


def _first_in_item(block: Block, kind: ListKind) -> tuple[str, Block]:
    """Return the tag of an item that begins with ``block``, and the block with a checkbox for a task."""
    task = TASK.match(block.text) if isinstance(block, Paragraph) else None
    if task is None or not isinstance(block, Paragraph):
        return "<li>", block
    box = "☐ " if task["mark"] == " " else "☑ "
    opening = '<li class="task">' if kind.start is None else "<li>"
    return opening, replace(block, text=box + block.text[task.end() :])


def _verbatim(start: CodeStart | HtmlStart | FormulaStart, text: str) -> str:
    match start:
        case CodeStart(info=None):
            return f"<pre><code>{escape(text)}</code></pre>\n"
        case CodeStart(info=info):
            return f'<pre class="code"><code>{_highlighted(text, info or "")}</code></pre>\n'
        case FormulaStart():
            # A <pre> drops its first line feed.
            return f'<pre class="formula">\n{escape(text)}</pre>\n'
        case HtmlStart():
            return f'<div class="words">{escape(text.rstrip())}</div>\n'


def _highlighted(code: str, language: str) -> str:
    if len(code) > _LONGEST_HIGHLIGHTED:
        return escape(code)
    highlighter = CodeHighlighter(language)
    return "\n".join(
        "".join(_run(role, text) for role, text in highlighter.line(line)) for line in code.split("\n")
    )


def _run(role: str, text: str) -> str:
    return f'<span class="{class_of(role)}">{escape(text)}</span>' if role else escape(text)


def _inline(tokens: Iterable[Token]) -> str:
    chunks: list[str] = []
    links: list[str] = []  # the closing tags of the open links
    for token in tokens:
        match token.type:
            case "link_open":
                opening, closing = _link(token.attrGet("href"), token.attrGet("title"))
                chunks.append(opening)
                links.append(closing)
            case "link_close":
                chunks.append(links.pop())
            case "image":
                source = token.attrGet("src")
                words = _without_marks(token.children or ()) or str(source)
                opening, closing = _link(source, token.attrGet("title"))
                chunks += opening, "Image: ", _shown(words), closing
            case "code_inline":
                chunks.append(f"<code>{_shown(token.content)}</code>")
            case "html_inline" if _LINE_BREAK.fullmatch(token.content):
                chunks.append("<br>\n")
            case kind:
                chunks.append(_TAGS.get(kind) or _shown(token.content))
    return "".join(chunks)


def _link(address: object, title: object) -> tuple[str, str]:
    """Return the opening and closing tag of a link; an unsafe address becomes text after the link text."""
    if not _SAFE_LINK.match(str(address)):
        return "", f" ({_shown(str(address))})" if address else ""
    # Sanitized again: a percent escape or an entity can decode to an unsafe character.
    named = f' title="{_shown(str(title))}"' if title else ""
    return f'<a href="{_shown(str(address))}"{named} rel="noopener noreferrer nofollow">', "</a>"


def _without_marks(tokens: Sequence[Token]) -> str:
    return "".join(
        token.content if token.type != "image" else _without_marks(token.children or ()) for token in tokens
    )


def _shown(text: str) -> str:
    return escape(sanitize(text))
