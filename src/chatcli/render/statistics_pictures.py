"""Pictures of statistics: latency, success and cost over time, and how long calls took."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.render.charts import Axis, TextBar, TimeColumn, bars, columns_over_time, headed, room_for_columns
from chatcli.render.statistics_words import amount, range_in_words, round_time
from chatcli.text.times import calendar_day
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chatcli.core.statistics import HistogramBar, StatisticsReport, TimeSlot
    from chatcli.render.themes import Role, StyledRow

_PROBLEM: Final[Role] = "finding.problem"
_OK: Final[Role] = "finding.ok"
_WORRYING_RATE: Final = 0.9
_FLOORS: Final = (0.98, 0.95, 0.9, 0.8, 0.5)
"""Where the axis of success rates may begin, if not at 0."""
_TALL, _LOW = 6, 4
_MOST_BARS: Final = 14
"""More days are drawn as columns."""


class Pictures(NamedTuple):
    """The rows of each picture, none of one that would show nothing."""

    latency: list[StyledRow]
    spread: list[StyledRow]
    success: list[StyledRow]
    cost: list[StyledRow]


def pictures(report: StatisticsReport, columns: int) -> Pictures:
    """Return the pictures in rows of at most ``columns``; those over time need two days or hours with calls."""
    has_course = sum(slot.figures.calls > 0 for slot in report.slots) > 1
    total = report.total
    return Pictures(
        _latency_over_time(report, columns) if has_course and total.latency is not None else [],
        _histogram(report.latencies, columns) if any(bar.calls for bar in report.latencies) else [],
        _success_over_time(report, columns) if has_course and total.success_rate not in {None, 1} else [],
        _cost_by_day(report, columns) if has_course and total.cost_usd else [],
    )


def unit(report: StatisticsReport) -> str:
    """Return the length of a slot."""
    return "hour" if report.is_hourly else "day"


def _latency_over_time(report: StatisticsReport, columns: int) -> list[StyledRow]:
    highest_s = max(
        (slot.figures.latency.p95_s for slot in report.slots if slot.figures.latency), default=0.0
    )
    axis = Axis.up_to(highest_s, round_time)
    stretches = _stretches(report.slots, room_for_columns(axis, columns))
    drawn = []
    for stretch in stretches:
        latencies = [slot.figures.latency for slot in stretch if slot.figures.latency]
        # Percentiles of several slots do not follow from theirs: the slowest stands for them.
        p50_s = max((latency.p50_s for latency in latencies), default=None)
        p95_s = max((latency.p95_s for latency in latencies), default=None)
        drawn.append(TimeColumn(_label(report, stretch[0]), p50_s, p95_s))
    size = len(stretches[0])
    heading = headed(
        f"Latency by {unit(report)}",
        columns,
        "█ p50",
        "░ up to p95",
        _gap(drawn, "no answers"),
        f"the slowest of {counted(size, unit(report))} each" if size > 1 else "",
    )
    return [*heading, *columns_over_time(drawn, axis, columns, height=_TALL)]


def _histogram(latencies: Sequence[HistogramBar], columns: int) -> list[StyledRow]:
    found = [at for at, bar in enumerate(latencies) if bar.calls]
    shown = latencies[found[0] : found[-1] + 1]
    rows = [TextBar(range_in_words(bar), bar.calls, f"{bar.calls:,}") for bar in shown]
    return [*headed("Calls by latency", columns), *bars(rows, columns)]


def _success_over_time(report: StatisticsReport, columns: int) -> list[StyledRow]:
    rates = [rate for slot in report.slots if (rate := slot.figures.success_rate) is not None]
    lowest = next((floor for floor in _FLOORS if floor < min(rates)), 0.0)
    axis = Axis(lowest, 1.0, lambda rate: f"{rate * 100:.3g}%")
    stretches = _stretches(report.slots, room_for_columns(axis, columns))
    drawn = []
    for stretch in stretches:
        succeeded = sum(slot.figures.succeeded for slot in stretch)
        ended = sum(slot.figures.calls - slot.figures.cancelled for slot in stretch)
        rate = succeeded / ended if ended else None
        role = _PROBLEM if rate is not None and rate < _WORRYING_RATE else _OK
        drawn.append(TimeColumn(_label(report, stretch[0]), rate, role=role))
    heading = headed(
        f"Success rate by {unit(report)}",
        columns,
        _gap(drawn, "no calls"),
        _together(len(stretches[0]), unit(report)),
    )
    return [*heading, *columns_over_time(drawn, axis, columns, height=_LOW)]


def _cost_by_day(report: StatisticsReport, columns: int) -> list[StyledRow]:
    days: list[tuple[datetime, float]] = []
    for _, some in groupby(report.slots, lambda slot: slot.start.date()):
        slots = list(some)
        days.append((slots[0].start, sum(slot.figures.cost_usd for slot in slots)))
    if len(days) <= _MOST_BARS:
        rows = [TextBar(calendar_day(start, report.until), usd, amount(usd)) for start, usd in days]
        return [*headed("Cost by day", columns), *bars(rows, columns)]
    # Each of the columns may cost as much as all days together, which is the widest number on the axis.
    widest = Axis.up_to(sum(usd for _, usd in days), amount)
    size = math.ceil(len(days) / room_for_columns(widest, columns))
    together = [days[at : at + size] for at in range(0, len(days), size)]
    drawn = [
        TimeColumn(calendar_day(some[0][0], some[0][0]), sum(usd for _, usd in some) or None)
        for some in together
    ]
    axis = Axis.up_to(max(column.value or 0 for column in drawn), amount)
    heading = headed("Cost by day", columns, _gap(drawn, "nothing"), _together(size, "day"))
    return [*heading, *columns_over_time(drawn, axis, columns, height=_LOW)]


def _stretches(slots: Sequence[TimeSlot], room: int) -> list[Sequence[TimeSlot]]:
    """Return the slots, as few neighbours together as it takes to fit into ``room``."""
    size = max(1, math.ceil(len(slots) / room))
    return [slots[at : at + size] for at in range(0, len(slots), size)]


def _label(report: StatisticsReport, slot: TimeSlot) -> str:
    return f"{slot.start:%H:%M}" if report.is_hourly else calendar_day(slot.start, slot.start)


def _gap(drawn: Sequence[TimeColumn], meaning: str) -> str:
    return f"· {meaning}" if any(column.value is None for column in drawn) else ""


def _together(size: int, noun: str) -> str:
    return f"{counted(size, noun)} each" if size > 1 else ""
