"""Live rendering of an answer: finished rows are printed, a tail is redrawn below them, frame by frame."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from chatcli.core.events import (
    AnswerContinued,
    Notice,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
)
from chatcli.render.markdown.stream import LINE_END, MarkdownStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.segment import Segment

    from chatcli.core.events import Event
    from chatcli.render.markdown.inline import LineBreaks
    from chatcli.render.printing import Painted
    from chatcli.render.reasoning import Reasoning
    from chatcli.render.themes import Theme

FRAME_S: Final = 1 / 30
_PAUSE_PER_DRAWING: Final = 24
"""Drawing the tail takes at most a twenty-fifth of a core ..."""

LONGEST_PAUSE_S: Final = 0.3
"""... but new text waits at most this long, however expensive a frame is."""

_MOST_BUFFERED_CHARACTERS: Final = 4_000
"""Text beyond this length is rendered before the next frame is due, so that no frame blocks for long."""

_NOT_READY_RETRY_S: Final = 0.05
SILENCE_AFTER_S: Final = 3.0
"""The time without a new delta after which the silence is shown."""

_SILENCE_STEP_S: Final = 1.0

_WAS_REASONING: Final = "the text above was reasoning"


class Canvas(Protocol):
    """The place an answer is drawn on."""

    def columns(self) -> int: ...

    def rows(self) -> int:
        """Return the maximum number of rows of a tail."""
        ...

    def is_ready(self) -> bool:
        """Whether a frame may be drawn now: nothing else has to wait for it, and the size is stable."""
        ...

    def draw(self, printed: Painted, tail: Sequence[Painted]) -> None:
        """Print whole lines permanently and show the rows of ``tail`` below them, in one frame."""
        ...


class LiveAnswer:
    """An observer of one turn that draws its first and last text at once, and the rest in frames.

    ``clock`` returns the time and ``cpu_clock`` the CPU time of this thread, both in seconds. ``reasoning``
    is shown above the answer if ``shows_reasoning``, otherwise folded to a line. ``shows_activity`` adds a
    row to the tail while the model reasons or is silent, for surfaces without another indicator.
    """

    def __init__(
        self,
        canvas: Canvas,
        theme: Theme,
        *,
        line_breaks: LineBreaks = "auto",
        reasoning: Reasoning,
        shows_reasoning: bool,
        shows_activity: bool = False,
        silence_after_s: float = SILENCE_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._canvas = canvas
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._theme = theme
        self._begin_stream = partial(MarkdownStream, theme, line_breaks)
        self._answer_so_far = ""
        self._stream = self._begin_stream()
        self._texts: list[str] = []
        self._texts_length = 0
        self._thoughts = _ReasoningDisplay(reasoning, canvas, shown=shows_reasoning)
        self._activity = _Activity(theme, silence_after_s) if shows_activity else None
        self._silence_after_s = silence_after_s
        self._silence: asyncio.TimerHandle | None = None
        self._last_delta_s = 0.0
        self._printed: list[Segment] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._failure: Exception | None = None

    async def __call__(self, event: Event) -> None:
        if self._failure is not None:
            raise self._failure
        match event:
            case TextDelta(text):
                self._printed += self._thoughts.end(self._clock())
                self._texts.append(text)
                self._texts_length += len(text)
                if self._texts_length >= _MOST_BUFFERED_CHARACTERS:
                    self._take_texts()
                await self._draw_in_time()
            case ReasoningDelta(text):
                self._printed += self._thoughts.feed(text, self._clock())
                await self._draw_in_time()
            case AnswerContinued(text):
                self._answer_so_far = text
                self._stream.continue_after(text)
            case TextReclassified():
                self._close_reasoning()
                await self._draw_in_time()
            case Retrying() | Notice():
                # A status line follows; it belongs above the text still to come, and below what is complete.
                self._cancel_silence()
                self._take_texts()
                self._flush(())
            case TurnFinished() | TurnFailed() | TurnCancelled():
                self._printed += self._thoughts.end(self._clock())
                self._take_texts()
                self._printed += self._stream.finish(self._canvas.columns())
                self._cancel_silence()
                self._flush(())
            case _:
                pass

    def _close_reasoning(self) -> None:
        """Mark everything shown as reasoning, and restart the answer."""
        self._take_texts()
        self._printed += self._stream.finish(self._canvas.columns())
        self._printed += LINE_END, self._theme.segment(_WAS_REASONING, "reasoning"), LINE_END, LINE_END
        self._stream = self._begin_stream()
        if self._answer_so_far:
            self._stream.continue_after(self._answer_so_far)

    async def _draw_in_time(self) -> None:
        self._last_delta_s = self._clock()
        self._schedule_silence(self._silence_after_s)
        if self._clock() < self._due_s or not self._canvas.is_ready():
            self._schedule()
            return
        self._draw()
        # A fast stream never waits for its next event; without this pause no key would be read.
        await asyncio.sleep(0)

    def _schedule_silence(self, silence_s: float) -> None:
        """Draw again, to show the silence, if nothing arrives for ``silence_s``."""
        if self._activity is not None:
            self._cancel_silence()
            self._silence = asyncio.get_running_loop().call_later(silence_s, self._draw_silence)

    def _cancel_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _draw_silence(self) -> None:
        self._schedule_silence(_SILENCE_STEP_S)
        self._draw_on_time()

    def _schedule(self) -> None:
        if self._timer is None:
            wait_s = max(self._due_s - self._clock(), 0 if self._canvas.is_ready() else _NOT_READY_RETRY_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._draw_on_time)

    def _draw_on_time(self) -> None:
        self._timer = None
        if not self._canvas.is_ready():
            self._schedule()
            return
        try:
            self._draw()
        except Exception as error:  # noqa: BLE001 - raised again by the next event
            self._failure = error

    def _draw(self) -> None:
        # Finished rows are drawn only once, so only the tail counts as the cost of a frame.
        self._take_texts()
        began_s = self._cpu_clock()
        columns, rows = self._canvas.columns(), self._canvas.rows()
        tail = self._stream.tail(columns, rows) or self._thoughts.tail(columns, rows)
        if self._activity is not None:
            status = self._activity.rows(self._thoughts.since_s, self._last_delta_s, self._clock(), columns)
            tail = [*tail, *status][-rows:]
        self._flush(tail)
        # CPU time of this thread: on a busy machine a cheap frame can still take long.
        pause_s = _PAUSE_PER_DRAWING * (self._cpu_clock() - began_s)
        self._due_s = self._clock() + min(max(FRAME_S, pause_s), LONGEST_PAUSE_S)

    def _take_texts(self) -> None:
        text = "".join(self._texts)
        self._texts.clear()
        self._texts_length = 0
        self._printed += self._stream.feed(text, self._canvas.columns())

    def _flush(self, tail: Sequence[Painted]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        printed, self._printed = self._printed, []
        self._canvas.draw(printed, tail)


class _ReasoningDisplay:
    """The reasoning before an answer, while it streams and at its end."""

    def __init__(self, reasoning: Reasoning, canvas: Canvas, *, shown: bool) -> None:
        self.are_shown = shown
        self._reasoning = reasoning
        self._canvas = canvas
        self.since_s: float | None = None
        self._has_printed = False

    def feed(self, text: str, now_s: float) -> list[Segment]:
        """Return the lines to print permanently."""
        if self.since_s is None:
            self.since_s = now_s
        lines = self._reasoning.feed(text, self._canvas.columns())
        self._has_printed |= bool(lines)
        return lines if self.are_shown else []

    def tail(self, columns: int, rows: int) -> list[list[Segment]]:
        if not self.are_shown or self.since_s is None:
            return []
        return self._reasoning.tail(columns, rows)

    def end(self, now_s: float) -> list[Segment]:
        """Return the remaining lines and a gap before the answer; nothing without reasoning."""
        if self.since_s is None:
            return []
        elapsed_s, self.since_s = now_s - self.since_s, None
        if self.are_shown:
            rest = self._reasoning.finish(self._canvas.columns())
            return [*rest, LINE_END] if rest or self._has_printed else []
        return [self._reasoning.fold(elapsed_s), LINE_END, LINE_END]


class _Activity:
    """The status shown while no text arrives."""

    def __init__(self, theme: Theme, silence_after_s: float) -> None:
        self._theme = theme
        self._silence_after_s = silence_after_s

    def rows(
        self, thinking_since_s: float | None, last_delta_s: float, now_s: float, columns: int
    ) -> list[list[Segment]]:
        """Return the status as one row, or no row."""
        if now_s - last_delta_s >= self._silence_after_s:
            status = f"nothing new for {now_s - last_delta_s:.0f} s"
        elif thinking_since_s is not None:
            status = f"thinking {now_s - thinking_since_s:.0f} s"
        else:
            return []
        return [[self._theme.segment(f"{status} · Ctrl-C stops"[:columns], "reasoning")]]
