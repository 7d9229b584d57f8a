"""The figures of the page of statistics: a caption, a chart, and the table behind it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.render.html_export.chart_axes import (
    edge_ticks,
    moment_ticks,
    scale_of_counts,
    scale_of_dollars,
    scale_of_shares,
    scale_of_times,
)
from chatcli.render.html_export.statistics_tables import (
    CALLS,
    COST,
    FAILED,
    LATENCIES,
    RATE,
    STOPPED,
    SUCCEEDED,
    cost_words,
    failed,
    figures_rows,
    folded_table,
    rate_words,
    summed,
    time_words,
    unpriced_words,
)
from chatcli.render.html_export.svg_charts import Chart, Series, bar_chart, line_chart, swatch
from chatcli.render.statistics_words import range_in_words, rate_in_words, round_time, time_in_words
from chatcli.text.times import calendar_day
from chatcli.text.wording import counted, dollars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime

    from chatcli.core.statistics import Figures, StatisticsReport, TimeSlot
    from chatcli.render.html_export.chart_axes import Scale, Tick
    from chatcli.render.html_export.statistics_tables import Cell

_PERCENTILES: Final = (
    ("one", "p50: half of the calls took at most this long"),
    ("two", "p95: 95 of 100"),
    ("three", "p99: 99 of 100"),
)
_OUTCOMES: Final = (("ok", "succeeded"), ("failed", "failed"), ("stopped", "stopped by you"))


class _Slot(NamedTuple):
    name: str
    start: datetime
    figures: Figures


class FiguresOverTime:
    """The charts of a report that has calls."""

    def __init__(self, report: StatisticsReport) -> None:
        self._report = report
        self._total = report.total
        self._noun = "hour" if report.is_hourly else "day"
        self._slots = [_Slot(self._name_of(slot.start), slot.start, slot.figures) for slot in report.slots]
        self._ticks = moment_ticks([slot.start for slot in report.slots], is_hourly=report.is_hourly)
        # Of the many hours of a night there is nothing to say.
        self._busy = [(slot.name, slot.figures) for slot in self._slots if slot.figures.calls]

    def lines(self) -> Iterator[str]:
        if self._slots:
            yield from self._latency()
            yield from self._success()
            yield from self._calls()
            yield from self._costs()
        yield from self._histogram()

    def _latency(self) -> Iterator[str]:
        title = "Latency over time"
        timed = [
            (slot.name, slot.figures.latency) for slot in self._slots if slot.figures.latency is not None
        ]
        if not timed:
            yield from figure(title, "No call succeeded, so there are no latencies.", wide=True)
            return
        name, worst = max(timed, key=lambda slot: slot[1].p99_s)
        halves = [latency.p50_s for _, latency in timed]
        summary = f"p50 {_between(min(halves), max(halves))}; the highest p99 was {time_in_words(worst.p99_s)} ({name})."
        scale = scale_of_times(time_s for _, latency in timed for time_s in latency)
        if scale.is_logarithmic:
            summary += " Each line of the grid is ten times the one below."
        chart = self._chart(
            "latency", f"Line chart: p50, p95 and p99 of the latency by {self._noun}", scale, _latency_words
        )
        lines = [
            Series(
                style,
                [
                    None if each.figures.latency is None else each.figures.latency[which]
                    for each in self._slots
                ],
            )
            for which, (style, _) in enumerate(_PERCENTILES)
        ]
        yield from figure(
            title,
            summary,
            legend=_legend(_PERCENTILES, is_line=True),
            chart=line_chart(chart, lines),
            table=self._slot_table(title, (*LATENCIES, SUCCEEDED)),
            wide=True,
        )

    def _success(self) -> Iterator[str]:
        title = "Success rate over time"
        rated = [(slot.name, rate) for slot in self._slots if (rate := slot.figures.success_rate) is not None]
        if not rated:
            yield from figure(title, "You stopped every call, so there is no rate.")
            return
        name, worst = min(rated, key=lambda slot: slot[1])
        lowest = "" if worst == 1 or len(rated) == 1 else f"; the lowest was {rate_in_words(worst)} ({name})"
        scale = scale_of_shares(worst)
        begins = f" The axis begins at {scale.ticks[0].label}." if scale.ticks[0].at else ""
        chart = self._chart("success", f"Line chart: the success rate by {self._noun}", scale, _rate_in_words)
        yield from figure(
            title,
            f"{rate_words(self._total)} in all{lowest}.{begins}",
            chart=line_chart(chart, [Series("one", [slot.figures.success_rate for slot in self._slots])]),
            table=self._slot_table(title, (RATE, SUCCEEDED, FAILED)),
        )

    def _calls(self) -> Iterator[str]:
        title = "Calls over time"
        most = max(self._slots, key=lambda slot: slot.figures.calls)
        peak = f"; at most {most.figures.calls:,} in one {self._noun} ({most.name})"
        scale = scale_of_counts(most.figures.calls)
        chart = self._chart(
            "calls",
            f"Bar chart: calls by {self._noun}, those that succeeded, failed and were stopped",
            scale,
            _calls_in_words,
        )
        counts = [
            [float(count(slot.figures)) for slot in self._slots]
            for count in (lambda each: each.succeeded, failed, lambda each: each.cancelled)
        ]
        kinds = [Series(style, values) for (style, _), values in zip(_OUTCOMES, counts, strict=True)]
        shown = [outcome for outcome, values in zip(_OUTCOMES, counts, strict=True) if any(values)]
        yield from figure(
            title,
            f"{counted(self._total.calls, 'call')} in all{peak if len(self._busy) > 1 else ''}.",
            legend=_legend(shown, is_line=False),
            chart=bar_chart(chart, kinds),
            table=self._slot_table(title, (CALLS, SUCCEEDED, FAILED, STOPPED)),
        )

    def _costs(self) -> Iterator[str]:
        title = "Cost a day"
        days = self._days()
        dearest = max(days, key=lambda day: day.figures.cost_usd)
        unpriced = unpriced_words(self._total)
        rest = f" There are {unpriced} besides." if unpriced else ""
        if not dearest.figures.cost_usd:
            words = f"Unknown: {unpriced}." if unpriced else "All calls were free."
            yield from figure(title, words)
            return
        paid = [day for day in days if day.figures.cost_usd]
        peak = f"; at most {dollars(dearest.figures.cost_usd)} in one day ({dearest.name})"
        scale = scale_of_dollars(dearest.figures.cost_usd)
        chart = Chart(
            "cost",
            "Bar chart: the cost of each day in US dollars",
            self._axes_in_words(scale.ticks),
            scale,
            [f"{day.name}\n{cost_words(day.figures)}" for day in days],
            moment_ticks([day.start for day in days], is_hourly=False),
        )
        yield from figure(
            title,
            f"{dollars(self._total.cost_usd)} in all{peak if len(paid) > 1 else ''}.{rest}",
            chart=bar_chart(chart, [Series("ok", [day.figures.cost_usd for day in days])]),
            table=folded_table(
                f"{title} in figures",
                title,
                ("Day", COST.heading, CALLS.heading),
                figures_rows([(day.name, day.figures) for day in days if day.figures.calls], (COST, CALLS)),
            ),
        )

    def _days(self) -> list[_Slot]:
        """Return the figures of each day, those that can be added up."""
        by_day: dict[date, list[TimeSlot]] = {}
        for slot in self._report.slots:
            by_day.setdefault(slot.start.date(), []).append(slot)
        return [
            _Slot(
                calendar_day(slots[0].start, self._report.until),
                slots[0].start,
                summed(slot.figures for slot in slots),
            )
            for slots in by_day.values()
        ]

    def _histogram(self) -> Iterator[str]:
        title = "Latencies"
        bars = self._report.latencies
        if not any(bar.calls for bar in bars):
            yield from figure(title, "No call succeeded, so there are no latencies.")
            return
        total = sum(bar.calls for bar in bars)
        most = max(bars, key=lambda bar: bar.calls)
        names = [range_in_words(bar) for bar in bars]
        scale = scale_of_counts(most.calls)
        chart = Chart(
            "latencies",
            "Histogram: how many calls took how long",
            f"From {round_time(bars[0].lower_s)}, up to {counted(most.calls, 'call')}. The figures are in the table below.",
            scale,
            [
                f"{name}\n{counted(bar.calls, 'call')}, {rate_in_words(bar.calls / total)}"
                for name, bar in zip(names, bars, strict=True)
            ],
            edge_ticks([bar.lower_s for bar in bars], bars[-1].upper_s),
        )
        rows = (
            (name, f"{bar.calls:,}", rate_in_words(bar.calls / total))
            for name, bar in zip(names, bars, strict=True)
        )
        yield from figure(
            title,
            f"How long calls took that succeeded; most often {range_in_words(most)}: {most.calls:,} of {total:,}.",
            chart=bar_chart(chart, [Series("ok", [bar.calls for bar in bars])], are_adjacent=True),
            table=folded_table(f"{title} in figures", title, ("Latency", "Calls", "Share"), rows),
        )

    def _slot_table(self, title: str, cells: Sequence[Cell]) -> Iterator[str]:
        quiet = len(self._slots) - len(self._busy)
        caption = f"{title}, without {counted(quiet, self._noun)} that had no calls" if quiet else title
        headings = (self._noun.capitalize(), *(cell.heading for cell in cells))
        yield from folded_table(f"{title} in figures", caption, headings, figures_rows(self._busy, cells))

    def _chart(self, name: str, title: str, scale: Scale, words: Callable[[Figures], str]) -> Chart:
        """Return the frame of a chart over time; ``words`` are what a column says under the mouse."""
        columns = [f"{slot.name}\n{words(slot.figures)}" for slot in self._slots]
        return Chart(name, title, self._axes_in_words(scale.ticks), scale, columns, self._ticks)

    def _axes_in_words(self, ticks: Sequence[Tick]) -> str:
        return (
            f"From {self._slots[0].name} to {self._slots[-1].name}; the axis is from {ticks[0].label} to {ticks[-1].label}."
            " The figures are in the table below."
        )

    def _name_of(self, start: datetime) -> str:
        day = calendar_day(start, self._report.until)
        return f"{day}, {start:%H:%M}" if self._report.is_hourly else day


def figure(
    title: str,
    summary: str,
    *,
    legend: str = "",
    chart: Iterable[str] = (),
    table: Iterable[str] = (),
    wide: bool = False,
) -> Iterator[str]:
    """Yield a figure: its caption, the chart, and the table behind it."""
    kind = ' class="wide"' if wide else ""
    name = title.lower().replace(" ", "-")
    yield f'<figure{kind} aria-labelledby="{name}">'
    yield f'<figcaption><h3 id="{name}">{escape(title)}</h3><p>{escape(summary)}</p>{legend}</figcaption>'
    yield from chart
    yield from table
    yield "</figure>"


def _legend(kinds: Iterable[tuple[str, str]], *, is_line: bool) -> str:
    items = "".join(f"<li>{swatch(style, is_line=is_line)}{escape(words)}</li>" for style, words in kinds)
    return f'<ul class="legend">{items}</ul>'


def _between(least_s: float, most_s: float) -> str:
    least, most = time_in_words(least_s), time_in_words(most_s)
    return f"was {least}" if least == most else f"was between {least} and {most}"


def _latency_words(figures: Figures) -> str:
    if figures.latency is None:
        return "no call that succeeded"
    p50, p95, p99 = (time_words(figures.latency, which) for which in range(3))
    return f"p50 {p50}, p95 {p95}, p99 {p99}\n{counted(figures.succeeded, 'call')}"


def _rate_in_words(figures: Figures) -> str:
    if figures.success_rate is None:
        return "no calls"
    return f"{rate_words(figures)}: {figures.succeeded:,} of {figures.calls - figures.cancelled:,} calls"


def _calls_in_words(figures: Figures) -> str:
    counts = (
        (figures.succeeded, "succeeded"),
        (failed(figures), "failed"),
        (figures.cancelled, "stopped"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "no calls"
