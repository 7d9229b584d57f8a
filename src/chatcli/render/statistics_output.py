"""Statistics of calls for programs: one JSON object, or CSV with a line for each group.

Keys and columns have the same names, which are part of the public surface: they may grow. Times are in seconds, shares from 0 to 1,
``null`` or empty where there is nothing to measure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chatcli.text.sanitizer import table_cell

if TYPE_CHECKING:
    from datetime import datetime

    from chatcli.core.statistics import Figures, Percentiles, StatisticsReport


def statistics_fields(report: StatisticsReport) -> dict[str, Any]:
    """Return the report as the object of ``-o json``."""
    return {
        "since": _moment(report.since),
        "until": _moment(report.until),
        "grouped_by": report.grouped_by,
        "total": figures_fields(report.total),
        "groups": [{"name": group.name, **figures_fields(group.figures)} for group in report.groups],
        "slot": "hour" if report.is_hourly else "day",
        "slots": [{"start": _moment(slot.start), **figures_fields(slot.figures)} for slot in report.slots],
        "latency_histogram": [
            {"from_s": bar.lower_s, "to_s": bar.upper_s, "calls": bar.calls} for bar in report.latencies
        ],
        "incomplete": report.unreadable,
    }


def statistics_json(report: StatisticsReport, *, as_line: bool = False) -> str:
    """Return the object of ``-o json``, on one line if there are several to come."""
    return json.dumps(statistics_fields(report), ensure_ascii=True, indent=None if as_line else 2)


def statistics_csv(report: StatisticsReport) -> str:
    """Return a header and a line for each group; RFC 4180 with line feeds, and no cell is a formula."""
    header = [report.grouped_by, *figures_fields(report.total)]
    lines = [header, *([group.name, *figures_fields(group.figures).values()] for group in report.groups)]
    return "".join(",".join(table_cell(_flat(value)) for value in line) + "\n" for line in lines)


def figures_fields(figures: Figures) -> dict[str, Any]:
    """Return figures by their public names."""
    return {
        "calls": figures.calls,
        "succeeded": figures.succeeded,
        "failed": sum(figures.errors.values()),
        "cancelled": figures.cancelled,
        "success_rate": _rounded(figures.success_rate, 6),
        "errors": dict(sorted(figures.errors.items())),
        **_percentiles("latency", figures.latency),
        **_percentiles("ttft", figures.ttft),
        "tokens_per_s": _rounded(figures.tokens_per_s, 3),
        "input_tokens": figures.input_tokens,
        "cached_tokens": figures.cached_tokens,
        "output_tokens": figures.output_tokens,
        "cost_usd": round(figures.cost_usd, 9),
        "unpriced_calls": figures.unpriced,
        "cache_hits": figures.cache_hits,
        "attempts": figures.attempts,
        "retries": figures.retries,
        "retry_wait_s": round(figures.retry_wait_s, 3),
        "limit_wait_s": round(figures.limit_wait_s, 3),
        "sent_bytes": figures.sent_bytes,
        "received_bytes": figures.received_bytes,
        "injection_findings": figures.findings,
    }


def _percentiles(name: str, times: Percentiles | None) -> dict[str, float | None]:
    return {
        f"p50_{name}_s": _rounded(times and times.p50_s, 3),
        f"p95_{name}_s": _rounded(times and times.p95_s, 3),
        f"p99_{name}_s": _rounded(times and times.p99_s, 3),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _flat(value: object) -> object:
    """Return a value for one cell: errors by code as JSON."""
    return (json.dumps(value) if value else None) if isinstance(value, dict) else value
