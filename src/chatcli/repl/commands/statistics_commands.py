"""Slash commands for how calls went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.core.errors import UsageError
from chatcli.core.events import Notice
from chatcli.core.statistics import GROUPINGS
from chatcli.repl.commands.command import Choice, Command
from chatcli.text.times import local_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_PERIODS: Final = ("24h", "30d")
_BY: Final = "by"


async def _stats(repl: ReplSession, argument: str) -> None:
    # Imported on first use: few conversations ask for them.
    from chatcli.app.statistics_report import StatisticsQuery, lines_without_calls, read_statistics  # noqa: PLC0415

    since, grouped_by = _written(argument)
    query = StatisticsQuery(since=since, grouped_by=grouped_by)
    notices: list[str] = []
    data, now = repl.context.paths.data, local_now()
    found = await in_thread(lambda: read_statistics(query, data, now, on_damage=notices.append))
    for message in notices:
        repl.frontend.notify(Notice("telemetry_damaged", message))
    if not found.has_calls:
        for line in lines_without_calls(query, found):
            repl.frontend.remark(line)
    elif repl.settings.plain:
        from chatcli.render.spoken_statistics import statistics_sentences  # noqa: PLC0415 - as above

        repl.frontend.say(statistics_sentences(found.report, found.period))
    else:
        from chatcli.render.statistics_view import statistics_view  # noqa: PLC0415 - as above

        repl.frontend.picture(statistics_view(found.report, found.period, repl.frontend.columns()))


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


COMMANDS: Final = (
    Command(
        "stats",
        "show how calls went: response times, success, errors, tokens, cost (7d, by model)",
        _stats,
        "[SINCE] [by WHAT]",
        _choices,
    ),
)
