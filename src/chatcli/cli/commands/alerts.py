"""``chatcli alerts``: the rules that watch the calls, and what fires."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from chatcli.app.alert_actions import AlertActions
from chatcli.app.alerting import opened_monitor, rules_of, sequence_of
from chatcli.cli.actions import Action, Family, add_examples
from chatcli.cli.setup import opened_run_context, settings_of
from chatcli.config.key_commands import program_of
from chatcli.core.alert_rules import BELL, DESKTOP, FIRING, RECOVERED, TOOLBAR
from chatcli.core.errors import ExitCode, UsageError
from chatcli.render.text_columns import labelled, sentences, table
from chatcli.telemetry.alert_states import AlertEvent
from chatcli.telemetry.alerts import (
    AlertChange,
    condition,
    message,
    shown_reading,
    shown_state,
    shown_value,
)
from chatcli.text.hints import did_you_mean
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import age, local_now, timestamp
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from chatcli.app.run_context import RunContext
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.core.alert_rules import AlertRule
    from chatcli.telemetry.alerts import AlertMonitor, AlertReading

_EVENTS_SHOWN: Final = 5
_NARROW_COLUMNS: Final = 72
_WIDE_COLUMNS: Final = 100
_OK: Final = "ok"
_UNKNOWN: Final = "unknown"
_NO_RULES: Final = "there are no rules of alerts (alerts = off in config.toml)"
_NOT_MEASURED: Final = "calls are not measured (telemetry = off), so no alert can fire"


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="for people or for programs"
    )
    parser.add_argument(
        "--json", dest="output", action="store_const", const="json", help="the same as -o json"
    )
    parser.add_argument("--env-file", metavar="PATH", help="read settings from this file")


def _list_arguments(parser: Parser) -> None:
    _add_output(parser)
    add_examples(
        parser,
        ("chatcli alerts list", "the rules, their present values, and what fired last"),
        ("chatcli alerts list -o json", "for a script"),
    )


def _list(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    settings = _settings(options, context, terminal)
    with opened_monitor(settings, context, on_damage=terminal.warn) as monitor:
        readings, events = monitor.look().readings, monitor.events()
    if options.output == "json":
        _write_json(readings, events, terminal)
        return ExitCode.DONE
    if not readings and not options.quiet:
        terminal.warn(_NO_RULES)
    now, columns = local_now(), terminal.listing_columns()
    rows = list(_rows(readings, now, sys.maxsize if settings.plain else columns))
    told = [(age(_moment(event.at_s), now), _past(event)) for event in events[-_EVENTS_SHOWN:]]
    if settings.plain:
        shown = [sentences(rows[1:]), sentences(told)]
    else:
        shown = [table(rows, columns) if readings else "", labelled(told, columns) if told else ""]
    if written := "\n\n".join(filter(None, shown)):
        terminal.stdout.write(f"{written}\n")
    return ExitCode.DONE


def _check_arguments(parser: Parser) -> None:
    _add_output(parser)
    parser.description = "Check the rules now. Prints a line for each alert that fires, and exits with 11 if one does, else with 0."
    add_examples(
        parser,
        ("chatcli alerts check", "a line for each alert that fires; exit code 11 if there is one"),
        ("*/5 * * * * chatcli alerts check", "in a crontab: a mail while something is wrong"),
        ("chatcli alerts check -q || exit 1", "in CI, before a batch"),
        ("chatcli alerts check -o json", "every rule with its value and state"),
    )


def _check(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    settings = _settings(options, context, terminal)
    actions = AlertActions(settings, context)
    with opened_monitor(settings, context, on_damage=terminal.warn) as monitor:
        (changes, readings), events = monitor.check(), monitor.events()
        _warn_if_unshared(monitor, options, terminal)
    for change in changes:
        actions.start(change)
    for change in () if options.quiet else changes:
        if not change.event.is_firing:
            terminal.warn(message(change))
    firing = [reading for reading in readings if reading.firing is not None]
    if options.output == "json":
        _write_json(readings, events, terminal)
    elif not options.quiet:
        for reading in firing:
            terminal.stdout.write(f"{sanitize_line(_firing_line(reading))}\n")
    actions.finish()
    return ExitCode.ALERT if firing else ExitCode.DONE


def _test_arguments(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="one rule, by its name; else all of them")
    _add_output(parser)
    parser.description = (
        "Do what the rules do when they fire, with a made-up value, and say what became of it."
    )
    add_examples(
        parser,
        ("chatcli alerts test", "every rule"),
        ("chatcli alerts test success", "one rule"),
    )


def _test(options: Namespace, context: RunContext, terminal: Terminal) -> ExitCode:
    settings = _settings(options, context, terminal)
    rules = rules_of(settings)
    names = [rule.name for rule in rules]
    if options.name is not None and options.name not in names:
        raise UsageError(
            f"there is no alert {options.name}", hint=did_you_mean(options.name, names, "alerts")
        )
    if not rules and not options.quiet:
        terminal.warn(_NO_RULES)
    tests: list[dict[str, Any]] = []
    for rule in rules:
        if options.name in {None, rule.name}:
            tests.append(_tested(_made_up(rule), settings, context, terminal))
            if options.output == "text":  # at once: a command may take seconds
                _show_test(tests[-1], terminal)
    if options.output == "json":
        terminal.stdout.write(json.dumps(tests, ensure_ascii=False, indent=2) + "\n")
    failed = {action["kind"] for test in tests for action in test["actions"] if not action["ok"]}
    return ExitCode.NETWORK if "webhook" in failed else ExitCode.LOCAL_IO if failed else ExitCode.DONE


def _show_test(test: dict[str, Any], terminal: Terminal) -> None:
    terminal.stdout.write(f"{sanitize_line(test['message'])}\n")
    for action in test["actions"]:
        to = f" {action['name']}" if action["name"] else ""
        terminal.stdout.write(f"  {sanitize_line(action['kind'] + to)}: {sanitize_line(action['result'])}\n")


def _made_up(rule: AlertRule) -> AlertChange:
    """Return a change as if the rule fired now."""
    now_s = local_now().timestamp()
    # Whole, as some metrics count.
    value = rule.threshold / 2 if rule.is_about_low_values else math.ceil(rule.threshold * 1.5 + 1)
    event = AlertEvent(now_s, rule.name, rule.metric, True, value, max(1, rule.minimum_calls))
    return AlertChange(rule, event, now_s)


def _tested(
    change: AlertChange, settings: Settings, context: RunContext, terminal: Terminal
) -> dict[str, Any]:
    actions = AlertActions(settings, context, is_test=True)
    done = [
        {
            "kind": result.kind,
            "name": result.name,
            "ok": not result.problem,
            "result": result.problem or ("told" if result.kind == "webhook" else "done"),
        }
        for result in actions.perform(change)
    ]
    facts = actions.facts(change)
    return {
        "name": change.rule.name,
        "message": facts["message"],
        "actions": [*_told(change, context, terminal), *done],
    }


def _told(change: AlertChange, context: RunContext, terminal: Terminal) -> Iterator[dict[str, Any]]:
    """Ring the terminal, and yield what the person is told and where."""
    is_seen = terminal.stderr.is_terminal and not terminal.is_dumb
    sequence = sequence_of(change, context)
    if sequence and is_seen:
        terminal.stderr.write(sequence)
    how = "sent to the terminal" if is_seen else "there is no terminal here"
    results = {TOOLBAR: "shown in a conversation", BELL: how, DESKTOP: how}
    for place in change.rule.notify:
        yield {"kind": place, "name": "", "ok": True, "result": results[place]}


def _settings(options: Namespace, context: RunContext, terminal: Terminal) -> Settings:
    settings = settings_of(options, context, terminal, mentions_untrusted=False)
    if not settings.telemetry and not options.quiet:
        terminal.warn(_NOT_MEASURED)
    return settings


def _warn_if_unshared(monitor: AlertMonitor, options: Namespace, terminal: Terminal) -> None:
    if not monitor.is_shared and not options.quiet:
        terminal.warn("what fires cannot be kept in the data folder, so it will be announced again")


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _rows(readings: Sequence[AlertReading], now: datetime, columns: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table; in a narrow terminal they say less."""
    is_narrow = columns < _NARROW_COLUMNS
    yield ("NAME", "STATE", "NOW", "" if is_narrow else "FIRES AT")
    for each in readings:
        calls = counted(each.calls, "call")
        value = "" if each.value is None else shown_value(each.rule.metric, each.value)
        present = f"{value}, {calls}" if value and columns >= _WIDE_COLUMNS else value or calls
        watched = "" if is_narrow else condition(each.rule)
        yield (each.rule.name, shown_state(each, now.timestamp()), present, watched)


