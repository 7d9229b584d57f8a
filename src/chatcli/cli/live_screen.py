"""Standard output as a canvas: finished text is printed, unfinished text is redrawn below it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final

from chatcli.render.printing import as_written, command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.cli.standard_streams import Terminal
    from chatcli.render.printing import Painted

# Synchronized output (DEC private mode 2026), as in terminal/live_application.py: frames appear as a whole.
_BEGIN_FRAME: Final = "\x1b[?2026h"
_END_FRAME: Final = "\x1b[?2026l"
_UP: Final = "\x1b[A"
_CLEAR_ROW: Final = "\x1b[2K"
_FIRST_ROW: Final = "\x1b[H"
_SECOND_ROW: Final = "\x1b[2;1H"
_CONTINUED: Final[int | None] = getattr(signal, "SIGCONT", None)  # Windows does not stop processes

RESTED_AFTER_S: Final = 0.1
"""How long a terminal's size must be stable before anything is redrawn."""


class LiveScreen:
    """Draws on a terminal without other writers.

    The cursor rests at the end of the tail. Nothing above the rows of the tail is ever erased: if a narrower
    terminal wraps them again, the upper ones stay as they are.
    """

    def __init__(self, terminal: Terminal, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._clock = clock
        self._size = terminal.size()
        self._resting_from_s = 0.0
        self._tail: Sequence[Painted] = ()
        self._handler_before: Any = None

    def columns(self) -> int:
        """Return the usable width: the last column stays free, so that no terminal wraps a redrawn row."""
        return max(1, self._terminal.columns() - 1)

    def rows(self) -> int:
        return max(1, self._terminal.size().lines - 1)

    def is_ready(self) -> bool:
        size, now_s = self._terminal.size(), self._clock()
        if size != self._size:
            self._size = size
            self._resting_from_s = now_s + RESTED_AFTER_S
        return now_s >= self._resting_from_s and self._terminal.stdout.has_room

    def draw(self, printed: Painted, tail: Sequence[Painted]) -> None:
        if not printed and list(tail) == list(self._tail):
            return
        # Unchanged rows of the tail need not be written again.
        kept = 0 if printed else min(_in_common(self._tail, tail), max(0, len(tail) - 1))
        frame = [command(_BEGIN_FRAME + self._to_row(kept)), *printed]
        for at, row in enumerate(tail[kept:]):
            frame += [command("\n"), *row] if at else row
        self._tail = tuple(tail)
        self._terminal.stdout.write(as_written([*frame, command(_END_FRAME)]))

    def restart(self) -> None:
        """Erase all rows but the first, for a tail that filled the others until the terminal was resized.

        The first goes too where a row of the tail is too long now: terminals wrap such a row, and the upper ones move up.
        """
        rows, columns = self._terminal.size().lines, self._terminal.columns()
        if any(sum(segment.cell_length for segment in row) > columns for row in self._tail):
            self._terminal.stdout.write(_FIRST_ROW + _CLEAR_ROW)
        erased = (_CLEAR_ROW + "\n") * max(0, rows - 2) + _CLEAR_ROW
        self._terminal.stdout.write(f"{_SECOND_ROW}{erased}{_SECOND_ROW}")
        self._forget_tail()

    def _to_row(self, row: int) -> str:
        """Return the sequence that moves to the start of a row of the tail and erases it and those below.

        Row by row: erasing everything at once makes a terminal such as tmux save the screen in its
        scrollback.
        """
        if row == len(self._tail):
            return "\n" if row else ""
        return "\r" + _CLEAR_ROW + (_UP + _CLEAR_ROW) * (len(self._tail) - 1 - row)

    def attach(self) -> None:
        """Start again below the shell's output whenever the process was stopped and continued."""
        if (number := _CONTINUED) is not None:
            self._handler_before = signal.signal(number, lambda *_: self._forget_tail())

    def detach(self) -> None:
        if (number := _CONTINUED) is not None:
            signal.signal(number, self._handler_before)

    def _forget_tail(self) -> None:
        self._tail = ()


def _in_common(before: Sequence[Painted], after: Sequence[Painted]) -> int:
    """Return the number of leading rows that are equal."""
    return next(
        (at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new),
        min(len(before), len(after)),
    )
