"""The line that shows, on a terminal, that an answer is being waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import Waiting
from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

_TO_LINE_START: Final = "\r"
_CLEAR_TO_LINE_END: Final = "\x1b[K"
_REASON_LENGTH: Final = 40  # a line that wrapped could not be taken back


class WaitingLine:
    """Redraws one line while the turn waits and takes it back before anything else is shown.

    Only for a terminal, and first among the observers: what they write starts where this line was.
    """

    def __init__(self, write: Callable[[str], object], *, color: bool) -> None:
        self._write = write
        self._color = color
        self._shown = False

    async def __call__(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._draw(event)
        elif self._shown:
            self._write(_TO_LINE_START + _CLEAR_TO_LINE_END)
            self._shown = False

    def _draw(self, event: Waiting) -> None:
        reason = sanitize_line(event.reason)[:_REASON_LENGTH]
        line = f"waiting {event.elapsed_s:.0f} s…" + (f" ({reason})" if reason else "")
        styled = f"\x1b[2m{line}\x1b[0m" if self._color else line
        self._write(_TO_LINE_START + styled + _CLEAR_TO_LINE_END)
        self._shown = True
