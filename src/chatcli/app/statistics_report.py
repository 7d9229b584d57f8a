"""The statistics a person asks for, read from the stored calls."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from chatcli.app.written_periods import period
from chatcli.core.frozen import frozen
from chatcli.telemetry.call_statistics import report
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from chatcli.text.times import moment_in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path

    from chatcli.core.statistics import StatisticsReport

_BUSY_TIMEOUT_S = 5.0

NOT_KEPT = "conversations are not saved (--no-save, or save = false), so their calls are not kept"


@frozen
class StatisticsQuery:
    """What is asked for, as it was written; ``None`` for the usual period and all calls."""

    since: str | None = None
    until: str | None = None
    grouped_by: str = "model"
    model: str | None = None
    endpoint: str | None = None


class Statistics(NamedTuple):
    """A report, its period in words (``in the last 7 days``), and when the last call of all began."""

    report: StatisticsReport
    period: str
    last_call: datetime | None

    @property
    def has_calls(self) -> bool:
        total = self.report.total
        return bool(total.calls or total.cache_hits)


def read_statistics(
    query: StatisticsQuery,
    data: Path,
    now: datetime,
    *,
    zone: tzinfo | None = None,
    on_damage: Callable[[str], None] = lambda _message: None,
) -> Statistics:
    """Read them from the folder ``data``. Raise ``UsageError``, or ``LocalIOError`` if the stored calls cannot be read."""
    since, until, words = period(query.since, query.until, now, zone=zone)
    path = data / FILE_NAME
    with closing(CallStore(path, busy_timeout_s=_BUSY_TIMEOUT_S, on_damage=on_damage)) as store:
        found = report(
            store,
            since,
            until,
            grouped_by=query.grouped_by,
            model=query.model,
            endpoint=query.endpoint,
            zone=zone,
            now=now,
        )
        ends_s = store.first_and_last_s()
    last_call = None if ends_s is None else datetime.fromtimestamp(ends_s[1], since.tzinfo)
    return Statistics(found, words, last_call)


def read_counters(
    data: Path,
    now: datetime,
    *,
    zone: tzinfo | None = None,
    on_damage: Callable[[str], None] = lambda _message: None,
) -> str:
    """Return the counters of the calls since midnight for Prometheus. Raise ``LocalIOError`` as ``read_statistics`` does."""
    from chatcli.telemetry.prometheus import counters_of_today, exposition  # noqa: PLC0415 - few people use it

    with closing(CallStore(data / FILE_NAME, busy_timeout_s=_BUSY_TIMEOUT_S, on_damage=on_damage)) as store:
        return "".join(exposition(counters_of_today(store, now, zone).metrics()))


def lines_without_calls(
    query: StatisticsQuery, found: Statistics, *, is_measured: bool = True, is_saved: bool = True
) -> tuple[str, str]:
    """Return that there are no calls, and a hint: calls are kept only if they are measured and conversations are saved."""
    of = f"of {query.model} " if query.model else ""
    at = f"at {query.endpoint} " if query.endpoint else ""
    message = f"no calls {of}{at}{found.period}"
    if not is_measured:
        return message, "telemetry is off: chatcli config show tells where"
    if not is_saved:
        return message, NOT_KEPT
    if found.last_call is None:
        return message, "none has been measured yet: ask something first"
    if of or at:
        return message, f"chatcli stats --by {'model' if of else 'endpoint'} lists the names"
    last = f"the last call began {moment_in_words(found.last_call, found.report.until)}"
    if found.last_call >= found.report.until:
        return message, f"{last}; --since and --until choose another period"
    return message, f"{last}; --since goes further back"
