"""Statistics of calls as sentences to be read aloud: what the tables and the pictures show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.render.statistics_pictures import unit
from chatcli.render.statistics_view import incomplete, shown_groups, shown_name
from chatcli.render.statistics_words import (
    cost_in_words,
    errors_by_count,
    facts,
    failures,
    range_in_words,
    rate_in_words,
    time_in_words,
)
from chatcli.render.text_columns import sentences
from chatcli.text.times import calendar_day, moment_in_words
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.core.statistics import Figures, StatisticsReport, TimeSlot

_SAID_BEFORE: Final = {"calls", "success rate"}
_MOST_SPOKEN: Final = 31
"""Of more days or hours only those that stand out are named."""


def statistics_sentences(report: StatisticsReport, period: str) -> str:
    """Return the statistics of ``period``, such as ``in the last 7 days``, in lines for reading aloud."""
    total = report.total
    rows: list[tuple[str, ...]] = [(f"Calls {period}", *_spoken(total))]
    rows += [
        (_capital(label), value.replace(" · ", ", "))
        for label, value in facts(total)
        if label not in _SAID_BEFORE
    ]
    if report.unreadable is not None:
        rows.append((_capital(incomplete(report.unreadable)),))
    if groups := shown_groups(report):
        rows.append((f"By {report.grouped_by}", counted(len(report.groups), report.grouped_by)))
        rows += [(shown_name(group, report.grouped_by), *_spoken(group.figures)) for group in groups]
    if left := len(report.groups) - len(groups):
        rows.append((f"{left:,} more", "chatcli stats -o csv lists all"))
    if total.errors:
        rows.append(
            ("Errors", *(f"{code} {counted(count, 'time')}" for code, count in errors_by_count(total)))
        )
    if spread := [f"{bar.calls:,} of {range_in_words(bar)}" for bar in report.latencies if bar.calls]:
        rows.append(("Calls by latency", *spread))
    if report.grouped_by != unit(report):
        rows += _course(report)
    return sentences(rows)


def _spoken(figures: Figures) -> tuple[str, ...]:
    rate, latency = figures.success_rate, figures.latency
    return (
        counted(figures.calls, "call"),
        "" if rate is None else f"{rate_in_words(rate)} succeeded",
        *failures(figures),
        f"half took up to {time_in_words(latency.p50_s)}" if latency else "",
        f"95% up to {time_in_words(latency.p95_s)}" if latency else "",
        _cost(figures) if figures.calls else "",
    )


def _cost(figures: Figures) -> str:
    words = cost_in_words(figures)
    return f"cost {words}" if words == "unknown" else words


def _course(report: StatisticsReport) -> Iterator[tuple[str, ...]]:
    """Yield the days or hours with calls; of many, only those that stand out. A single one was said."""
    measured = [slot for slot in report.slots if slot.figures.calls]
    if len(measured) <= 1:
        return
    if len(measured) <= _MOST_SPOKEN:
        for slot in measured:
            yield _named(report, slot), *_spoken(slot.figures)
        return
    length = unit(report)
    timed = [slot for slot in measured if slot.figures.latency]
    if timed:
        slowest = max(timed, key=lambda slot: slot.figures.latency.p95_s if slot.figures.latency else 0.0)
        yield f"Slowest {length}", _named(report, slowest), *_spoken(slowest.figures)
    if report.total.success_rate not in {None, 1}:
        worst = min(measured, key=lambda slot: 1.0 if (rate := slot.figures.success_rate) is None else rate)
        yield (
            f"{_capital(length)} with the lowest success rate",
            _named(report, worst),
            *_spoken(worst.figures),
        )
    if report.total.cost_usd:
        dearest = max(measured, key=lambda slot: slot.figures.cost_usd)
        yield f"Dearest {length}", _named(report, dearest), *_spoken(dearest.figures)


def _named(report: StatisticsReport, slot: TimeSlot) -> str:
    return (moment_in_words if report.is_hourly else calendar_day)(slot.start, report.until)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
