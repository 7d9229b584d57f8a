"""How an endpoint does now, in rows of words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from chatcli.core.call_records import CallRecord
from chatcli.core.ports import LimitLeft
from chatcli.render.endpoint_status import call_rows, limit_rows

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
CALL = CallRecord(NOW.timestamp() - 180, "models.example", "small", ttft_s=0.25, latency_s=1.0)


def rows(*calls, is_spoken=False):
    return dict(call_rows(calls, NOW, is_spoken=is_spoken))


def test_the_last_calls_are_counted_by_what_came_of_them():
    outcomes = ("ok", "rate_limited", "cancelled", "ok", "rate_limited", "timed_out")
    calls = [replace(CALL, outcome=outcome) for outcome in outcomes]
    said = rows(*calls)["last calls"]
    assert said == "2 of 6 succeeded · 1 stopped · 2 rate_limited · 1 timed_out"


def test_times_are_those_of_calls_that_succeeded():
    calls = [replace(CALL, latency_s=latency_s) for latency_s in (1.0, 3.0, 2.0, 9.0)]
    failed = replace(CALL, outcome="timed_out", latency_s=600.0, ttft_s=None)
    said = rows(*calls, failed)["response time"]
    assert said == "2.0 s in the median · 9.0 s at most · first text after 250 ms"


def test_the_picture_has_a_column_for_each_call_and_a_dot_for_one_that_failed():
    calls = [replace(CALL, latency_s=1.0), replace(CALL, outcome="refused"), replace(CALL, latency_s=8.0)]
    assert rows(*calls)[""] == "▁·█  oldest to newest, · failed"


def test_the_dots_are_explained_by_what_they_stand_for():
    stopped, failed = replace(CALL, outcome="cancelled"), replace(CALL, outcome="refused")
    assert rows(CALL, stopped)[""].endswith("oldest to newest, · stopped")
    assert rows(CALL, stopped, failed)[""].endswith("oldest to newest, · failed or stopped")


def test_a_screen_reader_is_told_no_picture():
    assert "" not in rows(CALL, is_spoken=True)


def test_the_last_call_is_named_with_its_age():
    assert rows(CALL, replace(CALL, operation="summary", outcome="refused"))["last call"] == (
        "3 min ago, summary, refused"
    )


def test_without_a_call_that_succeeded_there_are_no_times():
    assert "response time" not in rows(replace(CALL, outcome="refused"))
    assert rows() == {"last calls": "none yet"}


def test_what_is_left_of_limits_says_when_there_is_more():
    limits = [LimitLeft("requests", 10, 40, 29.2), LimitLeft("tokens", 90_000, None, 0)]
    assert list(limit_rows(limits)) == [
        ("requests left", "10 of 40, full again in 30 s"),
        ("tokens left", "90,000"),
    ]


def test_codes_of_others_cannot_act_on_the_terminal():
    assert "\x1b" not in str(rows(replace(CALL, outcome="\x1b[2J")))
