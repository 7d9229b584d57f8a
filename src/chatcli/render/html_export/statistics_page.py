"""The statistics of calls as one self-contained HTML page with charts, and tables behind them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from chatcli.core.version import __version__
from chatcli.render.html_export.page_frame import html_page, shown_line
from chatcli.render.html_export.statistics_figures import FiguresOverTime, figure
from chatcli.render.html_export.statistics_style import statistics_style
from chatcli.render.html_export.statistics_tables import (
    TIME_GROUPINGS,
    cost_words,
    error_table,
    group_tables,
    named_groups,
    rate_words,
    speed_words,
    time_words,
    unpriced_words,
)
from chatcli.render.html_export.svg_charts import SHARED_SHAPES, Bar, row_chart
from chatcli.render.statistics_words import failures, rate_in_words, time_in_words
from chatcli.text.times import calendar_day
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from chatcli.core.statistics import Figures, Percentiles, StatisticsReport


def statistics_to_html(report: StatisticsReport, *, about: Sequence[tuple[str, str]] = ()) -> str:
    """Return one self-contained HTML page without scripts. ``about`` are labels and values, such as the model asked for.

    Names of models, endpoints, profiles and errors are untrusted: control and direction characters are made visible, and all is
    escaped.
    """
    title = f"chatcli statistics, {_period(report)}"
    return html_page(title, statistics_style(), _lines(report, about), language="en")


def _lines(report: StatisticsReport, about: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield SHARED_SHAPES
    yield "<header><h1>Statistics of calls</h1>"
    yield f"<p>{escape(_period(report))}. Times are in {_zone(report.until)}.</p>"
    if about:
        yield '<dl class="about">'
        yield from (
            f"<dt>{shown_line(label)}</dt><dd><bdi>{shown_line(value)}</bdi></dd>" for label, value in about
        )
        yield "</dl>"
    yield "</header>"
    yield "<main>"
    if report.unreadable is not None:
        yield f'<p class="warning">Older figures are missing: {shown_line(report.unreadable)}</p>'
    if report.total.calls or report.total.cache_hits:
        yield from _at_a_glance(report.total)
    if report.total.calls:
        yield '<section><h2>Charts</h2><div class="figures">'
        yield from FiguresOverTime(report).lines()
        yield "</div></section>"
        yield from _by_group(report)
        yield from _errors(report.total)
    else:
        yield "<p>No calls in this period. A longer one may have some: <code>chatcli stats --since 30d</code>.</p>"
    yield "</main>"
    yield (
        f"<footer><p>Made by chatcli {escape(__version__)} from the calls it measured on this machine. They hold no word of what was"
        " asked or answered. The page is one file: it runs no scripts and fetches nothing.</p></footer>"
    )


def _at_a_glance(total: Figures) -> Iterator[str]:
    yield '<section><h2>At a glance</h2><dl class="tiles">'
    yield _tile("Calls", f"{total.calls:,}", ", ".join(failures(total)) or "none failed")
    yield _tile("Success", rate_words(total), "of the calls you did not stop")
    yield _tile("Latency, p50", time_words(total.latency, 0), _tail(total.latency))
    yield _tile("First token, p50", time_words(total.ttft, 0), _tail(total.ttft))
    yield _tile("Tokens a second", speed_words(total), "after the first token")
    yield _tile("Tokens in", f"{total.input_tokens:,}", f"{total.cached_tokens:,} from the provider's cache")
    yield _tile("Tokens out", f"{total.output_tokens:,}")
    yield _tile("Cost", cost_words(total), unpriced_words(total))
    yield _tile("Retries", f"{total.retries:,}", _waits(total))
    yield _tile("Cache hits", f"{total.cache_hits:,}", "answers that needed no call")
    if total.findings:
        yield _tile("Warnings", f"{total.findings:,}", "texts of others that seemed to give orders")
    yield "</dl></section>"


def _by_group(report: StatisticsReport) -> Iterator[str]:
    noun, groups = report.grouped_by, report.groups
    if not groups:
        return
    yield f"<section><h2>By {noun}</h2>"
    if noun not in TIME_GROUPINGS and len(groups) > 1:
        rows, _ = named_groups(groups, noun)
        bars = [_bar(name, figures.calls, report.total) for name, figures in rows]
        yield from figure(
            f"Calls by {noun}",
            f"{counted(len(groups), noun)}, the one with the most calls first.",
            chart=row_chart(
                "groups", f"Bar chart: calls by {noun}", "The figures are in the table below.", bars
            ),
        )
    yield from group_tables(groups, noun)
    yield "</section>"


def _errors(total: Figures) -> Iterator[str]:
    if total.errors:
        yield "<section><h2>Errors</h2>"
        yield from error_table(total)
        yield "</section>"


def _tile(label: str, value: str, note: str = "") -> str:
    remark = f'<dd class="note">{escape(note)}</dd>' if note else ""
    return f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd>{remark}</div>"


def _tail(percentiles: Percentiles | None) -> str:
    if percentiles is None:
        return "no call succeeded"
    return f"p95 {time_words(percentiles, 1)}, p99 {time_words(percentiles, 2)}"


def _waits(figures: Figures) -> str:
    waits = (figures.retry_wait_s, "between them"), (figures.limit_wait_s, "for rate limits")
    return ", ".join(f"{time_in_words(wait_s)} {what}" for wait_s, what in waits if wait_s)


def _bar(name: str, calls: int, total: Figures) -> Bar:
    return Bar(name, calls, f"{calls:,} ({rate_in_words(calls / total.calls)})")


def _period(report: StatisticsReport) -> str:
    since, until = report.since, report.until
    return f"{calendar_day(since)}, {since:%H:%M} to {calendar_day(until)}, {until:%H:%M}"


def _zone(moment: datetime) -> str:
    offset = f"{moment:%z}"
    return f"UTC{offset[:3]}:{offset[3:5]}" if offset.strip("+-0:") else "UTC"
