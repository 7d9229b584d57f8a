"""Spoken progress while waiting for an answer, where no line can be redrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import LongProgress, Retrying, Waiting
from chatcli.render.sentences import sentence
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

_FIRST_AFTER_S: Final = 3.0


class SpokenWaiting:
    """Reports the wait at doubling intervals, and ``hint`` before another attempt.

    The progress of reading a long text is reported at each quarter.
    """

    def __init__(self, write_line: Callable[[str], object], *, hint: str) -> None:
        self._write_line = write_line
        self._hint = hint
        self._due_s = _FIRST_AFTER_S
        self._quarter = 0

    async def __call__(self, event: Event) -> None:
        match event:
            case Waiting(elapsed_s, reason):
                if elapsed_s >= self._due_s:
                    self._due_s = 2 * elapsed_s
                    what = sanitize_line(reason) or "waiting for the answer"
                    self._write_line(sentence(f"{what}, {elapsed_s:.0f} seconds so far"))
            case LongProgress(done, total):
                quarter = 4 * done // max(1, total)
                if quarter > self._quarter:
                    self._write_line(sentence(f"{done} of {total} requests are answered"))
                self._quarter = quarter
            case Retrying():
                self._due_s = _FIRST_AFTER_S
                self._write_line(self._hint)
