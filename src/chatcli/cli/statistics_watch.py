"""Statistics that are shown again and again while somebody watches."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.core.errors import ExitCode, LocalIOError
from chatcli.render.themes import ANY_BACKGROUND, theme
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened
from chatcli.text.times import in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.segment import Segment

    from chatcli.app.statistics_report import Statistics
    from chatcli.cli.live_screen import LiveScreen
    from chatcli.cli.statistics_display import StatisticsDisplay
    from chatcli.render.themes import StyledRow

_TICK_S: Final = 0.1
_FAINT: Final = "remark"
_PROBLEM: Final = "finding.problem"


async def watch(display: StatisticsDisplay, every_s: float, is_ended: asyncio.Event) -> ExitCode:
    """Show the statistics anew every ``every_s`` until ``is_ended``: in place on a terminal, else one below the other."""
    terminal = display.terminal
    if display.form == "text" and terminal.stdout.is_terminal and not (terminal.is_dumb or display.is_plain):
        from chatcli.cli.live_screen import LiveScreen  # noqa: PLC0415 - only for a terminal

        screen = LiveScreen(terminal)
        screen.attach()
        try:
            await _Watching(display, every_s, screen).run(is_ended)
        finally:
            screen.detach()
        return ExitCode.DONE
    found, problem = await in_thread(display.read), ""
    while not is_ended.is_set():
        if problem:
            terminal.warn(problem)
        else:
            display.write(found, is_repeated=True)
        await _passed(every_s, is_ended)
        found, problem = await _read_again(display, found)
    return ExitCode.DONE


async def _read_again(display: StatisticsDisplay, before: Statistics) -> tuple[Statistics, str]:
    """Return what is found now, or what was before and why: another process may be writing, and the next time it may work."""
    try:
        return await in_thread(display.read), ""
    except LocalIOError as error:
        return before, sanitize_line(error.message)


class _Watching:
    """Statistics that are redrawn in place, cut where the terminal ends; the last ones stay as a whole."""

    def __init__(
        self,
        display: StatisticsDisplay,
        every_s: float,
        screen: LiveScreen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display = display
        self._every_s = every_s
        self._screen = screen
        self._clock = clock
        self._theme = theme(ANY_BACKGROUND, display.terminal.stdout_colors)
        self._problem = ""
        self._drawn: tuple[Statistics, str, int, int] | None = None

    async def run(self, is_ended: asyncio.Event) -> None:
        found, due_s = await in_thread(self._display.read), self._clock() + self._every_s
        while not is_ended.is_set():
            if self._clock() >= due_s:
                found, self._problem = await _read_again(self._display, found)
                due_s = self._clock() + self._every_s
            # The size may have changed since the last frame.
            if self._screen.is_ready() and self._drawn != self._state(found):
                self._draw(found)
            await _passed(min(_TICK_S, self._every_s), is_ended)
        self._end(found)

    def _state(self, found: Statistics) -> tuple[Statistics, str, int, int]:
        return found, self._problem, self._screen.rows() - 1, self._screen.columns()

    def _draw(self, found: Statistics) -> None:
        """Fill the terminal, the last row with the time and how to leave."""
        before, self._drawn = self._drawn, self._state(found)
        *_, room, columns = self._drawn
        if before is not None and room <= before[2] and columns != before[3]:
            # A terminal may have wrapped the rows anew. None of another program has come into sight.
            self._screen.restart()
        rows = self._display.rows(found, columns, most=room)[:room]
        state = f"{found.report.until:%H:%M:%S} · every {in_seconds(self._every_s)} · Ctrl-C ends"
        last: StyledRow = [(self._problem, _PROBLEM)] if self._problem else [(state, _FAINT)]
        blank: StyledRow = [("", "")]
        filled = [
            *rows,
            *[blank] * (room - len(rows)),
            [(shortened(text, columns), role) for text, role in last],
        ]
        self._screen.draw((), [self._segments(row) for row in filled])

    def _end(self, found: Statistics) -> None:
        from rich.segment import Segment  # noqa: PLC0415 - as in ``watch``

        rows = [self._segments(row) for row in self._display.rows(found, self._screen.columns())]
        self._screen.draw([segment for row in rows for segment in (*row, Segment("\n"))], ())

    def _segments(self, row: StyledRow) -> list[Segment]:
        return [self._theme.segment(self._display.terminal.redactor.redact(text), role) for text, role in row]


async def _passed(time_s: float, is_ended: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(is_ended.wait(), time_s)
