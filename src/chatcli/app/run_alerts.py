"""The alerts of a run: what fires at present, and what is still to be told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.telemetry.alert_watch import AlertWatch
    from chatcli.telemetry.alerts import AlertChange, AlertReading

ALERTS_FILE: Final = "alerts-1.json"
"""In the data folder. The number is that of the format: another one is another file."""


class ChangeActions(Protocol):
    """What is done about a change, beside telling the person."""

    def start(self, change: AlertChange) -> None:
        """Begin it, in a thread."""
        ...

    def finish(self) -> None:
        """Wait for what was begun, which has seconds to do its work."""
        ...


class RunAlerts:
    """The alerts of a run, for whoever shows them. Nothing is watched before ``watch`` is set."""

    def __init__(self) -> None:
        self.watch: AlertWatch | None = None
        self.actions: ChangeActions | None = None
        self.readings: Sequence[AlertReading] = ()
        self._untold: list[AlertChange] = []
        self._lock = Lock()
        self._on_check: Callable[[], object] = lambda: None

    def listen(self, tell: Callable[[], object]) -> None:
        """Have ``tell`` called by the running loop whenever the rules were checked."""
        loop = asyncio.get_running_loop()

        def on_check() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell)

        self._on_check = on_check

    def announce(self, changes: Sequence[AlertChange], readings: Sequence[AlertReading]) -> None:
        """Take what a check has found, in the thread that watches."""
        with self._lock:
            self._untold += changes
            self.readings = readings
        if (actions := self.actions) is not None:
            for change in changes:
                actions.start(change)
        self._on_check()

    def take(self) -> Sequence[AlertChange]:
        """Return the changes that nobody has taken yet."""
        with self._lock:
            untold, self._untold = self._untold, []
        return untold

    @property
    def firing(self) -> Sequence[str]:
        """The alerts that fire, each in a few words."""
        return [each.summary for each in self.readings if each.firing is not None and each.rule.is_shown]

    def check_last(self) -> None:
        """Wait a moment for the last check."""
        if self.watch is not None:
            self.watch.close()

    def finish(self) -> None:
        """Wait for what was begun about the changes."""
        if self.actions is not None:
            self.actions.finish()
