"""Calls made up for tests, and their figures counted one by one."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st

from chatcli.core.call_records import CANCELLED, OK, CallRecord
from chatcli.core.statistics import Figures, Percentiles

NOON_S = 1_795_608_000.0
"""2026-11-25 12:00 UTC, a Wednesday."""


def a_call(at_s=NOON_S, **fields):
    return CallRecord(at_s, **{"endpoint": "api.example.com", "model": "large", **fields})


def calls_between(since_s, until_s):
    """Return a strategy of calls that begin from ``since_s`` to ``until_s``, of few names."""
    milliseconds = st.integers(0, 70_000).map(lambda time_ms: time_ms / 1000)
    amounts = st.none() | st.integers(0, 2_000_000)
    return st.builds(
        CallRecord,
        at_s=st.integers(int(since_s), int(until_s)).map(float) | st.floats(since_s, until_s),
        endpoint=st.sampled_from(["api.example.com", "localhost:8080"]),
        model=st.sampled_from(["large", "small", "模型"]),
        operation=st.sampled_from(["answer", "batch"]),
        outcome=st.sampled_from([OK, OK, OK, CANCELLED, "rate_limited", "timed_out"]),
        profile=st.sampled_from(["", "work"]),
        attempts=st.integers(0, 4),
        retry_wait_s=milliseconds,
        limit_wait_s=milliseconds,
        ttft_s=st.none() | milliseconds,
        latency_s=st.none() | milliseconds,
        input_tokens=amounts,
        cached_tokens=amounts,
        output_tokens=amounts,
        cost_usd=st.none() | st.integers(0, 10**12).map(lambda nano: nano / 10**9),
        is_cache_hit=st.booleans(),
        sent_bytes=st.integers(0, 10**7),
        received_bytes=st.integers(0, 10**7),
        findings=st.integers(0, 3),
    )


def counted(calls):
    """Return the figures of ``calls`` as they are defined."""
    hits = [call for call in calls if call.is_cache_hit]
    calls = [call for call in calls if not call.is_cache_hit]
    succeeded = [call for call in calls if call.outcome == OK]
    streamed = [
        call
        for call in succeeded
        if None not in (call.ttft_s, call.latency_s, call.output_tokens) and call.latency_s > call.ttft_s
    ]
    streamed_ms = sum(in_ms(call.latency_s) - in_ms(call.ttft_s) for call in streamed)
    return Figures(
        calls=len(calls),
        succeeded=len(succeeded),
        cancelled=sum(call.outcome == CANCELLED for call in calls),
        errors=dict(Counter(call.outcome for call in calls if call.outcome not in (OK, CANCELLED))),
        attempts=sum(call.attempts for call in calls),
        retries=sum(max(0, call.attempts - 1) for call in calls),
        retry_wait_s=sum(in_ms(call.retry_wait_s) for call in calls) / 1000,
        limit_wait_s=sum(in_ms(call.limit_wait_s) for call in calls) / 1000,
        latency=percentiles([call.latency_s for call in succeeded if call.latency_s is not None]),
        ttft=percentiles([call.ttft_s for call in succeeded if call.ttft_s is not None]),
        tokens_per_s=sum(call.output_tokens for call in streamed) * 1000 / streamed_ms if streamed else None,
        input_tokens=sum(call.input_tokens or 0 for call in calls),
        cached_tokens=sum(call.cached_tokens or 0 for call in calls),
        output_tokens=sum(call.output_tokens or 0 for call in calls),
        cost_usd=sum(round((call.cost_usd or 0) * 10**9) for call in calls) / 10**9,
        unpriced=sum(call.cost_usd is None for call in calls),
        cache_hits=len(hits),
        sent_bytes=sum(call.sent_bytes for call in calls),
        received_bytes=sum(call.received_bytes for call in calls),
        findings=sum(call.findings for call in calls),
    )


def percentiles(times_s):
    """Return the nearest ranks in a sorted list."""
    if not times_s:
        return None
    ordered = sorted(in_ms(time_s) for time_s in times_s)
    return Percentiles(*(ordered[-(-len(ordered) * percent // 100) - 1] / 1000 for percent in (50, 95, 99)))


def in_ms(time_s):
    return round(time_s * 1000)