def _firing_line(reading: AlertReading) -> str:
    rule = reading.rule
    state = (
        f"{shown_state(reading, local_now().timestamp())}, over at {shown_value(rule.metric, rule.recover)}"
    )
    return f"alert {rule.name}: {reading.summary} ({counted(reading.calls, 'call')}), {state}"


def _past(event: AlertEvent) -> str:
    state = "fired" if event.is_firing else "over"
    if event.value is None:
        return f"{event.rule} {state}: too few calls to tell"
    return (
        f"{event.rule} {state}: {shown_reading(event.metric, event.value)} ({counted(event.calls, 'call')})"
    )


def _write_json(readings: Sequence[AlertReading], events: Sequence[AlertEvent], terminal: Terminal) -> None:
    redact = terminal.redactor.redact
    fields = {
        "firing": sum(reading.firing is not None for reading in readings),
        "alerts": [_fields(reading) for reading in readings],
        "events": [
            {
                "at": timestamp(_moment(event.at_s)),
                "name": event.rule,
                "metric": event.metric,
                "state": FIRING if event.is_firing else RECOVERED,
                "value": event.value,
                "calls": event.calls,
            }
            for event in events
        ],
    }
    terminal.stdout.write(redact(json.dumps(fields, ensure_ascii=False, indent=2)) + "\n")


def _fields(reading: AlertReading) -> dict[str, Any]:
    rule, firing = reading.rule, reading.firing
    return {
        "name": rule.name,
        "state": FIRING if firing is not None else _OK if reading.value is not None else _UNKNOWN,
        "value": reading.value,
        "calls": reading.calls,
        "since": None if firing is None else timestamp(_moment(firing.since_s)),
        "metric": rule.metric,
        "window_s": rule.window_s,
        "threshold": rule.threshold,
        "recover": rule.recover,
        "minimum_calls": rule.minimum_calls,
        "model": rule.model,
        "endpoint": rule.endpoint,
        "notify": list(rule.notify),
        # Arguments and addresses may be secret.
        "command": program_of(rule.command) if rule.command else None,
        "webhook": urlsplit(rule.webhook).hostname if rule.webhook else None,
    }


_FAMILY: Final = Family(
    "alerts",
    (
        Action("list", "the rules, their present values, and what fired last", _list, _list_arguments),
        Action("check", "check them now; exits with 11 if one fires", _check, _check_arguments),
        Action("test", "do what they do when they fire, with a made-up value", _test, _test_arguments),
    ),
    "list, check, test",
    opened_run_context,
)
actions = _FAMILY.actions
add_arguments = _FAMILY.add_arguments
run = _FAMILY.run
