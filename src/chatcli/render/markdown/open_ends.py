"""Closing open marks at the end of an incomplete text, so that no source flashes up.

Only the tail, which is redrawn with each frame, uses this. Finished rows never do.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.render.markdown.blocks import Heading, Paragraph, Table, TableRow
from chatcli.render.markdown.syntax import FORMULA_IN_TEXT, cells_of
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from chatcli.render.markdown.blocks import Block

# A line with nothing else may start a fence, a rule, an underline or an item; only its rest decides.
_BEGINNING: Final = lazy_pattern(r"[ \t]*(?:[-=*_+]{1,2}|[`~]{1,2}|#{1,6}|\d{1,9}[.)]|[|<!\[]|\$)[ \t]*$")
_DELIMITERS: Final = lazy_pattern(r"[ \t]*\|?[ \t]*:?-[-:|\s]*$|[ \t]*\|[ \t]*:?$")
_CONTAINERS: Final = lazy_pattern(r"(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)])(?=[ \t])))*[ \t]*", re.ASCII)

_CODE: Final = lazy_pattern(r"(?<!`)(`+)(?!`)")
_MARK: Final = lazy_pattern(r"\\.|(?P<emphasis>\*{1,3}|_{1,3}|~~)|\$\$?|(?P<link>!?\[)|\]", re.DOTALL)
_ADDRESS: Final = lazy_pattern(r"\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\"?\s*)?$")
_UNFINISHED: Final = lazy_pattern(r"(?:\\|<[a-zA-Z/][^<>\s]*|&#?\w{0,8})$")


def is_beginning(line: str) -> bool:
    """Whether the incomplete ``line`` should stay hidden until more of it has arrived."""
    return _BEGINNING.match(line) is not None or _within(line)[1].strip(" \t") == "|"


def table_lines(last: str | None, line: str, container: str) -> tuple[str, ...] | None:
    """Return the lines that complete a table header before its delimiter row; ``None`` if none begins.

    ``last`` is the last line of the open paragraph, ``line`` the incomplete one. ``container`` is the prefix
    of a line in the open quotes and items.
    """
    before, row = _within(line)
    if last is not None and last.lstrip().startswith("|") and (not row or _DELIMITERS.match(row)):
        return (container + _delimiter_row(last),)
    if row.startswith("|") and not _DELIMITERS.match(row):
        return (line, re.sub(r"[^>\t]", " ", before) + _delimiter_row(row))
    return None


def _within(line: str) -> tuple[str, str]:
    """Split ``line`` into its leading quote and item marks and its content."""
    match = _CONTAINERS.match(line)
    end = match.end() if match else 0
    return line[:end], line[end:]


def _delimiter_row(header: str) -> str:
    return "|" + "---|" * max(1, len(cells_of(header)))


def with_end_closed(block: Block) -> Block:
    """Return the last ``block`` of a text with its open marks closed or removed."""
    match block:
        case Paragraph(text=text) | Heading(text=text):
            return replace(block, text=closed(text))
        case Table(header=header, rows=()):
            return replace(block, header=_with_last_closed(header))
        case Table(rows=(*rows, last)):
            return replace(block, rows=(*rows, _with_last_closed(last)))
        case TableRow(cells=cells):
            return TableRow(_with_last_closed(cells))
        case _:
            return block


def _with_last_closed(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Close the last cell with content; the cells after it have not arrived yet."""
    at = max((at for at, cell in enumerate(cells) if cell), default=0)
    return (*cells[:at], closed(cells[at]), *cells[at + 1 :])


def closed(text: str) -> str:
    """Return ``text`` with its open marks closed; half a link becomes its text, a final mark is dropped."""
    text, code = _without_open_code(text)
    if code:
        return text + code
    text = _UNFINISHED.sub("", _ADDRESS.sub("]", text))
    open_marks: list[tuple[str, int]] = []
    links: list[int] = []
    closed_links: list[tuple[int, int]] = []
    for match in _MARK.finditer(_with_code_blanked(text)):
        mark, at = match[0], match.start()
        if match["emphasis"]:
            _track_emphasis(open_marks, mark, at, text)
        elif match["link"]:
            links.append(at)
        elif mark == "]" and links:
            closed_links.append((links.pop(), match.end()))
    removed = {at: len(_link_mark(text, at)) for at in links}
    if closed_links and closed_links[-1][1] == len(text.rstrip()):
        # Its address may follow; show it as its text until then.
        start, end = closed_links[-1]
        removed |= {start: len(_link_mark(text, start)), end - 1: 1}
    end = len(text.rstrip())
    closers: list[str] = []
    for mark, at in open_marks:
        if at + len(mark) >= end:
            removed[at] = len(mark)
        else:
            closers.insert(0, mark)
    kept = "".join(_without(text, removed)).rstrip()
    while closers and kept.endswith(closers[0][0]):
        kept = kept[:-1]  # half of its closing mark
    return kept + "".join(closers)


def _link_mark(text: str, at: int) -> str:
    return "![" if text.startswith("![", at) else "["


def _without(text: str, removed: dict[int, int]) -> list[str]:
    parts: list[str] = []
    start = 0
    for at in sorted(removed):
        parts.append(text[start:at])
        start = at + removed[at]
    return [*parts, text[start:]]


def with_emphasis_closed(text: str) -> str:
    """Return ``text``, a sentence cut out of a longer text, with its open emphasis closed."""
    open_marks: list[tuple[str, int]] = []
    for match in _MARK.finditer(_with_code_blanked(text)):
        if match["emphasis"]:
            _track_emphasis(open_marks, match[0], match.start(), text)
    return text + "".join(mark for mark, at in reversed(open_marks) if text[at + len(mark) :].strip())


def _track_emphasis(open_marks: list[tuple[str, int]], mark: str, at: int, text: str) -> None:
    """Open or close emphasis by the characters around its mark (CommonMark 0.31 §6.2, roughly)."""
    before, after = text[at - 1 : at], text[at + len(mark) : at + len(mark) + 1]
    if before.strip():
        for place in range(len(open_marks) - 1, -1, -1):
            if open_marks[place][0] == mark:
                del open_marks[place:]
                return
    is_in_word = mark[0] == "_" and before.isalnum()
    if not is_in_word and (after.strip() or not after):
        open_marks.append((mark, at))


def _with_code_blanked(text: str) -> str:
    """Return ``text`` at the same length, with code and formulas overwritten."""
    parts: list[str] = []
    start = 0
    for begin, end in _code_spans(text)[0]:
        parts += text[start:begin], "x" * (end - begin)
        start = end
    return FORMULA_IN_TEXT.sub(lambda formula: "x" * len(formula[0]), "".join([*parts, text[start:]]))


def _without_open_code(text: str) -> tuple[str, str]:
    """Return ``text`` and the backticks that close its open code; a mark without content is dropped."""
    open_at = _code_spans(text)[1]
    if open_at is None:
        return text, ""
    start, mark = open_at
    content = text[start + len(mark) :]
    if not content.strip("` \n"):
        return closed(text[:start]), ""
    trailing = len(content) - len(content.rstrip("`"))
    return (text[: len(text) - trailing] if trailing else text), mark


def _code_spans(text: str) -> tuple[list[tuple[int, int]], tuple[int, str] | None]:
    """Return the code spans, marks included, and the mark still open at the end."""
    spans: list[tuple[int, int]] = []
    at = 0
    while match := _CODE.search(text, at):
        end = re.compile(rf"(?<!`){match[1]}(?!`)").search(text, match.end())
        if end is None:
            return spans, (match.start(), match[1])
        spans.append((match.start(), end.end()))
        at = end.end()
    return spans, None
