"""Made-up statistics, the same in every run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chatcli.core.statistics import Figures, Group, HistogramBar, Percentiles, StatisticsReport, TimeSlot

UNTIL = datetime(2026, 11, 30, 14, 5, tzinfo=UTC)


def figures(calls, *, p50_s=1.2, failed=0, cancelled=0, usd=0.002, **others):
    """Return the figures of calls of which the p95 is three times the p50, and the p99 five times."""
    succeeded = calls - failed - cancelled
    values = {
        "calls": calls,
        "succeeded": succeeded,
        "cancelled": cancelled,
        "errors": {"rate_limited": failed} if failed else {},
        "attempts": calls + failed,
        "retries": failed,
        "retry_wait_s": failed * 2.0,
        "latency": Percentiles(p50_s, p50_s * 3, p50_s * 5) if succeeded else None,
        "ttft": Percentiles(p50_s / 4, p50_s / 2, p50_s) if succeeded else None,
        "tokens_per_s": 45.25 if succeeded else None,
        "input_tokens": calls * 812,
        "cached_tokens": calls * 100,
        "output_tokens": calls * 120,
        "cost_usd": calls * usd,
    }
    return Figures(**{**values, **others})


NONE = Figures()

USUAL_BARS = (
    HistogramBar(0.2, 0.3, 12),
    HistogramBar(0.3, 0.5, 140),
    HistogramBar(0.5, 0.75, 0),
    HistogramBar(0.75, 1, 900),
    HistogramBar(1, 2, 1_200),
    HistogramBar(60, None, 1),
)


def report(
    slots, groups=(), total=None, *, bars=USUAL_BARS, is_hourly=False, grouped_by="model", unreadable=None
):
    """Return a report whose slots, as their figures, end with now."""
    length = timedelta(hours=1) if is_hourly else timedelta(days=1)
    last = UNTIL.replace(minute=0) if is_hourly else UNTIL.replace(hour=0, minute=0)
    starts = [last - length * (len(slots) - 1 - at) for at in range(len(slots))]
    return StatisticsReport(
        starts[0],
        UNTIL,
        grouped_by,
        total or figures(sum(slot.calls for slot in slots)),
        tuple(Group(*group) for group in groups),
        tuple(TimeSlot(*slot) for slot in zip(starts, slots, strict=True)),
        tuple(bars),
        is_hourly,
        unreadable,
    )


def week():
    slots = [
        figures(27, p50_s=2.3),
        figures(23, p50_s=2.9, failed=5),
        figures(113, p50_s=1.1),
        NONE,
        figures(96, failed=1),
        figures(3, failed=3),
        figures(47, p50_s=2.2),
        figures(128, p50_s=0.3, failed=2),
    ]
    groups = [
        ("gpt-5-mini-2026-08-07", figures(320, failed=4)),
        ("claude-sonnet-4-5", figures(100, p50_s=3.2, failed=7, unpriced=3)),
        ("local/smollm2", figures(17, p50_s=0.25, usd=0)),
    ]
    total = figures(
        437,
        failed=11,
        cancelled=2,
        errors={"rate_limited": 7, "timeout": 3, "context_too_long": 1},
        limit_wait_s=12.5,
        cache_hits=34,
        unpriced=3,
        sent_bytes=1_423_000,
        received_bytes=98_700,
        findings=1,
    )
    return report(slots, groups, total)


def made():
    """Return reports by what is special about them."""
    return {
        "a week": week(),
        "names of every width": report(
            [figures(5), figures(9)],
            [
                ("通义千问-Max-最新版本", figures(9)),
                ("日本語の長いモデル名/とても長い名前のモデル", figures(4)),
                ("🙂‍↔️-emoji", figures(1)),
                ("a\x1b[31mb\nc", figures(1)),
                ("", figures(1)),
            ],
        ),
        "two days by the hour": report(
            [figures(at % 7, p50_s=0.2 + at % 5, failed=at % 7 and at % 3) for at in range(48)],
            [("m", figures(140))],
            figures(140, failed=30),
            is_hourly=True,
        ),
        "half a year": report(
            [figures(at % 11, p50_s=0.2 + at % 13 / 4, failed=at % 11 == 10) for at in range(180)],
            [(f"2026-{10 + at // 28}-{1 + at % 28:02}", figures(at)) for at in range(1, 45)],
            figures(900, failed=16),
            grouped_by="day",
        ),
        "one call": report([NONE] * 6 + [figures(1)], [("m", figures(1))], bars=[HistogramBar(1, 1.5, 1)]),
        "only failures": report(
            [figures(3, failed=3), figures(2, failed=2)],
            [("m", figures(5, failed=5))],
            figures(5, failed=5),
            bars=[],
        ),
        "only answers of the cache": report(
            [NONE, NONE], [("m", Figures(cache_hits=3))], Figures(cache_hits=3), bars=[]
        ),
        "tiny and huge": report(
            [
                figures(1, p50_s=0.001, usd=0.0000001),
                figures(9_999_999, p50_s=4_000, failed=1, usd=12.5, input_tokens=10**13),
                figures(1, p50_s=0.001, usd=0),
            ],
            [
                ("huge", figures(9_999_999, p50_s=4_000, failed=1, usd=12.5, input_tokens=10**13)),
                ("tiny", figures(1, p50_s=0.001)),
            ],
            figures(10_000_001, p50_s=4_000, failed=1, usd=12.5, input_tokens=10**13),
            bars=[HistogramBar(0.001, 0.0015, 2), HistogramBar(5_000, 10_000, 9_999_998)],
            unreadable="the file with older calls was damaged and has been moved aside",
        ),
    }
