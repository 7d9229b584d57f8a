"""Rows as rich segments: styles, links, and isolated right-to-left text."""

from __future__ import annotations

import re
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from rich.control import Control
from rich.segment import Segment

from chatcli.render.markdown.inline import Run
from chatcli.render.markdown.widths import chopped, columns_of
from chatcli.render.printing import command
from chatcli.render.themes import LINK, LINK_END, UNSAFE_IN_LINK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.render.markdown.wrapping import Row
    from chatcli.render.themes import Theme

BAR: Final = Run(" │ ", ("border",))
"""The border between two columns of a table."""

_LOOK: Final = attrgetter("roles", "link")
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# UAX #9: isolated text does not affect the order of the text around it.
_ISOLATED: Final = "\u2068{}\u2069"
_LINK_END: Final = command(LINK_END)
# Terminals disagree about the width of these: emoji, joiners, and variation selectors for emoji.
_DISPUTED_WIDTH: Final = re.compile(
    "[\u200d\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]"
)
_TAB_WIDTH: Final = 8


def painted(row: Row, theme: Theme, *, has_links: bool = True, moves_cursor: bool = True) -> list[Segment]:
    """Return ``row`` in the styles of ``theme``.

    ``has_links`` makes links clickable (OSC 8). ``moves_cursor``, for rows written directly to a terminal that
    has links, moves to each table border after an emoji, so that borders line up however wide it is drawn.
    """
    has_links = has_links and theme.links
    is_placed = has_links and moves_cursor and BAR in row
    if is_placed and any(has_disputed_width(run.text) for run in row):
        return _placed(row, theme)
    segments: list[Segment] = []
    for (roles, link), runs in groupby(row, key=_LOOK):
        text = "".join([run.text for run in runs])
        if not text.isascii() and _RIGHT_TO_LEFT.search(text):
            text = _ISOLATED.format(text)
        segment = Segment(text, theme.style(roles) if roles else None)
        if has_links and link and not UNSAFE_IN_LINK.search(link):
            segments += command(LINK.format(link)), segment, _LINK_END
        else:
            segments.append(segment)
    return segments


def has_disputed_width(text: str) -> bool:
    """Whether terminals may disagree about the width of ``text``."""
    return _DISPUTED_WIDTH.search(text) is not None


def _placed(row: Row, theme: Theme) -> list[Segment]:
    """Return a table row with a cursor movement before each border."""
    segments: list[Segment] = []
    column = 0
    for is_bar, group in groupby(row, key=BAR.__eq__):
        for runs in ([run] for run in group) if is_bar else [list(group)]:
            if is_bar:
                segments.append(Control.move_to_column(column).segment)
            segments += painted(runs, theme)
            column += sum(columns_of(run.text) for run in runs)
    return segments


def without_ending_blanks(row: Row) -> Row:
    row = list(row)
    while row and not row[-1].text.rstrip(" "):
        row.pop()
    if row and row[-1].text.endswith(" "):
        last = row[-1]
        row[-1] = Run(last.text.rstrip(" "), last.roles, last.link)
    return row


def folded(row: Row, columns: int) -> list[Row]:
    """Cut ``row`` where a terminal of ``columns`` would wrap it; tabs become blanks."""
    if sum(columns_of(run.text) for run in row) <= columns and not any("\t" in run.text for run in row):
        return [row]
    rows: list[Row] = [[]]
    used = 0
    for run in row:
        text = _without_tabs(run.text, used)
        for at, chunk in enumerate(chopped(text, columns, max(0, columns - used))):
            if at:
                rows.append([])
                used = 0
            if chunk:
                rows[-1].append(Run(chunk, run.roles, run.link))
                used += columns_of(chunk)
    return rows


def _without_tabs(text: str, column: int) -> str:
    first, *others = text.split("\t")
    chunks = [first]
    column += columns_of(first)
    for other in others:
        blanks = _TAB_WIDTH - column % _TAB_WIDTH
        chunks += " " * blanks, other
        column += blanks + columns_of(other)
    return "".join(chunks)


def last_folded(rows: Sequence[Row], columns: int, count: int) -> list[Row]:
    """Return the last ``count`` rows after a terminal of ``columns`` has wrapped ``rows``."""
    last: list[Row] = []
    for row in reversed(rows):
        if len(last) >= count:
            break
        last[:0] = folded(row, columns)
    return last[max(0, len(last) - count) :]
