"""The answer as rendered Markdown where nothing can be redrawn: a pipe, a file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.segment import Segment

from chatcli.core.events import (
    AnswerContinued,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
)
from chatcli.render.markdown.stream import MarkdownStream
from chatcli.render.plain import AFTER_REASONING, REASONING_WRITTEN
from chatcli.render.printing import as_written

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event
    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.printing import Painted
    from chatcli.render.themes import Theme


class MarkdownRenderer:
    """Writes each row of an answer once it is finished. ``width`` returns the columns for each write.

    ``say`` receives a line if the text written turns out to be reasoning.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        theme: Theme,
        *,
        width: Callable[[], int],
        line_breaks: LineBreaks = "auto",
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._write = write
        self._width = width
        self._say = say
        self._begin_stream = partial(MarkdownStream, theme, line_breaks, moves_cursor=False)
        self._answer_so_far = ""
        self._stream = self._begin_stream()

    async def __call__(self, event: Event) -> None:
        match event:
            case AnswerContinued(text):
                self._answer_so_far = text
                self._stream.continue_after(text)
            case TextDelta(text):
                self._print(self._stream.feed(text, self._width()))
            case TextReclassified():
                self._print([*self._stream.finish(self._width()), Segment(AFTER_REASONING)])
                self._say(REASONING_WRITTEN)
                self._stream = self._begin_stream()
                if self._answer_so_far:
                    self._stream.continue_after(self._answer_so_far)
            case TurnFinished() | TurnFailed() | TurnCancelled():
                self._print(self._stream.finish(self._width()))
            case _:
                pass

    def _print(self, segments: Painted) -> None:
        if segments:
            self._write(as_written(segments))
