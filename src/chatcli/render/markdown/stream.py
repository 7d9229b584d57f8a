"""The Markdown engine: chunks of text in, rows of styled segments out.

Every returned row is final. It depends on the text so far, the width and the theme, never on how the text was
cut, on time, or on the height of the screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment

from chatcli.render.markdown.block_stream import BlockStream
from chatcli.render.markdown.drawing import Drawing
from chatcli.render.markdown.inline import Inline
from chatcli.render.markdown.painting import last_folded, painted
from chatcli.text.sanitizer import TerminalSanitizer, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.render.markdown.blocks import Block
    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.markdown.references import References
    from chatcli.render.themes import Theme

LINE_END: Final = Segment.line()
_ANY_WIDTH: Final = 80


class MarkdownStream:
    """The stream of one answer. Widths are in columns; each returned row ends in a line end.

    ``moves_cursor`` is for rows that go directly to a terminal, see ``painted``.
    """

    def __init__(self, theme: Theme, line_breaks: LineBreaks = "auto", *, moves_cursor: bool = True) -> None:
        references: References = {}
        self._sanitizer = TerminalSanitizer()
        self._blocks = BlockStream(references)
        shows_marks = theme.style(("code",)) is None
        self._drawing = Drawing(Inline(references, shows_marks=shows_marks, line_breaks=line_breaks))
        self._theme = theme
        self._moves_cursor = moves_cursor

    def feed(self, text: str, columns: int) -> list[Segment]:
        """Return the rows that are finished now."""
        return self._painted(self._blocks.feed(self._sanitizer.feed(text)), columns)

    def finish(self, columns: int) -> list[Segment]:
        """End the text and return the remaining rows."""
        rest = self._painted(self._blocks.feed(self._sanitizer.finish()), columns)
        return rest + self._painted(self._blocks.finish(), columns)

    def tail(self, columns: int, count: int) -> list[list[Segment]]:
        """Return the last ``count`` rows of a preview of ``finish``, see ``BlockStream.preview``.

        The rows have no line ends; none is wider than ``columns``.
        """
        rows = self._drawing.copy().draw(self._blocks.preview(), columns)
        # prompt_toolkit may draw these rows, and it knows only styles.
        return [painted(row, self._theme, has_links=False) for row in last_folded(rows, columns, count)]

    def continue_after(self, text: str) -> None:
        """Continue after ``text``, shown earlier: the rest of an open code block is code."""
        before = BlockStream({})
        self._drawing.draw(before.feed(sanitize(text)), _ANY_WIDTH)
        fence = before.open_fence
        self._drawing.draw(before.finish(), _ANY_WIDTH)
        self._drawing.forget_gap()
        if fence is not None:
            for _ in self._blocks.feed(fence + "\n"):
                pass
            self._drawing.reopen_code(fence.lstrip("`~"))

    def _painted(self, blocks: Iterable[Block], columns: int) -> list[Segment]:
        segments: list[Segment] = []
        for row in self._drawing.draw(blocks, columns):
            segments += painted(row, self._theme, moves_cursor=self._moves_cursor)
            segments.append(LINE_END)
        return segments


def rendered(markdown: str, theme: Theme, columns: int, line_breaks: LineBreaks = "auto") -> list[Segment]:
    """Return all rows of ``markdown``."""
    stream = MarkdownStream(theme, line_breaks)
    return stream.feed(markdown, columns) + stream.finish(columns)
