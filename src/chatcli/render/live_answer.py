"""The answer while it comes: what is finished is printed, the rest is shown below it, a frame at a time."""

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
"""... but however dear a frame is, this is how long a reader waits for new text at most."""

_MUCH: Final = 4_000
"""How many characters are not left for the next frame: what it takes to draw them would hold up everything else."""

_LOOK_AGAIN_S: Final = 0.05
SILENCE_AFTER_S: Final = 3.0
"""After how long without another piece of the answer that is said."""

_SILENCE_STEP_S: Final = 1.0

_WAS_REASONING: Final = "the text above was reasoning"


class Canvas(Protocol):
    """Where an answer is drawn."""

    def columns(self) -> int: ...

    def rows(self) -> int:
        """Return how many rows a tail may have."""
        ...

    def is_ready(self) -> bool:
        """Whether a frame may be drawn now: nobody has to wait for it, and the size rests."""
        ...

    def draw(self, printed: Painted, tail: Sequence[Painted]) -> None:
        """Print whole lines for good and show the rows of ``tail`` below them, in one frame."""
        ...


class LiveAnswer:
    """An observer of one turn that draws the first text and the last at once and what comes between in frames.

    ``clock`` tells the time and ``cpu_clock`` the CPU time of this thread, both in seconds.
    ``reasoning`` is shown above the answer where ``shows_reasoning``, else folded to a line. Where nothing else
    tells what is going on, ``tells_activity`` adds a row to the tail while the model thinks or is silent.
    """

    def __init__(
        self,
        canvas: Canvas,
        theme: Theme,
        *,
        line_breaks: LineBreaks = "auto",
        reasoning: Reasoning,
        shows_reasoning: bool,
        tells_activity: bool = False,
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
        self._thoughts = _Thoughts(reasoning, canvas, shown=shows_reasoning)
        self._activity = _Activity(theme, silence_after_s) if tells_activity else None
        self._silence_after_s = silence_after_s
        self._silence: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
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
                if self._texts_length >= _MUCH:
                    self._take_texts()
                await self._draw_in_time()
            case ReasoningDelta(text):
                self._printed += self._thoughts.feed(text, self._clock())
                await self._draw_in_time()
            case AnswerContinued(text):
                self._answer_so_far = text
                self._stream.go_on_after(text)
            case TextReclassified():
                self._close_reasoning()
                await self._draw_in_time()
            case Retrying() | Notice():
                # A line about it comes next, and stands above what is still coming.
                self._stop_listening()
                self._flush(())
            case TurnFinished() | TurnFailed() | TurnCancelled():
                self._printed += self._thoughts.end(self._clock())
                self._take_texts()
                self._printed += self._stream.finish(self._canvas.columns())
                self._stop_listening()
                self._flush(())
            case _:
                pass

    def _close_reasoning(self) -> None:
        """Say of all that was shown that it was reasoning, and begin the answer anew."""
        self._take_texts()
        self._printed += self._stream.finish(self._canvas.columns())
        self._printed += LINE_END, self._theme.segment(_WAS_REASONING, "reasoning"), LINE_END, LINE_END
        self._stream = self._begin_stream()
        if self._answer_so_far:
            self._stream.go_on_after(self._answer_so_far)

    async def _draw_in_time(self) -> None:
        self._heard_s = self._clock()
        self._listen(self._silence_after_s)
        if self._clock() < self._due_s or not self._canvas.is_ready():
            self._schedule()
            return
        self._draw()
        # A fast stream never waits for its next event: without this no key would be read.
        await asyncio.sleep(0)

    def _listen(self, silence_s: float) -> None:
        """Draw again when nothing has come for ``silence_s``, to say so."""
        if self._activity is not None:
            self._stop_listening()
            self._silence = asyncio.get_running_loop().call_later(silence_s, self._draw_silence)

    def _stop_listening(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _draw_silence(self) -> None:
        self._listen(_SILENCE_STEP_S)
        self._draw_on_time()

    def _schedule(self) -> None:
        if self._timer is None:
            wait_s = max(self._due_s - self._clock(), 0 if self._canvas.is_ready() else _LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._draw_on_time)

    def _draw_on_time(self) -> None:
        self._timer = None
        if not self._canvas.is_ready():
            self._schedule()
            return
        try:
            self._draw()
        except Exception as error:  # noqa: BLE001 - told where the turn is played, by the next event
            self._failure = error

    def _draw(self) -> None:
        # What is printed for good has to be drawn sooner or later; only the tail is drawn again and again.
        self._take_texts()
        began_s = self._cpu_clock()
        columns, rows = self._canvas.columns(), self._canvas.rows()
        tail = self._stream.tail(columns, rows) or self._thoughts.tail(columns, rows)
        if self._activity is not None:
            told = self._activity.rows(self._thoughts.since_s, self._heard_s, self._clock(), columns)
            tail = [*tail, *told][-rows:]
        self._flush(tail)
        # The CPU time of this thread: on a busy machine a frame takes long by the clock without being dear.
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


class _Thoughts:
    """What the model thinks before it answers, as it comes and at its end."""

    def __init__(self, reasoning: Reasoning, canvas: Canvas, *, shown: bool) -> None:
        self.are_shown = shown
        self._reasoning = reasoning
        self._canvas = canvas
        self.since_s: float | None = None
        self._has_printed = False

    def feed(self, text: str, now_s: float) -> list[Segment]:
        """Return what is to be printed for good."""
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
        """Return what is left to be printed, and a gap before the answer; nothing where nothing was thought."""
        if self.since_s is None:
            return []
        elapsed_s, self.since_s = now_s - self.since_s, None
        if self.are_shown:
            rest = self._reasoning.finish(self._canvas.columns())
            return [*rest, LINE_END] if rest or self._has_printed else []
        return [self._reasoning.fold(elapsed_s), LINE_END, LINE_END]


class _Activity:
    """What goes on while no text comes."""

    def __init__(self, theme: Theme, silence_after_s: float) -> None:
        self._theme = theme
        self._silence_after_s = silence_after_s

    def rows(
        self, thinking_since_s: float | None, heard_s: float, now_s: float, columns: int
    ) -> list[list[Segment]]:
        """Return a row about it, or none."""
        if now_s - heard_s >= self._silence_after_s:
            told = f"nothing new for {now_s - heard_s:.0f} s"
        elif thinking_since_s is not None:
            told = f"thinking {now_s - thinking_since_s:.0f} s"
        else:
            return []
        return [[self._theme.segment(f"{told} · Ctrl-C stops"[:columns], "reasoning")]]
