"""The answer as rendered Markdown where nothing can be redrawn: a pipe, a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.events import AnswerContinued, TextDelta, TurnCancelled, TurnFailed, TurnFinished
from chatcli.render.markdown.stream import MarkdownStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event
    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.themes import Theme


class MarkdownRenderer:
    """Writes the rows of one answer, each once it is finished. ``width`` is asked for each, in columns."""

    def __init__(
        self,
        write: Callable[[str], object],
        theme: Theme,
        *,
        width: Callable[[], int],
        line_breaks: LineBreaks = "auto",
    ) -> None:
        self._write = write
        self._width = width
        self._stream = MarkdownStream(theme, line_breaks)

    async def __call__(self, event: Event) -> None:
        match event:
            case AnswerContinued(text):
                self._stream.go_on_after(text)
            case TextDelta(text):
                self._show(self._stream.feed(text, self._width()))
            case TurnFinished() | TurnFailed() | TurnCancelled():
                self._show(self._stream.finish(self._width()))
            case _:
                pass

    def _show(self, rows: str) -> None:
        if rows:
            self._write(rows)
