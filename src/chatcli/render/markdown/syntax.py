"""The syntax of one line of Markdown: CommonMark 0.31 with GitHub's tables.

Sections (§) refer to https://spec.commonmark.org/0.31.2/.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from chatcli.core.frozen import frozen
from chatcli.text.lazy_pattern import lazy_pattern

Alignment: TypeAlias = Literal["", "left", "center", "right"]

CODE_INDENT: Final = 4
TAB_WIDTH: Final = 4

# These match a line without its indent.
FENCE: Final = lazy_pattern(r"(?P<fence>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")
HEADING: Final = lazy_pattern(r"(?P<marks>#{1,6})(?:[ \t]+(?P<text>.*))?$")
_CLOSING_MARKS: Final = lazy_pattern(r"(?:^|[ \t]+)#+[ \t]*$")
RULE: Final = lazy_pattern(r"(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$")
UNDERLINE: Final = lazy_pattern(r"(?P<marks>=+|-+)[ \t]*$")
_MARKER: Final = lazy_pattern(
    r"(?:(?P<bullet>[-+*])|(?P<number>\d{1,9})(?P<after>[.)]))(?=[ \t]|$)", re.ASCII
)
TASK: Final = lazy_pattern(r"\[(?P<mark>[ xX])\](?=[ \t]+\S)[ \t]+")

_DELIMITER_ROW: Final = lazy_pattern(r"[|:-][-:|\s]*$")
_DELIMITER: Final = lazy_pattern(r":?-+:?$")
_PIPE: Final = lazy_pattern(r"(?<!\\)\|")

# §4.6: HTML with its own end mark, then HTML that ends at a blank line.
_HTML_TO_ITS_END: Final = tuple(
    (re.compile(start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        (r"<(?:script|pre|style|textarea)(?:[\s>]|$)", r"</(?:script|pre|style|textarea)>"),
        (r"<!--", r"-->"),
        (r"<\?", r"\?>"),
        (r"<![A-Za-z]", r">"),
        (r"<!\[CDATA\[", r"\]\]>"),
    )
)
_HTML_BLOCK_TAG: Final = lazy_pattern(
    r"</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details"
    r"|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr"
    r"|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search"
    r"|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)(?:\s|/?>|$)",
    re.IGNORECASE,
)
_HTML_LONE_TAG: Final = lazy_pattern(
    r"""(?:</[A-Za-z][A-Za-z0-9-]*\s*>|<[A-Za-z][A-Za-z0-9-]*"""
    r"""(?:\s+[A-Za-z_:][A-Za-z0-9:._-]*(?:\s*=\s*(?:[^"'=<>`\x00-\x20]+|'[^']*'|"[^"]*"))?)*\s*/?>)\s*$"""
)
BLANK_LINE: Final = lazy_pattern(r"[ \t]*$")

# An inline formula has no blank inside its dollars and no digit after them: "$5 and $10" is text, as in
# pandoc's Markdown. A backslash after \( and \[ starts a TeX command, otherwise they are escaped marks.
FORMULA_IN_TEXT: Final = lazy_pattern(
    r"\$\$(?=\S).+?(?<=\S)\$\$|\$(?=[^\s$])(?:[^$\\\n]|\\.)*?(?<=[^\s\\])\$(?![\d$])"
    r"|\\\((?!\\[^a-zA-Z{|,:;!]).+?\\\)|\\\[(?!\\[^a-zA-Z{|,:;!]).+?\\\]",
    re.DOTALL,
)

# A display formula starts with its mark alone or, outside a paragraph, with text after it.
_FORMULA: Final = lazy_pattern(r"(?P<mark>\$\$|\\\[)(?P<text>[ \t]*(?!\$).*)$")
_FORMULA_ENDS: Final = {"$$": re.compile(r"\$\$[ \t]*$"), "\\[": re.compile(r"\\\][ \t]*$")}
_MARKDOWN_LANGUAGES: Final = {"markdown", "md", "mdx", "commonmark", "gfm"}


class Cursor:
    """The rest of a line and its column; tab stops are multiples of four columns (§2.2)."""

    __slots__ = ("_column", "rest")

    def __init__(self, line: str) -> None:
        self.rest = line
        self._column = 0

    @property
    def is_blank(self) -> bool:
        return not self.rest.strip(" \t")

    @property
    def indent(self) -> int:
        """The columns of white space before the text."""
        column = self._column
        for character in self.rest:
            if character == " ":
                column += 1
            elif character == "\t":
                column += TAB_WIDTH - column % TAB_WIDTH
            else:
                break
        return column - self._column

    @property
    def text(self) -> str:
        """The rest without its indent."""
        return self.rest.lstrip(" \t")

    def skip_indent(self, columns: int) -> None:
        """Skip white space of up to ``columns``; the rest of a partly skipped tab becomes blanks."""
        at, passed = 0, 0
        while passed < columns and at < len(self.rest) and self.rest[at] in " \t":
            column = self._column + passed
            passed += 1 if self.rest[at] == " " else TAB_WIDTH - column % TAB_WIDTH
            at += 1
        self.rest = " " * max(0, passed - columns) + self.rest[at:]
        self._column += min(passed, columns)

    def skip(self, characters: int) -> None:
        """Skip ``characters`` that are not tabs."""
        self.rest = self.rest[characters:]
        self._column += characters


@frozen
class Marker:
    """The start of a list item (§5.2): ``kind`` is its bullet, or the delimiter after its ``number``."""

    kind: str
    number: int | None
    width: int


def marker_in(text: str) -> Marker | None:
    match = _MARKER.match(text)
    if match is None:
        return None
    number = match["number"]
    return Marker(match["bullet"] or match["after"], None if number is None else int(number), match.end())


def heading_in(text: str) -> tuple[int, str] | None:
    """Return the level and text of an ATX heading (§4.2)."""
    match = HEADING.match(text)
    if match is None:
        return None
    return len(match["marks"]), _CLOSING_MARKS.sub("", match["text"] or "").strip(" \t")


def is_closing_fence(text: str, fence: str) -> bool:
    marks = text.rstrip(" \t")
    return len(marks) >= len(fence) and not marks.strip(fence[0])


def html_end(text: str, *, in_paragraph: bool) -> re.Pattern[str] | None:
    """Return the end pattern of the HTML block that ``text`` starts, ``None`` if it starts none (§4.6)."""
    if not text.startswith("<"):
        return None
    for start, end in _HTML_TO_ITS_END:
        if start.match(text):
            return end
    if _HTML_BLOCK_TAG.match(text) or (not in_paragraph and _HTML_LONE_TAG.match(text)):
        return BLANK_LINE
    return None


def formula_end(text: str, *, in_paragraph: bool) -> re.Pattern[str] | None:
    """Return the end pattern of the display formula that ``text`` starts, ``None`` if it starts none.

    A blank line ends it too: TeX allows none in a formula.
    """
    match = _FORMULA.match(text) if text.startswith(("$$", "\\[")) else None
    if match is None:
        return None
    has_text = bool(match["text"].strip(" \t"))
    if has_text and (in_paragraph or match["mark"] != "$$" or "$$" in match["text"]):
        return None
    return _FORMULA_ENDS[match["mark"]]


def holds_markdown(info: str) -> bool:
    """Whether the code of a fence with this ``info`` is Markdown and may hold fences itself."""
    return info.split(maxsplit=1)[:1] != [] and info.split(maxsplit=1)[0].lower() in _MARKDOWN_LANGUAGES


def columns_of(delimiter_row: str) -> tuple[Alignment, ...]:
    """Return the alignments of a table's columns; empty if the line is not a delimiter row."""
    row = delimiter_row.strip(" \t")
    # A lone "-" before a blank is a list item.
    if not _DELIMITER_ROW.match(row) or len(row) < 2 or row.startswith(("- ", "-\t")):  # noqa: PLR2004
        return ()
    cells = [cell.strip() for cell in row.split("|")]
    if len(cells) > 1:
        cells = cells[not cells[0] : len(cells) - (not cells[-1])]
    if not cells or not all(_DELIMITER.match(cell) for cell in cells):
        return ()
    return tuple(_alignment(cell) for cell in cells)


def _alignment(delimiter: str) -> Alignment:
    if delimiter.endswith(":"):
        return "center" if delimiter.startswith(":") else "right"
    return "left" if delimiter.startswith(":") else ""


def cells_of(row: str) -> list[str]:
    """Return the cells of a table row, with escaped pipes unescaped."""
    cells = [cell.replace("\\|", "|") for cell in _PIPE.split(row.strip(" \t"))]
    if cells and not cells[0]:
        del cells[0]
    if cells and not cells[-1]:
        del cells[-1]
    return [cell.strip() for cell in cells]
