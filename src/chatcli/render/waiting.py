"""The line that shows, on a terminal, that an answer or another attempt is being waited for."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

from chatcli.core.events import Retrying, Waiting
from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatcli.core.events import Event

_TO_LINE_START: Final = "\r"
_UP: Final = "\x1b[A"
_CLEAR_TO_LINE_END: Final = "\x1b[K"
_REASON_LENGTH: Final = 40


class WaitingLine:
    """Redraws one line while the turn waits and takes it back before anything else is shown.

    Only for a terminal, and first among the observers: what they write starts where this line was. ``hint`` says
    what the person can do while another attempt is waited for.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        color: bool,
        columns: Callable[[], int],
        hint: str = "Ctrl-C ends it",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._write = write
        self._color = color
        self._columns = columns
        self._hint = hint
        self._clock = clock
        self._sleep = sleep
        self._shown = False
        self._counting: asyncio.Task[None] | None = None

    async def __call__(self, event: Event) -> None:
        self._stop_counting()
        match event:
            case Waiting(elapsed_s, reason):
                told = sanitize_line(reason)[:_REASON_LENGTH]
                self._draw(f"waiting {elapsed_s:.0f} s…" + (f" ({told})" if told else ""))
            case Retrying(wait_s=wait_s):
                self._take_back()
                # The first drawing comes after the other observers have told what is retried and why.
                self._counting = asyncio.ensure_future(self._count_down(self._clock() + wait_s))
            case _:
                self._take_back()

    def move_up(self) -> None:
        """Make up for the Enter that the terminal has shown by going to the next line."""
        if self._shown:
            self._write(_UP)

    async def _count_down(self, until_s: float) -> None:
        while (left_s := until_s - self._clock()) > 0:
            self._draw(f"trying again in {math.ceil(left_s)} s · {self._hint}")
            await self._sleep(min(1.0, left_s))
        self._draw("trying again…")

    def _stop_counting(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            self._counting = None

    def _draw(self, line: str) -> None:
        # A line that wrapped could not be taken back. All of it is ASCII but for a dot or two of one column.
        line = line[: self._columns() - 1]
        styled = f"\x1b[2m{line}\x1b[0m" if self._color else line
        self._write(_TO_LINE_START + styled + _CLEAR_TO_LINE_END)
        self._shown = True

    def _take_back(self) -> None:
        if self._shown:
            self._write(_TO_LINE_START + _CLEAR_TO_LINE_END)
            self._shown = False
