"""The current activity in one animated line: waiting, retrying, answering."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.events import LongProgress, ReasoningDelta, Retrying, TextDelta, Waiting
from chatcli.core.frozen import frozen
from chatcli.render.waiting_line import RETRY_HINTS, STOP_HINT, progress_facts, retry_line
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Event

STEP_S: Final = 0.1
"""How often the line is redrawn."""
SLOW_STEP_S: Final = 1.0
"""How often it is redrawn over a slow connection, where only the seconds change."""

_STEPS: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_THINKING: Final = "thinking"
_STILL: Final = "…"
_PLAIN_STILL: Final = "*"
_PLAIN_STEPS: Final = "|/-\\"
_SILENCE_AFTER_S: Final = 3.0
_SHOWN_AFTER_S: Final = 0.2  # shorter work needs no line


@frozen
class _Doing:
    """Work in hand; its seconds are counted from ``since_s``."""

    what: str
    since_s: float
    retry: Retrying | None = None
    until_s: float | None = None


class Activity:
    """Shows the work in hand (``begin``, ``end``) and, as an observer, the turn within it.

    ``unicode`` says whether the terminal can show the spinner's characters, ``slow`` whether it is at the
    other end of a connection; times are read from ``clock``.
    """

    def __init__(
        self, *, unicode: bool, slow: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._still = _STILL if unicode else _PLAIN_STILL
        self._steps = _STEPS if unicode else _PLAIN_STEPS
        self._is_slow = slow
        self._clock = clock
        self._doing: _Doing | None = None
        self._began_s = 0.0
        self._heard_s: float | None = None

    @property
    def is_busy(self) -> bool:
        return self._doing is not None

    @property
    def step_s(self) -> float:
        """The seconds between two redraws."""
        return SLOW_STEP_S if self._is_slow else STEP_S

    def slow_down(self) -> None:
        """Redraw only as often as the seconds change, because output is not getting through."""
        self._is_slow = True

    def begin(self, what: str) -> None:
        self._began_s = self._clock()
        self._heard_s = None
        self._doing = _Doing(what, self._began_s)

    def end(self) -> None:
        self._doing = None

    def turn_to(self, what: str) -> None:
        """Change what is shown for the work in hand."""
        if self._doing is not None and (self._doing.what != what or self._doing.until_s is not None):
            self._doing = _Doing(what, self._began_s)

    def stop_countdown(self) -> None:
        """Stop counting down: the retry happens now."""
        if self._doing is not None:
            self._doing = replace(self._doing, until_s=None)

    async def __call__(self, event: Event) -> None:
        match event:
            case Waiting(reason=reason):
                self.turn_to(sanitize_line(reason))
            case Retrying(attempt, wait_s):
                self._heard_s = None
                until_s = self._clock() + wait_s
                self._doing = _Doing(f"attempt {attempt}", self._began_s, event, until_s)
            case LongProgress():
                self._doing = _Doing(f"reading: {progress_facts(event)} ·", self._began_s)
            case ReasoningDelta():
                self._hear(_THINKING)
            case TextDelta():
                self._hear("answering")
            case _:
                pass

    def _hear(self, what: str) -> None:
        self._heard_s = now_s = self._clock()
        if what != _THINKING:
            self.turn_to(what)
        elif self._doing is not None and self._doing.what != what:
            # The thinking time is shown afterwards too, and differs from the total time.
            self._doing = _Doing(what, now_s)

    def line(self, columns: int = 80) -> str:
        """Return the line for ``columns``; empty while there is nothing to show."""
        doing, now_s = self._doing, self._clock()
        if doing is None or now_s - self._began_s < _SHOWN_AFTER_S:
            return ""
        step = self._still if self._is_slow else self._steps[int(now_s / STEP_S) % len(self._steps)]
        if doing.retry is not None and doing.until_s is not None and now_s < doing.until_s:
            left_s = doing.until_s - now_s
            room = columns - len(step) - 1
            return f"{step} {retry_line(doing.retry.reason, doing.retry.attempt, left_s, RETRY_HINTS, room)}"
        if self._heard_s is not None and now_s - self._heard_s >= _SILENCE_AFTER_S:
            state = f"{doing.what}, nothing new for {now_s - self._heard_s:.0f} s"
        else:
            state = f"{doing.what} {now_s - doing.since_s:.0f} s"
        return f"{step} {state} · {STOP_HINT}"
