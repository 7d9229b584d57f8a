"""How many requests of a batch may be in flight at once."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AT_ONCE: Final = 1_000
"""The highest ``--concurrency``."""
_ADAPTIVE_MOST: Final = 256
_FIRST: Final = 4
_SLOWER: Final = 1.5
"""Answers that take so many times the best time are a sign that requests queue up: no more are begun at once."""
_MUCH_SLOWER: Final = 3.0
_STEP_DOWN: Final = 0.8
_FILES_BESIDE: Final = 64
"""Open files that are no connections."""


class Concurrency:
    """How many requests may be in flight: ``fixed``, or as many as the endpoint takes well.

    Additive increase, multiplicative decrease (as TCP: RFC 5681): the limit doubles with each round of answers at first,
    then grows by one a round, and is halved when the endpoint refuses or fails a request, once a round at most. Rounds that
    take much longer than the best stop the growth, and lower the limit. ``clock`` counts seconds.
    """

    def __init__(self, fixed: int | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_adaptive = fixed is None
        self.limit = _FIRST if fixed is None else fixed
        self._most = _ADAPTIVE_MOST if fixed is None else fixed
        self._clock = clock
        self._is_starting = True
        self._best_s: float | None = None
        self._answered = 0
        self._answered_s = 0.0
        self._lowered_at_s: float | None = None

    def fit_open_files(self, say: Callable[[str], object]) -> None:
        """Let the process open a file for each request, and ``say`` if the system allows fewer than were asked for."""
        wanted, self._most = self._most, _allowed_connections(self._most)
        self.limit = min(self.limit, self._most)
        if not self.is_adaptive and self._most < wanted:
            say(
                f"{self._most:,} requests at once, not {wanted:,}: the system allows no more open files (ulimit -n)"
            )

    def answered(self, latency_s: float, *, is_busy: bool) -> None:
        """Note an answer without a retry; ``is_busy``: the limit was reached, so that a higher one would be used."""
        if not self.is_adaptive:
            return
        self._answered += 1
        self._answered_s += latency_s
        if self._answered < self.limit:
            return
        round_s, self._answered, self._answered_s = self._answered_s / self._answered, 0, 0.0
        self._best_s = round_s if self._best_s is None else min(self._best_s, round_s)
        if round_s > self._best_s * _MUCH_SLOWER:
            self._is_starting = False
            self.limit = max(1, int(self.limit * _STEP_DOWN))
        elif round_s > self._best_s * _SLOWER:
            self._is_starting = False
        elif is_busy:
            self.limit = min(self._most, self.limit * 2 if self._is_starting else self.limit + 1)

    def refused(self) -> None:
        """Note that the endpoint refused or failed a request: a 429, a 5xx, a time-out."""
        if not self.is_adaptive:
            return
        now_s = self._clock()
        # All requests of one round fail together; they are one sign.
        if self._lowered_at_s is not None and now_s - self._lowered_at_s < max(1.0, self._best_s or 0.0):
            return
        self._lowered_at_s = now_s
        self._is_starting = False
        self.limit = max(1, self.limit // 2)


def _allowed_connections(wanted: int) -> int:
    """Let the process open a file for each connection, where the system has a lower limit for a start; return how many it may."""
    if sys.platform == "win32":
        return wanted
    import resource  # noqa: PLC0415 - Windows has none

    least = wanted + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < least:
        with suppress(OSError, ValueError):
            highest = least if hard == resource.RLIM_INFINITY else min(least, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            soft = highest
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _FILES_BESIDE))
