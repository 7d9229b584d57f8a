"""Statistics of stored calls whose truth is known."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from chatcli.app.statistics_report import StatisticsQuery, lines_without_calls, read_statistics
from chatcli.core.call_records import CallRecord
from chatcli.core.errors import UsageError
from chatcli.core.statistics import Percentiles
from chatcli.telemetry.call_store import FILE_NAME, CallStore

NOW = datetime(2026, 11, 30, 14, 5, tzinfo=UTC)


def call(hours_ago, **fields):
    given = {"endpoint": "api.openai.com", "model": "gpt-5-mini", "latency_s": 1.0, "ttft_s": 0.25, **fields}
    return CallRecord((NOW - timedelta(hours=hours_ago)).timestamp(), **given)


@pytest.fixture
def read(tmp_path):
    """Return a function that stores calls and reads the statistics of a query."""

    def read(calls, **query):
        if calls:
            with closing(CallStore(tmp_path / FILE_NAME)) as store:
                store.append(calls)
        return read_statistics(StatisticsQuery(**query), tmp_path, NOW, zone=UTC)

    return read


def test_every_figure_is_that_of_the_calls(read):
    slow = [call(at, model="slow", endpoint="other", latency_s=2.0 + at, cost_usd=0.5) for at in range(1, 5)]
    failed = [
        call(30, outcome="timeout", attempts=3, retry_wait_s=4.0),
        call(31, outcome="rate_limited", limit_wait_s=2.5),
    ]
    fast = [
        call(at + 50, input_tokens=10, cached_tokens=4, output_tokens=30, cost_usd=0.001) for at in range(10)
    ]
    old = call(24 * 8)
    found = read([*slow, *failed, *fast, call(2, outcome="cancelled"), call(3, is_cache_hit=True), old])
    total = found.report.total
    assert found.period == "in the last 7 days"
    assert (total.calls, total.succeeded, total.cancelled, total.cache_hits) == (17, 14, 1, 1)
    assert total.errors == {"timeout": 1, "rate_limited": 1}
    assert total.success_rate == pytest.approx(14 / 16)
    assert total.latency == Percentiles(1.0, 6.0, 6.0)
    assert total.ttft == Percentiles(0.25, 0.25, 0.25)
    assert (total.attempts, total.retries, total.retry_wait_s, total.limit_wait_s) == (19, 2, 4.0, 2.5)
    assert (total.input_tokens, total.cached_tokens, total.output_tokens) == (100, 40, 300)
    assert total.cost_usd == pytest.approx(2.01)
    assert total.unpriced == 3
    by_name = {group.name: group.figures for group in found.report.groups}
    assert {name: (figures.calls, figures.success_rate) for name, figures in by_name.items()} == {
        "gpt-5-mini": (13, pytest.approx(10 / 12)),
        "slow": (4, 1.0),
    }
    assert sum(bar.calls for bar in found.report.latencies) == 14
    assert [slot.figures.calls for slot in found.report.slots] == [0, 0, 0, 0, 0, 10, 2, 5]


def test_only_calls_of_a_model_or_an_endpoint_count(read):
    calls = [call(1), call(2, model="slow"), call(3, endpoint="other")]
    assert read(calls, model="gpt-5-mini").report.total.calls == 2
    assert read([], model="gpt-5-mini", endpoint="other").report.total.calls == 1


def test_only_calls_of_the_period_count(read):
    assert read([call(at) for at in range(48)], since="24h").report.total.calls == 24
    assert read([], since="2026-11-29", until="2026-11-29").report.total.calls == 24
    assert read([], since="90m").report.total.calls == 1


def test_they_are_grouped_as_it_was_asked(read):
    found = read([call(1), call(2), call(25)], grouped_by="day")
    assert [(group.name, group.figures.calls) for group in found.report.groups] == [
        ("2026-11-29", 1),
        ("2026-11-30", 2),
    ]


def test_a_period_that_is_none_is_refused(read):
    with pytest.raises(UsageError, match="is not a time"):
        read([], since="soon")


def test_nothing_is_made_by_reading(read, tmp_path):
    assert not read([]).has_calls
    assert list(tmp_path.iterdir()) == []


class TestWithoutCalls:
    def test_a_new_person_is_told_to_ask(self, read):
        query = StatisticsQuery()
        assert lines_without_calls(query, read([])) == (
            "no calls in the last 7 days",
            "none has been measured yet: ask something first",
        )

    def test_the_last_call_is_named(self, read):
        found = read([call(24 * 30)])
        assert lines_without_calls(StatisticsQuery(), found) == (
            "no calls in the last 7 days",
            "the last call began 31 Oct 14:05; --since goes further back",
        )

    def test_a_last_call_after_the_period_is_not_looked_for_further_back(self, read):
        query = StatisticsQuery(since="2026-11-01", until="2026-11-02")
        found = read([call(2)], since=query.since, until=query.until)
        assert lines_without_calls(query, found) == (
            "no calls from 1 Nov to 2 Nov",
            "the last call began 30 Nov 12:05; --since and --until choose another period",
        )

    @pytest.mark.parametrize(
        ("query", "message", "hint"),
        [
            ({"model": "x"}, "no calls of x in the last 7 days", "chatcli stats --by model lists the names"),
            (
                {"endpoint": "e"},
                "no calls at e in the last 7 days",
                "chatcli stats --by endpoint lists the names",
            ),
            (
                {"model": "x", "endpoint": "e"},
                "no calls of x at e in the last 7 days",
                "chatcli stats --by model lists the names",
            ),
        ],
    )
    def test_the_names_that_were_asked_for_are_said(self, read, query, message, hint):
        assert lines_without_calls(StatisticsQuery(**query), read([call(1)], **query)) == (message, hint)

    def test_telemetry_that_is_off_is_the_reason(self, read):
        _, hint = lines_without_calls(StatisticsQuery(), read([]), is_measured=False)
        assert hint == "telemetry is off: chatcli config show tells where"
