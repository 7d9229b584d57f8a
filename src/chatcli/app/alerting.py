"""Watching the calls of a run with the rules of alerts in force."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from chatcli.app.run_alerts import ALERTS_FILE
from chatcli.core.alert_rules import BELL, DEFAULT_RULES, DESKTOP, FIRING, RECOVERED
from chatcli.core.event_log import WARNING
from chatcli.telemetry.alert_states import AlertFile
from chatcli.telemetry.alert_watch import AlertWatch
from chatcli.telemetry.alerts import AlertMonitor, AlertReading, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatcli.app.run_context import RunContext
    from chatcli.config.settings import Settings
    from chatcli.core.alert_rules import AlertRule
    from chatcli.telemetry.alerts import AlertChange


def rules_of(settings: Settings) -> tuple[AlertRule, ...]:
    """Return the rules in force; an alias in one stands for its model."""
    rules, aliases = DEFAULT_RULES if settings.alerts is None else settings.alerts, settings.aliases
    return tuple(replace(rule, model=aliases.get(rule.model or "", rule.model)) for rule in rules)


@contextmanager
def opened_monitor(
    settings: Settings, context: RunContext, *, on_damage: Callable[[str], None] = lambda _: None
) -> Iterator[AlertMonitor]:
    """Open the calls for the rules in force; a damaged file of them is moved aside, which ``on_damage`` is told.

    Reading them raises a ``ChatcliError`` if they cannot be read.
    """
    from chatcli.telemetry.call_store import FILE_NAME, CallStore  # noqa: PLC0415 - SQLite, often in a thread only

    with closing(CallStore(context.paths.data / FILE_NAME, on_damage=on_damage)) as calls:
        yield AlertMonitor(rules_of(settings), calls, _file(context))


def watch_alerts(settings: Settings, context: RunContext) -> AlertWatch:
    """Return what is told of stored calls, and has the rules checked; one for a run."""
    alerts = context.shared.alerts
    if alerts.watch is None:
        if any(rule.command or rule.webhook for rule in rules_of(settings)):
            from chatcli.app.alert_actions import AlertActions  # noqa: PLC0415 - most rules only tell the person

            alerts.actions = AlertActions(settings, context)

        def announce(changes: Sequence[AlertChange], readings: Sequence[AlertReading]) -> None:
            for rule, event, _ in changes:
                context.log.note(
                    WARNING,
                    "alert",
                    name=rule.name,
                    metric=rule.metric,
                    state=FIRING if event.is_firing else RECOVERED,
                    value=event.value,
                    calls=event.calls,
                )
            alerts.announce(changes, readings)

        alerts.watch = AlertWatch(partial(opened_monitor, settings, context), announce)
    return alerts.watch


def recall_alerts(settings: Settings, context: RunContext) -> None:
    """Take up the alerts that fire since an earlier run, and have them checked."""
    with suppress(OSError):
        firing, rules = _file(context).read().firing, rules_of(settings)
        context.shared.alerts.readings = [
            AlertReading(rule, None, 0, firing[rule.key]) for rule in rules if rule.key in firing
        ]
    if context.shared.alerts.readings:
        watch_alerts(settings, context).append()


def sequence_of(change: AlertChange, context: RunContext) -> str:
    """Return what makes a terminal ring or show a notification, empty if the rule wants neither."""
    from chatcli.render import notification  # noqa: PLC0415 - most rules do not ring

    notify = change.rule.notify
    if DESKTOP in notify:
        return notification.notification(context.redactor.redact(message(change)), context.environment)
    return notification.BELL if BELL in notify and change.event.is_firing else ""


def _file(context: RunContext) -> AlertFile:
    return AlertFile(context.paths.data / ALERTS_FILE)
