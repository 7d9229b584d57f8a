"""A runtime a test controls: clock, ids, timers and monotonic time stand still until the test moves them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from chatcli.core.events import TurnResult, Usage
from chatcli.sessions.log import SessionLog
from chatcli.sessions.reading import read_records
from chatcli.sessions.session import Session
from chatcli.sessions.store import SessionFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESULT = TurnResult(
    text="Paris.",
    model="small",
    finish_reason="stop",
    usage=Usage(12, 3, 4, None, estimated=True),
    cost_usd=0.0015,
    latency_s=1.25,
    ttft_s=0.5,
)


class FakeRuntime:
    def __init__(self, first_id: int = 1) -> None:
        self.now = datetime(2026, 11, 23, 21, 5, 7, 123_456, UTC)
        self.passed_s = 0.0
        self._ids = itertools.count(first_id)
        self._timer_keys = itertools.count()
        self._timers: dict[int, tuple[float, Callable[[], None]]] = {}

    def clock(self) -> datetime:
        return self.now

    def ids(self) -> str:
        return f"{next(self._ids):012x}"

    def monotonic_s(self) -> float:
        return self.passed_s

    def timer(self, delay_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        key = next(self._timer_keys)
        self._timers[key] = (self.passed_s + delay_s, callback)
        return lambda: self._timers.pop(key, None) and None

    def wait(self, seconds: float, *, asleep: bool = False) -> None:
        """Let time pass; ``asleep``: with an event loop too busy to call back."""
        self.passed_s += seconds
        self.now += timedelta(seconds=seconds)
        due = [] if asleep else [key for key, (at_s, _) in self._timers.items() if at_s <= self.passed_s]
        for key in due:
            _, callback = self._timers.pop(key)
            callback()

    def log(self, path: Path | None, session: Session | None = None) -> SessionLog:
        return SessionLog(
            None if path is None else SessionFile("trip", path),
            app="chatcli 1.2.3",
            session=session,
            clock=self.clock,
            ids=self.ids,
            monotonic_s=self.monotonic_s,
            timer=self.timer,
        )


def replayed(path: Path) -> Session:
    return Session.replay(read_records(path.read_bytes()))


def texts(session: Session) -> list[str]:
    return [record.message.text for record in session.path()]
