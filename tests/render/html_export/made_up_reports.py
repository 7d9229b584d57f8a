"""Reports of statistics whose every figure is known, made by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from chatcli.core.statistics import Figures, Group, HistogramBar, Percentiles, StatisticsReport, TimeSlot

ZONE = timezone(timedelta(hours=1))
UNTIL = datetime(2026, 11, 23, 10, 30, tzinfo=ZONE)
EDGES_S = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0)

ANY_FIGURES = Figures(
    calls=20,
    succeeded=17,
    cancelled=1,
    errors={"rate_limited": 2},
    attempts=24,
    retries=4,
    retry_wait_s=9.0,
    limit_wait_s=2.0,
    latency=Percentiles(1.2, 3.4, 8.05),
    ttft=Percentiles(0.24, 0.9, 2.0),
    tokens_per_s=48.25,
    input_tokens=12_345,
    cached_tokens=4_000,
    output_tokens=6_789,
    cost_usd=0.0034,
    unpriced=2,
    cache_hits=3,
)


def report(
    slots=(ANY_FIGURES,),
    *,
    total=ANY_FIGURES,
    groups=None,
    grouped_by="model",
    is_hourly=False,
    unreadable=None,
):
    """Return a report with these figures, a slot for each of ``slots``."""
    length = timedelta(hours=1) if is_hourly else timedelta(days=1)
    midnight = UNTIL.replace(hour=0, minute=0)
    first = midnight - length * (len(slots) - 1)
    groups = [Group("small", total)] if groups is None else groups
    bars = list(zip(EDGES_S, (*EDGES_S[1:], None), strict=True))
    succeeded = total.succeeded
    return StatisticsReport(
        since=first,
        until=UNTIL,
        grouped_by=grouped_by,
        total=total,
        groups=tuple(groups),
        slots=tuple(TimeSlot(first + length * index, figures) for index, figures in enumerate(slots)),
        latencies=tuple(
            HistogramBar(lower, upper, succeeded if lower == 1.0 else 0) for lower, upper in bars
        ),
        is_hourly=is_hourly,
        unreadable=unreadable,
    )


def made_up_report(*, slots=7, is_hourly=False, models=4, seed=1):
    """Return a report that looks like a busy person's, the same for each seed."""
    chance = random.Random(seed)
    start = datetime(2026, 11, 23, tzinfo=ZONE) - timedelta(days=0 if is_hourly else slots - 1)
    length = timedelta(hours=1) if is_hourly else timedelta(days=1)
    if is_hourly:
        start = UNTIL.replace(minute=0) - length * (slots - 1)
    figures = [
        Figures()
        if is_hourly and (start + length * index).hour in range(1, 7)
        else _figures(chance, 6 if is_hourly else 90)
        for index in range(slots)
    ]
    names = [
        *("gpt-5-mini", "claude-sonnet-4-5", "通义千问-最大-推理版", "mistral-small-latest"),
        *(f"org/model-{number}" for number in range(5, models + 1)),
    ][:models]
    total = _sum(figures)
    groups = [_share(total, share, chance) for share in _shares(len(names))]
    shares = (0.01, 0.06, 0.22, 0.3, 0.18, 0.12, 0.07, 0.03, 0.008, 0.002, 0.0)
    return StatisticsReport(
        since=start,
        until=UNTIL,
        grouped_by="model",
        total=total,
        groups=tuple(Group(name, each) for name, each in zip(names, groups, strict=True)),
        slots=tuple(TimeSlot(start + length * index, each) for index, each in enumerate(figures)),
        latencies=tuple(
            HistogramBar(lower, upper, round(share * total.succeeded))
            for lower, upper, share in zip(EDGES_S, (*EDGES_S[1:], None), shares, strict=True)
        ),
        is_hourly=is_hourly,
    )


def _figures(chance, most):
    calls = chance.randint(0, most)
    failed = sum(chance.random() < 0.04 for _ in range(calls))
    limited, timed_out = failed // 2, failed - failed // 2
    cancelled = sum(chance.random() < 0.03 for _ in range(calls - failed))
    succeeded = calls - failed - cancelled
    errors = {name: count for name, count in (("rate_limited", limited), ("timed_out", timed_out)) if count}
    p50 = chance.uniform(1.4, 3.2)
    return Figures(
        calls=calls,
        succeeded=succeeded,
        cancelled=cancelled,
        errors=errors,
        attempts=calls + failed,
        retries=failed,
        retry_wait_s=failed * 2.5,
        limit_wait_s=failed * 0.5,
        latency=Percentiles(p50, p50 * chance.uniform(2, 3), p50 * chance.uniform(3, 5))
        if succeeded
        else None,
        ttft=Percentiles(p50 / 5, p50 / 2, p50) if succeeded else None,
        tokens_per_s=chance.uniform(40, 70) if succeeded else None,
        input_tokens=calls * 2_345,
        cached_tokens=calls * 800,
        output_tokens=calls * 321,
        cost_usd=calls * 0.0031,
        cache_hits=calls // 9,
    )


def _sum(figures):
    total = Figures(
        latency=Percentiles(2.1, 5.9, 11.25), ttft=Percentiles(0.42, 1.3, 2.75), tokens_per_s=52.3
    )
    errors = {}
    for each in figures:
        for code, count in each.errors.items():
            errors[code] = errors.get(code, 0) + count
    names = (
        *("calls", "succeeded", "cancelled", "attempts", "retries", "retry_wait_s", "limit_wait_s"),
        *("input_tokens", "cached_tokens", "output_tokens", "cost_usd", "cache_hits"),
    )
    sums = {name: sum(getattr(each, name) for each in figures) for name in names}
    return replace(total, errors=errors, **sums)


def _shares(count):
    weights = [0.6**index for index in range(count)]
    return [weight / sum(weights) for weight in weights]


def _share(total, share, chance):
    calls = max(1, round(total.calls * share))
    failed = round(calls * 0.03)
    return replace(
        total,
        calls=calls,
        succeeded=calls - failed,
        cancelled=0,
        errors={"timed_out": failed} if failed else {},
        retries=failed,
        input_tokens=calls * 2_345,
        cached_tokens=calls * 800,
        output_tokens=calls * 321,
        cost_usd=calls * 0.0031,
        cache_hits=calls // 9,
        latency=Percentiles(*(time_s * chance.uniform(0.7, 1.4) for time_s in total.latency)),
    )


EMPTY = replace(report((), total=Figures(), groups=[]), since=datetime(2026, 11, 16, tzinfo=UTC))
