"""The thread that watches the rules of alerts while calls are made: no turn waits for it, and none fails with it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from chatcli.core.call_records import CallRecord
    from chatcli.telemetry.alerts import AlertChange, AlertMonitor, AlertReading

_EVERY_S: Final = 3.0
_IDLE_S: Final = 20.0
_LAST_CHECK_S: Final = 2.0
_LAST_WRITE_S: Final = 3.0
"""How much longer the end of a run waits for what only it is going to announce."""
_SHARE: Final = 20
"""The part of its time that checking may take: long windows of many calls are not read again at once."""


class Announce(Protocol):
    """Takes what has changed and the present state of every rule, in the thread that watches."""

    def __call__(self, changes: Sequence[AlertChange], readings: Sequence[AlertReading]) -> None: ...


class AlertWatch:
    """A ``CallSink`` behind the one that stores calls: it has the rules checked once they are stored.

    They are checked at most every ``every_s``, and every ``idle_s`` while an alert fires, since the calls of its window pass.
    ``open_monitor`` is called in the thread. Whatever goes wrong there is its ``problem``.
    """

    def __init__(
        self,
        open_monitor: Callable[[], AbstractContextManager[AlertMonitor]],
        announce: Announce,
        *,
        every_s: float = _EVERY_S,
        idle_s: float = _IDLE_S,
        last_check_s: float = _LAST_CHECK_S,
        last_write_s: float = _LAST_WRITE_S,
    ) -> None:
        self._open_monitor = open_monitor
        self._announce = announce
        self._every_s, self._idle_s = every_s, idle_s
        self._last_check_s, self._last_write_s = last_check_s, last_write_s
        self._changed = Condition()
        self._is_due, self._is_over = False, False
        self._is_telling, self._is_too_late = False, False
        self._thread: Thread | None = None
        self.problem: str | None = None

    def append(self, calls: Sequence[CallRecord] = ()) -> None:  # noqa: ARG002 - they are in the store already
        """Have the rules checked."""
        with self._changed:
            self._is_due, self._is_over, self._is_too_late = True, False, False
            self._changed.notify_all()
            if self._thread is None:
                self._thread = Thread(target=self._run, name="alerts", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Wait a moment for the last check; a later ``append`` begins anew."""
        with self._changed:
            thread, self._is_over = self._thread, True
            self._changed.notify_all()
        if thread is None:
            return
        thread.join(self._last_check_s)
        with self._changed:
            # What is written down as announced here, no other process announces.
            self._changed.wait_for(lambda: not self._is_telling, self._last_write_s)
            self._is_too_late = True

    def _run(self) -> None:
        with ExitStack() as stack:
            monitor: AlertMonitor | None = None
            pause_s, is_firing = 0.0, False
            while self._wait(pause_s, self._idle_s if is_firing else None):
                began_s = time.monotonic()
                try:
                    monitor = monitor or stack.enter_context(self._open_monitor())
                    changes, readings = monitor.check(can_tell=self._can_tell)
                    is_firing = any(reading.firing for reading in readings)
                    self._announce(changes, readings)
                except Exception as error:  # noqa: BLE001 - whatever is wrong with alerts, it fails no turn
                    self.problem = str(error) or type(error).__name__
                self._has_told()
                pause_s = max(self._every_s, _SHARE * (time.monotonic() - began_s))

    def _can_tell(self) -> bool:
        """Return whether somebody still hears of it; then the end of the run waits until it is announced."""
        with self._changed:
            self._is_telling = not self._is_too_late
            return self._is_telling

    def _has_told(self) -> None:
        with self._changed:
            self._is_telling = False
            self._changed.notify_all()

    def _wait(self, pause_s: float, idle_s: float | None) -> bool:
        """Wait until the rules are to be checked again; return whether they are at all."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, pause_s)
            self._changed.wait_for(lambda: self._is_due or self._is_over, idle_s)
            is_wanted = self._is_due or not self._is_over
            self._is_due = False
            if not is_wanted:
                self._thread = None
            return is_wanted
