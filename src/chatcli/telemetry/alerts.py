"""Alerts: rules held against the calls of the last minutes or hours, announced once on crossing and once on recovery.

An alert that does not fire begins to when its metric crosses the threshold, and is over when the metric is back at the
rule's ``recover``: between the two nothing changes. With fewer calls than the rule wants nothing is known, and nothing
begins. One that fires is then judged by a window twice as long, as nobody calls an endpoint that fails; if that holds too
few calls as well, the alert is over for want of calls.
"""

from __future__ import annotations

import math
import time
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.telemetry.alert_states import AlertEvent, AlertStates, Firing
from chatcli.text.times import in_hours
from chatcli.text.wording import counted, dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.core.alert_rules import AlertRule
    from chatcli.core.statistics import Figures
    from chatcli.telemetry.alert_states import AlertFile

_CLOCKS_DIFFER_S: Final = 60.0
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_LABELS: Final = {
    "success_rate": "success rate",
    "p95_latency_s": "p95 latency",
    "p95_ttft_s": "p95 first token",
    "error_count": "errors",
    "cost_usd": "cost",
    "tokens": "tokens",
    "rate_limited_count": "rate-limited calls",
}


class CallFigures(Protocol):
    """The figures of the calls that began from ``since_s`` to before ``until_s``, seconds since the epoch."""

    def figures(
        self, since_s: float, until_s: float, *, model: str | None = None, endpoint: str | None = None
    ) -> Figures: ...


class AlertReading(NamedTuple):
    """The present value of a rule's metric, ``None`` if there are too few ``calls`` to tell.

    ``firing`` is ``None`` while the alert does not fire.
    """

    rule: AlertRule
    value: float | None
    calls: int
    firing: Firing | None = None

    @property
    def summary(self) -> str:
        """The metric with its present value, else with the one that made the alert fire."""
        value = self.firing.value if self.value is None and self.firing is not None else self.value
        return self.rule.name if value is None else shown_reading(self.rule.metric, value)


class AlertChange(NamedTuple):
    """An alert that began to fire or was over, and is to be announced. ``since_s`` is when it began to."""

    rule: AlertRule
    event: AlertEvent
    since_s: float


class CheckedAlerts(NamedTuple):
    """What a check has found: the ``changes`` that are this process's to announce, and the present state of every rule."""

    changes: tuple[AlertChange, ...]
    readings: tuple[AlertReading, ...]


