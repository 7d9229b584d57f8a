"""Markdown source cut into its top-level blocks while it streams.

A cut is made only where CommonMark 0.31 (with GitHub's tables) surely ends a top-level block, so that each piece
means alone what it means in the whole. Where only a full parser could tell, the block goes on: that costs a
little delay and nothing else. Link reference definitions act at a distance and are not looked at.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

_Kind: TypeAlias = Literal["none", "paragraph", "quote", "list", "indented", "html"]

# All of these look at one line without its end, its tabs as spaces.
_FENCE: Final = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
_HEADING: Final = re.compile(r" {0,3}#{1,6}(?: |$)")
_RULE: Final = re.compile(r" {0,3}([-*_]) *(?:\1 *){2,}$")
_UNDERLINE: Final = re.compile(r" {0,3}(?:=+|-+) *$")
_QUOTE: Final = re.compile(r" {0,3}>")
_ITEM: Final = re.compile(r"(?P<marker> {0,3}(?:[-*+]|(?P<number>[0-9]{1,9})[.)]))(?P<space> +(?=[^ ])| *$)")
_NEVER: Final = re.compile(r"(?!)")

_TAB_WIDTH: Final = 4
_CODE_INDENT: Final = 4

# CommonMark 0.31 §4.6: HTML that only its own end closes, then HTML that a blank line closes.
_HTML_TO_ITS_END: Final = tuple(
    (re.compile(" {0,3}" + start, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for start, end in (
        (r"<(?:script|pre|style|textarea)(?:[\s>]|$)", r"</(?:script|pre|style|textarea)>"),
        (r"<!--", r"-->"),
        (r"<\?", r"\?>"),
        (r"<![A-Za-z]", r">"),
        (r"<!\[CDATA\[", r"\]\]>"),
    )
)
_HTML_BLOCK_TAG: Final = re.compile(
    r" {0,3}</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details"
    r"|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr"
    r"|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search"
    r"|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)(?:\s|/?>|$)",
    re.IGNORECASE,
)
_HTML_LONE_TAG: Final = re.compile(
    r""" {0,3}(?:</[A-Za-z][A-Za-z0-9-]*\s*>|<[A-Za-z][A-Za-z0-9-]*"""
    r"""(?:\s+[A-Za-z_:][A-Za-z0-9:._-]*(?:\s*=\s*(?:[^"'=<>`\x00-\x20]+|'[^']*'|"[^"]*"))?)*\s*/?>)\s*$"""
)


class BlockSplitter:
    """Takes a text in pieces and gives back its blocks, each as soon as it is surely complete.

    Joined, the blocks are the text; how it was cut makes no difference. Blank lines belong to the block they
    end, or else to the next one.
    """

    def __init__(self) -> None:
        self._partial: list[str] = []
        self._lines: list[str] = []
        self._kind: _Kind = "none"
        self._closing: re.Pattern[str] | None = None
        self._content_indent = 0
        self._after_blank = False
        self._unsure = False

    @property
    def unfinished(self) -> str:
        """The text that no block given back holds yet."""
        return "".join([*self._lines, *self._partial])

    def feed(self, text: str) -> list[str]:
        """Return the blocks that are finished by now."""
        *ends, rest = text.split("\n")
        finished: list[str] = []
        for end in ends:
            line = "".join([*self._partial, end, "\n"])
            self._partial.clear()
            finished += self._add(line)
        if rest:
            self._partial.append(rest)
        return finished

    def finish(self) -> list[str]:
        """Return the rest: nothing more comes."""
        rest = "".join(self._partial)
        self._partial.clear()
        return (self._add(rest) if rest else []) + self._take()

    def _add(self, line: str) -> list[str]:
        text = line.rstrip("\r\n").expandtabs(_TAB_WIDTH)
        if self._closing is not None:
            self._lines.append(line)
            return self._take() if self._closing.search(text) else []
        if not text.strip(" "):
            return self._add_blank(line)
        finished = self._take() if self._ends_before(text) else []
        self._lines.append(line)
        finished += self._begin(text) if self._kind == "none" else self._continue(text)
        self._after_blank = False
        return finished

    def _add_blank(self, line: str) -> list[str]:
        self._lines.append(line)
        if self._kind in {"paragraph", "quote", "html"}:
            return self._take()
        self._after_blank = True
        return []

    def _take(self) -> list[str]:
        block = "".join(self._lines)
        self._lines = []
        self._kind = "none"
        self._closing = None
        self._after_blank = self._unsure = False
        return [block] if block else []

    def _begin(self, text: str) -> list[str]:
        """Open the block that starts with ``text``; return it where that line is all of it."""
        if _is_heading_or_rule(text):
            return self._take()
        if fence := _FENCE.match(text):
            self._closing = re.compile(rf"^ {{0,3}}{fence['fence'][0]}{{{len(fence['fence'])},}} *$")
        elif end := _html_end(text):
            self._closing = end
            return self._take() if end.search(text) else []
        else:
            self._kind = _kind(text)
            self._begin_list(text)
        return []

    def _begin_list(self, text: str) -> None:
        if self._kind == "list" and (item := _ITEM.match(text)):
            self._content_indent = _item_indent(item)
            # An empty item ends at a blank line, though what follows may be indented as if it belonged to it.
            self._unsure = item.end() == len(text)

    def _ends_before(self, text: str) -> bool:
        match self._kind:
            case "paragraph":
                return _interrupts(text) and not _UNDERLINE.match(text)
            case "quote":
                return _interrupts(text) and not _QUOTE.match(text)
            case "indented":
                return _indent(text) < _CODE_INDENT
            case "list":
                return _indent(text) < self._content_indent and self._list_ends_before(text)
            case _:
                return False

    def _list_ends_before(self, text: str) -> bool:
        if _is_item(text):
            return False
        if self._after_blank:
            return _indent(text) < _CODE_INDENT
        if self._unsure and (_UNDERLINE.match(text) or _QUOTE.match(text)):
            return False
        return _interrupts(text)

    def _continue(self, text: str) -> list[str]:
        """Note what ``text``, a line of the open block, says about where that ends; return it if that is here."""
        if self._kind == "list":
            self._continue_list(text)
        elif self._kind == "quote" and not _QUOTE.match(text):
            self._become_unsure(text)
        elif self._kind == "paragraph":
            return self._continue_paragraph(text)
        return []

    def _continue_paragraph(self, text: str) -> list[str]:
        is_underline = _UNDERLINE.match(text) is not None
        if is_underline and not any("|" in line for line in self._lines):
            return self._take()
        # After a table, an indented line is code and any number starts a list; in a paragraph neither does.
        if is_underline or _is_item(text) or _indent(text) >= _CODE_INDENT:
            self._become_unsure(text)
        return []

    def _continue_list(self, text: str) -> None:
        if _indent(text) >= self._content_indent:
            if self._unsure and (_FENCE.match(text) or _opens_html(text)):
                self._closing = _NEVER  # in the item or after the list: it decides how all the rest is read
        elif _is_item(text) and (self._after_blank or not self._unsure or _interrupts(text)):
            self._begin_list(text)
        else:
            self._become_unsure(text)

    def _become_unsure(self, text: str) -> None:
        """Go on after a line that may continue a paragraph inside the block as well as start anew after it."""
        known_indent = self._content_indent if self._kind == "list" else _CODE_INDENT
        item = _ITEM.match(text)
        item_indent = _item_indent(item) if item else _CODE_INDENT
        self._content_indent = min(known_indent, item_indent, _CODE_INDENT)
        self._kind = "list"
        self._unsure = True
        if _HTML_LONE_TAG.match(text):
            self._closing = _NEVER


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _is_heading_or_rule(text: str) -> bool:
    return bool(_HEADING.match(text) or _RULE.match(text))


def _is_item(text: str) -> bool:
    return bool(_ITEM.match(text)) and not _RULE.match(text)


def _item_indent(item: re.Match[str]) -> int:
    """Return the column in which what belongs to the item starts (CommonMark 0.31 §5.2)."""
    marker, space = len(item["marker"]), len(item["space"])
    is_empty = item.end() == len(item.string)
    return marker + (1 if is_empty or space > _CODE_INDENT else space)


def _html_end(text: str) -> re.Pattern[str] | None:
    return next((end for start, end in _HTML_TO_ITS_END if start.match(text)), None)


def _opens_html(text: str) -> bool:
    return bool(_html_end(text) or _HTML_BLOCK_TAG.match(text) or _HTML_LONE_TAG.match(text))


def _kind(text: str) -> _Kind:
    if _indent(text) >= _CODE_INDENT:
        return "indented"
    if _QUOTE.match(text):
        return "quote"
    if _ITEM.match(text):
        return "list"
    return "html" if _opens_html(text) else "paragraph"


def _interrupts(text: str) -> bool:
    """Whether ``text`` starts a block even directly after the line of a paragraph."""
    if _is_heading_or_rule(text) or _FENCE.match(text) or _QUOTE.match(text):
        return True
    if item := _ITEM.match(text):
        return item.end() < len(text) and item["number"] in {None, "1"}
    return bool(_html_end(text) or _HTML_BLOCK_TAG.match(text))
