"""Markdown drawn whole, in pieces, and as another parser reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatcli.render.markdown.stream import MarkdownStream
from chatcli.render.printing import SegmentPrinter
from chatcli.render.themes import theme

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.printing import Painted
    from chatcli.render.themes import Theme

PLAIN = theme("dark", None)
COLORED = theme("dark", "truecolor")
_STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")


class _Writer:
    """Says what a terminal is sent for segments, with one console for all of a run."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._print = SegmentPrinter(self._texts.append)

    def __call__(self, segments: Painted) -> str:
        self._print(segments)
        text = "".join(self._texts)
        self._texts.clear()
        return text


written = _Writer()


class WrittenStream:
    """A ``MarkdownStream`` whose rows are what a terminal is sent for them."""

    def __init__(self, theme: Theme, line_breaks: LineBreaks = "auto") -> None:
        self._stream = MarkdownStream(theme, line_breaks)
        self.go_on_after = self._stream.go_on_after

    def feed(self, text: str, columns: int) -> str:
        return written(self._stream.feed(text, columns))

    def finish(self, columns: int) -> str:
        return written(self._stream.finish(columns))

    def tail(self, columns: int, count: int) -> list[str]:
        return [written(row) for row in self._stream.tail(columns, count)]


def rendered(markdown: str, theme: Theme, columns: int, line_breaks: LineBreaks = "auto") -> str:
    """Return what a terminal is sent for the whole of ``markdown``."""
    stream = WrittenStream(theme, line_breaks)
    return stream.feed(markdown, columns) + stream.finish(columns)


def lines(markdown: str, columns: int = 60, line_breaks: LineBreaks = "auto") -> list[str]:
    """Return ``markdown`` as a terminal without colours shows it."""
    return rendered(markdown, PLAIN, columns, line_breaks).split("\n")[:-1]


def in_pieces(
    pieces: Iterable[str], columns: int, theme: Theme = COLORED, line_breaks: LineBreaks = "auto"
) -> str:
    """Return what the terminal's scrollback holds at the end, with a tail drawn after every piece."""
    stream = WrittenStream(theme, line_breaks)
    shown = []
    for piece in pieces:
        shown.append(stream.feed(piece, columns))
        stream.tail(columns, 12)
    return "".join([*shown, stream.finish(columns)])


def without_styles(text: str) -> str:
    return _STYLE.sub("", text)
