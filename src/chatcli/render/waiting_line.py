"""The progress line of a terminal: for an answer, another attempt, or the parts of a long text."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

from wcwidth import clip, width

from chatcli.core.errors import clause
from chatcli.core.events import LongProgress, Retrying, Waiting
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened
from chatcli.text.times import in_minutes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.core.events import Event
    from chatcli.render.themes import Theme

_TO_LINE_START: Final = "\r"
_UP: Final = "\x1b[A"
_CLEAR_TO_LINE_END: Final = "\x1b[K"
_REASON_LENGTH: Final = 40
_SHORTEST_REASON: Final = 20
_BAR_CELLS: Final = 20

STOP_HINT: Final = "Ctrl-C stops"
RETRY_HINTS: Final = ("Enter tries now", STOP_HINT)
"""What the keys do while waiting for another attempt."""


def retry_line(reason: str, attempt: int, left_s: float, hints: Sequence[str], columns: int) -> str:
    """Return why and when another attempt is made, and what the keys do meanwhile, in ``columns``.

    The reason is shortened before anything else is left out, but its beginning outranks the last of
    ``hints``.
    """
    when = f"retrying in {max(0, math.ceil(left_s))} s" if left_s > 0 else "retrying now"
    number = f"(attempt {attempt})"
    shown = clause(sanitize_line(reason)).strip(".!?:;, ") or "failed"
    ends = [" · ".join([f"{when} {number}", *hints[:count]]) for count in range(len(hints), 0, -1)]
    shorter = [f"{when} · {hints[0]}"] if hints else []
    for end in [*ends, *shorter, f"{when} {number}", when]:
        room = columns - width(end) - len(", ")
        if room >= min(width(shown), _SHORTEST_REASON):
            return f"{shortened(shown, room)}, {end}"
    return shortened(when, columns)


class WaitingLine:
    """Redraws one line while the turn waits or a text is read in parts, and erases it before other output.

    It is for terminals only, and must be the first observer: the others write where the line was. ``hints``
    says what the person can do while waiting for another attempt.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        theme: Theme,
        columns: Callable[[], int],
        hints: Sequence[str] = (STOP_HINT,),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._write = write
        self._theme = theme
        self._columns = columns
        self._hints = hints
        self._clock = clock
        self._sleep = sleep
        self._shown = False
        self._counting: asyncio.Task[None] | None = None

    async def __call__(self, event: Event) -> None:
        self._stop_counting()
        match event:
            case Waiting(elapsed_s, reason):
                shown = sanitize_line(reason)[:_REASON_LENGTH]
                self._draw(f"waiting {elapsed_s:.0f} s…" + (f" ({shown})" if shown else ""))
            case Retrying():
                self._take_back()
                # Draw after the other observers have written.
                self._counting = asyncio.ensure_future(self._count_down(event))
            case LongProgress():
                self._draw(f"{progress_bar(event)} {progress_facts(event)} · {STOP_HINT}")
            case _:
                self._take_back()

    def move_up(self) -> None:
        """Undo the line feed of an Enter that the terminal has echoed."""
        if self._shown:
            self._write(_UP)

    async def _count_down(self, retry: Retrying) -> None:
        until_s = self._clock() + retry.wait_s
        while True:
            left_s = until_s - self._clock()
            hints = self._hints if left_s > 0 else ()
            self._draw(retry_line(retry.reason, retry.attempt, left_s, hints, self._columns() - 1))
            if left_s <= 0:
                return
            await self._sleep(min(1.0, left_s))

    def _stop_counting(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            self._counting = None

    def _draw(self, line: str) -> None:
        # A wrapped line could not be erased.
        line = clip(line, 0, self._columns() - 1)
        self._write(_TO_LINE_START + self._theme.paint(line, "remark") + _CLEAR_TO_LINE_END)
        self._shown = True

    def _take_back(self) -> None:
        if self._shown:
            self._write(_TO_LINE_START + _CLEAR_TO_LINE_END)
            self._shown = False


def progress_bar(progress: LongProgress) -> str:
    full = _BAR_CELLS * progress.done // max(1, progress.total)
    return "━" * full + "╌" * (_BAR_CELLS - full)


def progress_facts(progress: LongProgress) -> str:
    """Return the known progress: requests, tokens, cost and the time left."""
    known = (
        f"{progress.done:,} of {progress.total:,}",
        f"{progress.tokens:,} tokens" if progress.tokens else None,
        None if not progress.cost_usd else f"${progress.cost_usd:.4f}",
        None if progress.left_s is None else f"{in_minutes(progress.left_s)} left",
    )
    return " · ".join(each for each in known if each)
