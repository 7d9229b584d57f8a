"""Markdown drawn whole, in pieces, and as another parser reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatcli.render.markdown.stream import MarkdownStream, rendered
from chatcli.render.themes import theme

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.themes import Theme

PLAIN = theme("dark", None)
COLORED = theme("dark", "truecolor")
_STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")


def lines(markdown: str, columns: int = 60, line_breaks: LineBreaks = "auto") -> list[str]:
    """Return ``markdown`` as a terminal without colours shows it."""
    return rendered(markdown, PLAIN, columns, line_breaks).split("\n")[:-1]


def in_pieces(
    pieces: Iterable[str], columns: int, theme: Theme = COLORED, line_breaks: LineBreaks = "auto"
) -> str:
    """Return what the terminal's scrollback holds at the end, with a tail drawn after every piece."""
    stream = MarkdownStream(theme, line_breaks)
    shown = []
    for piece in pieces:
        shown.append(stream.feed(piece, columns))
        stream.tail(columns, 12)
    return "".join([*shown, stream.finish(columns)])


def without_styles(text: str) -> str:
    return _STYLE.sub("", text)
