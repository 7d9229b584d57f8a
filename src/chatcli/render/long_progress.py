"""The line that shows, on a terminal, how far a long text is read: parts, tokens, cost, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import LongProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

_TO_LINE_START: Final = "\r"
_CLEAR_TO_LINE_END: Final = "\x1b[K"
_BAR_CELLS: Final = 20
_MINUTE_S: Final = 60


class LongProgressLine:
    """Redraws one line with a bar while a text is read, and takes it back before anything else is shown.

    Only for a terminal. It belongs after the line that tells of waiting, which stands in the same place.
    """

    def __init__(
        self, write: Callable[[str], object], *, color: bool, columns: Callable[[], int], unicode: bool = True
    ) -> None:
        self._write = write
        self._color = color
        self._columns = columns
        self._cells = "━╌" if unicode else "#-"
        self._shown = False

    async def __call__(self, event: Event) -> None:
        if isinstance(event, LongProgress):
            self._draw(event)
        elif self._shown:
            self._write(_TO_LINE_START + _CLEAR_TO_LINE_END)
            self._shown = False

    def _draw(self, progress: LongProgress) -> None:
        line = f"{bar(progress, self._cells)} {told(progress)} · Ctrl-C stops"[: self._columns() - 1]
        styled = f"\x1b[2m{line}\x1b[0m" if self._color else line
        self._write(_TO_LINE_START + styled + _CLEAR_TO_LINE_END)
        self._shown = True


def bar(progress: LongProgress, cells: str = "━╌") -> str:
    full = _BAR_CELLS * progress.done // max(1, progress.total)
    return cells[0] * full + cells[1] * (_BAR_CELLS - full)


def told(progress: LongProgress) -> str:
    """Return how far it is: requests, tokens, cost and the time left, as far as they are known."""
    known = (
        f"{progress.done:,} of {progress.total:,}",
        f"{progress.tokens:,} tokens" if progress.tokens else None,
        None if not progress.cost_usd else f"${progress.cost_usd:.4f}",
        None if progress.left_s is None else f"{_span(progress.left_s)} left",
    )
    return " · ".join(each for each in known if each)


def _span(time_s: float) -> str:
    if time_s < _MINUTE_S:
        return f"{time_s:.0f} s"
    minutes, seconds = divmod(round(time_s), _MINUTE_S)
    return f"{minutes} min {seconds} s"
