"""Slash commands for how calls went."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.app.call_keeping import written_records
from chatcli.app.threads import in_thread
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.events import Notice
from chatcli.core.statistics import GROUPINGS
from chatcli.render.text_columns import labelled, sentences
from chatcli.repl.commands.command import Choice, Command
from chatcli.text.times import local_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.core.call_records import CallRecord
    from chatcli.repl.repl_session import ReplSession

_PERIODS: Final = ("24h", "30d")
_BY: Final = "by"
_LOOKED_THROUGH: Final = 500
"""How many of the last calls are looked through for those of the endpoint."""


async def _stats(repl: ReplSession, argument: str) -> None:
    # Imported on first use: few conversations ask for them.
    from chatcli.app.statistics_report import (  # noqa: PLC0415
        NOT_KEPT,
        StatisticsQuery,
        lines_without_calls,
        read_statistics,
    )

    since, grouped_by = _written(argument)
    # The answer just shown counts.
    await written_records(repl.context)
    query = StatisticsQuery(since=since, grouped_by=grouped_by)
    notices: list[str] = []
    data, now = repl.context.paths.data, local_now()
    found = await in_thread(lambda: read_statistics(query, data, now, on_damage=notices.append))
    for message in notices:
        repl.frontend.notify(Notice("telemetry_damaged", message))
    is_measured, is_saved = repl.settings.telemetry, repl.settings.save
    if not found.has_calls:
        for line in lines_without_calls(query, found, is_measured=is_measured, is_saved=is_saved):
            repl.frontend.remark(line)
        return
    if repl.settings.plain:
        from chatcli.render.spoken_statistics import statistics_sentences  # noqa: PLC0415 - as above

        repl.frontend.say(statistics_sentences(found.report, found.period))
    else:
        from chatcli.render.statistics_view import statistics_view  # noqa: PLC0415 - as above

        repl.frontend.picture(statistics_view(found.report, found.period, repl.frontend.columns()))
    if is_measured and not is_saved:
        repl.frontend.remark(NOT_KEPT)


def _written(argument: str) -> tuple[str | None, str]:
    """Return the beginning of the period, ``None`` for the usual one, and the grouping."""
    words = argument.split()
    if _BY not in words:
        return " ".join(words) or None, GROUPINGS[0]
    at = words.index(_BY)
    grouped_by = words[at + 1] if at + 1 < len(words) else ""
    if grouped_by not in GROUPINGS:
        raise UsageError(
            f"statistics cannot be grouped by {grouped_by or 'nothing'}", hint=f"by {', '.join(GROUPINGS)}"
        )
    return " ".join([*words[:at], *words[at + 2 :]]) or None, grouped_by


async def _choices(_: ReplSession) -> Iterable[Choice]:
    groupings = [Choice(f"{_BY} {name}", "the last 7 days") for name in GROUPINGS]
    periods = [Choice(since, f"the last {since}") for since in _PERIODS]
    both = [Choice(f"{since} {_BY} {name}") for since in _PERIODS for name in GROUPINGS]
    return [*groupings, *periods, *both]


async def _status(repl: ReplSession, argument: str) -> None:
    if argument:
        raise UsageError(f"/status takes nothing, not {argument}", hint="/stats has other periods and groups")
    resolved = repl.chat.resolved
    if resolved is None:
        repl.frontend.remark("no model is connected yet: ask something first")
        return
    # Imported on first use, as above.
    from chatcli.app.call_keeping import open_call_store  # noqa: PLC0415
    from chatcli.client.call_recording import name_of  # noqa: PLC0415
    from chatcli.render.endpoint_status import MOST_CALLS, call_rows, limit_rows  # noqa: PLC0415

    name, model = name_of(resolved.endpoint), resolved.model_name

    def read() -> list[CallRecord]:
        with closing(open_call_store(repl.context)) as store:
            calls = [
                call for call in store.recent(_LOOKED_THROUGH, before_s=time.time()) if call.endpoint == name
            ]
            return [call for call in calls if not call.is_cache_hit][-MOST_CALLS:]

    rows = [("endpoint", f"{name} · {model}")]
    await written_records(repl.context)
    try:
        rows += call_rows(await in_thread(read), local_now(), is_spoken=repl.settings.plain)
    except ChatcliError as error:
        rows.append(("last calls", f"unknown: {error.clause}"))
    rows += await in_thread(partial(_alert_rows, repl))
    if not (repl.settings.telemetry and repl.settings.save):
        rows.append(("conversation", "its calls are not kept"))
    if resolved.early is not None:
        rows += limit_rows(resolved.early.limits_left(model))
    repl.frontend.say(sentences(rows) if repl.settings.plain else labelled(rows, repl.frontend.columns()))


def _alert_rows(repl: ReplSession) -> list[tuple[str, str]]:
    """Return a row for each alert that fires, and one if none does."""
    from chatcli.app.alerting import opened_monitor  # noqa: PLC0415 - as above
    from chatcli.telemetry.alerts import shown_state  # noqa: PLC0415 - as above

    try:
        with opened_monitor(repl.settings, repl.context) as monitor:
            readings = monitor.look().readings
    except ChatcliError as error:
        return [("alerts", f"unknown: {error.clause}")]
    now_s = local_now().timestamp()
    firing = [each for each in readings if each.firing is not None]
    rows = [("alert", f"{each.summary}, {shown_state(each, now_s)}") for each in firing]
    return rows or ([("alerts", "none")] if readings else [])


COMMANDS: Final = (
    Command(
        "stats",
        "show response times, success, errors and costs",
        _stats,
        "[SINCE] [by WHAT]",
        _choices,
    ),
    Command("status", "show how the endpoint does now: last calls, rate limits, alerts", _status),
)