class AlertMonitor:
    """Holds ``rules`` against ``calls``. Used by one thread at a time.

    ``clock_s`` returns seconds since the epoch. Where the file cannot be written, the alerts of this process are kept in
    memory, so that each is still announced once.
    """

    def __init__(
        self,
        rules: Sequence[AlertRule],
        calls: CallFigures,
        file: AlertFile,
        *,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._calls = calls
        self._file = file
        self._clock_s = clock_s
        self._own: AlertStates | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other processes know what this one has announced."""
        return self._own is None

    def check(self, *, can_tell: Callable[[], bool] = lambda: True) -> CheckedAlerts:
        """Return what has changed since any process checked last. Raise what ``calls`` raises.

        If there is something to announce and ``can_tell`` says no, it is left to others.
        """
        checked = self._looked(self._states().firing)
        if not checked.changes:
            return checked
        if not can_tell():
            return checked._replace(changes=())
        try:
            if self._own is not None:
                return self._noted(self._own)
            # Again, with the lock: another process may have seen later calls, and announced them.
            with self._file.changing() as states:
                return self._noted(states)
        except BlockingIOError:
            return checked._replace(changes=())  # whoever has the lock announces them
        except OSError:
            self._own = self._states()
            return self._noted(self._own)

    def look(self) -> CheckedAlerts:
        """Return what ``check`` would return, and leave it to others to announce it."""
        return self._noted(AlertStates(dict(self._states().firing)))

    def events(self) -> Sequence[AlertEvent]:
        """Return what was announced, oldest first."""
        return self._states().events

    def _states(self) -> AlertStates:
        if self._own is not None:
            return self._own
        try:
            return self._file.read()
        except OSError:
            return AlertStates()

    def _noted(self, states: AlertStates) -> CheckedAlerts:
        changes, readings = self._looked(states.firing)
        for change in changes:
            states.note(change.rule.key, change.event)
        now_firing = states.firing
        readings = tuple(each._replace(firing=now_firing.get(each.rule.key)) for each in readings)
        return CheckedAlerts(changes, readings)

    def _looked(self, firing: Mapping[str, Firing]) -> CheckedAlerts:
        now_s = self._clock_s()

        @cache
        def figures(model: str | None, endpoint: str | None, window_s: float) -> Figures:
            since_s, until_s = now_s - window_s, now_s + _CLOCKS_DIFFER_S
            return self._calls.figures(since_s, until_s, model=model, endpoint=endpoint)

        def read(rule: AlertRule, windows: int) -> AlertReading:
            found = figures(rule.model, rule.endpoint, windows * rule.window_s)
            return AlertReading(rule, rule.value(found), rule.sample(found), firing.get(rule.key))

        readings = tuple(read(rule, 1) for rule in self._rules)
        # One that fires and has too few calls is judged by twice the window.
        judged = (
            read(each.rule, 2) if each.firing is not None and each.value is None else each
            for each in readings
        )
        changes = (_change(each, now_s) for each in judged)
        return CheckedAlerts(tuple(each for each in changes if each is not None), readings)


def _change(reading: AlertReading, now_s: float) -> AlertChange | None:
    rule, value, calls, firing = reading
    if firing is None:
        is_due = value is not None and rule.is_crossed_by(value)
    else:
        is_due = value is None or rule.is_recovered_at(value)
    if not is_due:
        return None
    event = AlertEvent(now_s, rule.name, rule.metric, firing is None, value, calls)
    return AlertChange(rule, event, now_s if firing is None else min(firing.since_s, now_s))


def condition(rule: AlertRule) -> str:
    """Return what the rule watches: ``success rate below 90% over 15 min, model gpt-5``."""
    side = "below" if rule.is_about_low_values else "above"
    limit = f"{_LABELS[rule.metric]} {side} {shown_value(rule.metric, rule.threshold)} over {_window(rule.window_s)}"
    return limit + _filters(rule)


def message(change: AlertChange) -> str:
    """Return the announcement of a change, as one line."""
    rule, event = change.rule, change.event
    if event.value is None:
        return f"alert {rule.name} is over: too few calls to tell"
    now = f"{shown_reading(rule.metric, event.value)} over {_window(rule.window_s)}{_filters(rule)}"
    calls = counted(event.calls, "call")
    if not event.is_firing:
        return f"alert {rule.name} is over: {now} ({calls})"
    side = "below" if rule.is_about_low_values else "above"
    return f"alert {rule.name}: {now}, {side} {shown_value(rule.metric, rule.threshold)} ({calls})"


def shown_reading(metric: str, value: float) -> str:
    """Return the metric with its value: ``success rate 60%``, ``errors 12``."""
    return f"{_LABELS.get(metric, metric)} {shown_value(metric, value)}"


def shown_value(metric: str, value: float) -> str:
    """Return a value of a metric with its unit. It never looks as good as a threshold it is beyond."""
    if metric == "success_rate":
        return f"{math.floor(round(value * 1000, 6)) / 10:g}%"
    if metric == "cost_usd":
        return dollars(value)
    if metric.endswith("_s"):
        return f"{value:,.3f}".rstrip("0").rstrip(".") + " s"
    return f"{math.floor(round(value, 6)):,}"


def _window(window_s: float) -> str:
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if window_s >= unit_s and window_s % unit_s == 0:
            return f"{window_s / unit_s:.0f} {unit}"
    return f"{window_s:g} s"


def _filters(rule: AlertRule) -> str:
    model = f", model {rule.model}" if rule.model else ""
    return model + (f", endpoint {rule.endpoint}" if rule.endpoint else "")


def shown_state(reading: AlertReading, now_s: float) -> str:
    """Return the state of a rule at ``now_s``: ``firing for 3 min``, ``ok``, ``too few calls``."""
    if reading.firing is not None:
        return f"firing for {in_hours(max(1.0, now_s - reading.firing.since_s))}"
    return "ok" if reading.value is not None else "too few calls"
