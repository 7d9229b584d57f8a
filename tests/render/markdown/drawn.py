"""Markdown rendered whole, in chunks, and by another parser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatcli.render.markdown.stream import MarkdownStream
from chatcli.render.printing import as_written as written
from chatcli.render.themes import theme

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.themes import Theme

PLAIN = theme("dark", None)
COLORED = theme("dark", "truecolor")
_STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")


class WrittenStream:
    """A ``MarkdownStream`` that returns its rows as terminal output."""

    def __init__(self, theme: Theme, line_breaks: LineBreaks = "auto") -> None:
        self._stream = MarkdownStream(theme, line_breaks)
        self.continue_after = self._stream.continue_after

    def feed(self, text: str, columns: int) -> str:
        return written(self._stream.feed(text, columns))

    def finish(self, columns: int) -> str:
        return written(self._stream.finish(columns))

    def tail(self, columns: int, count: int) -> list[str]:
        return [written(row) for row in self._stream.tail(columns, count)]


def rendered(markdown: str, theme: Theme, columns: int, line_breaks: LineBreaks = "auto") -> str:
    """Return the terminal output for the whole of ``markdown``."""
    stream = WrittenStream(theme, line_breaks)
    return stream.feed(markdown, columns) + stream.finish(columns)


def lines(markdown: str, columns: int = 60, line_breaks: LineBreaks = "auto") -> list[str]:
    """Return ``markdown`` as a terminal without colours shows it."""
    return rendered(markdown, PLAIN, columns, line_breaks).split("\n")[:-1]


def in_chunks(
    chunks: Iterable[str], columns: int, theme: Theme = COLORED, line_breaks: LineBreaks = "auto"
) -> str:
    """Return the final scrollback of a terminal that drew a tail after each chunk."""
    stream = WrittenStream(theme, line_breaks)
    shown = []
    for chunk in chunks:
        shown.append(stream.feed(chunk, columns))
        stream.tail(columns, 12)
    return "".join([*shown, stream.finish(columns)])


def without_styles(text: str) -> str:
    return _STYLE.sub("", text)
