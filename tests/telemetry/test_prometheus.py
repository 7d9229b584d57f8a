"""The text format of Prometheus, read back by the parser of its own client."""

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from chatcli.core.call_records import CANCELLED, CallRecord
from chatcli.telemetry.call_store import CallStore
from chatcli.telemetry.prometheus import (
    BUCKETS_S,
    GAUGE,
    CallCounters,
    MetricFamily,
    Sample,
    counters_of_today,
    exposition,
)
from chatcli.text.sanitizer import sanitize

CALL = CallRecord(1_790_000_000.0, "api.openai.com", "gpt-5-mini", latency_s=2.5, ttft_s=0.75)
LABELS = {"model": "gpt-5-mini", "endpoint": "api.openai.com", "operation": "answer"}


def read(text):
    """Return the samples of ``text`` by their names, each a dictionary from labels to values."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            assert labels not in found.setdefault(sample.name, {})
            found[sample.name][labels] = sample.value
    return found


def written(calls):
    return "".join(exposition(CallCounters(calls).metrics()))


def value(found, name, **labels):
    return found[name][frozenset((LABELS | labels).items())]


def test_calls_are_counted_by_how_they_ended():
    outcomes = ["ok", "ok", "rate_limited", CANCELLED, "ok"]
    found = read(written([replace(CALL, outcome=outcome) for outcome in outcomes]))
    for outcome, count in Counter(outcomes).items():
        assert value(found, "chatcli_calls_total", outcome=outcome) == count


def test_calls_count_for_the_model_that_was_asked_whatever_version_of_it_answered():
    versions = [replace(CALL, model=f"gpt-5-mini-2026-0{n}-01", requested_model="gpt-5-mini") for n in (1, 2)]
    assert value(read(written(versions)), "chatcli_calls_total", outcome="ok") == 2


def test_every_sum_is_that_of_the_calls():
    found = read(
        written(
            [
                replace(CALL, input_tokens=10, cached_tokens=4, output_tokens=3, cost_usd=0.25, attempts=3),
                replace(CALL, input_tokens=5, retry_wait_s=1.5, limit_wait_s=0.5, findings=2),
                replace(CALL, outcome="timeout", cost_usd=0.5, sent_bytes=100, received_bytes=7),
                replace(CALL, is_cache_hit=True, cost_usd=0.0, attempts=0, latency_s=None, ttft_s=None),
            ]
        )
    )
    assert value(found, "chatcli_tokens_total", type="input") == 15
    assert value(found, "chatcli_tokens_total", type="output") == 3
    sums = {name: value(found, name) for name in found if name.count("_") and len(found[name]) == 1}
    assert {name: sums[name] for name in sums if not name.endswith(("_sum", "_count"))} == {
        "chatcli_cached_tokens_total": 4,
        "chatcli_cost_dollars_total": 0.75,
        "chatcli_unpriced_calls_total": 1,
        "chatcli_cache_hits_total": 1,
        "chatcli_retries_total": 2,
        "chatcli_retry_wait_seconds_total": 1.5,
        "chatcli_limit_wait_seconds_total": 0.5,
        "chatcli_sent_bytes_total": 100,
        "chatcli_received_bytes_total": 7,
        "chatcli_injection_findings_total": 2,
    }
    assert sum(found["chatcli_calls_total"].values()) == 3


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=30))
def test_a_histogram_counts_the_calls_up_to_each_bound(times):
    found = read(written([replace(CALL, latency_s=seconds) for seconds in times]))
    for bound in (*BUCKETS_S, math.inf):
        written_bound = "+Inf" if bound == math.inf else f"{bound:g}"
        count = sum(seconds <= bound for seconds in times)
        assert value(found, "chatcli_call_duration_seconds_bucket", le=written_bound) == count
    assert value(found, "chatcli_call_duration_seconds_count") == len(times)
    assert value(found, "chatcli_call_duration_seconds_sum") == pytest.approx(sum(times))


def test_only_calls_that_succeeded_have_times():
    found = read(written([CALL, replace(CALL, outcome="timeout", latency_s=600.0)]))
    assert value(found, "chatcli_call_duration_seconds_count") == 1
    assert value(found, "chatcli_time_to_first_token_seconds_sum") == 0.75


def test_without_calls_there_are_no_metrics():
    assert written([]) == ""


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_of_a_model_breaks_the_format(model, other):
    text = written([replace(CALL, model=model), replace(CALL, model=other, outcome="timeout")])
    assert sum(read(text)["chatcli_calls_total"].values()) == 2
    assert sanitize(text) == text


@pytest.mark.parametrize(
    "hostile",
    [
        'm"} 1\nchatcli_calls_total{model="x',
        "back\\slash",
        "two\nlines",
        "escape\x1b]0;title\x07",
        "\ud800",
        "right-to-left\u202e",
        '"',
        "\\",
    ],
)
def test_a_hostile_name_stays_within_its_quotes(hostile):
    text = written([replace(CALL, model=hostile)])
    assert len(read(text)["chatcli_calls_total"]) == 1
    assert "\x1b" not in text
    text.encode()


def test_names_that_look_the_same_are_one_series():
    text = written([replace(CALL, model="a\x1bb"), replace(CALL, model="a␛b")])
    assert list(read(text)["chatcli_calls_total"].values()) == [2]


def test_a_name_that_is_plain_text_comes_back_as_it_is():
    found = read(written([replace(CALL, model='通义"千问\\2')]))
    ((labels, count),) = found["chatcli_calls_total"].items()
    assert (dict(labels)["model"], count) == ('通义"千问\\2', 1)


def test_a_server_that_invents_names_does_not_fill_the_memory():
    text = written([replace(CALL, model=f"m-{number}") for number in range(2_000)])
    calls = read(text)["chatcli_calls_total"]
    assert sum(calls.values()) == 2_000
    assert len(calls) == 501


def test_a_gauge_without_labels_is_a_line():
    lines = list(exposition([MetricFamily("chatcli_up", GAUGE, "Whether\nit runs.", [Sample((), 1.5)])]))
    assert lines == [
        "# HELP chatcli_up Whether\\nit runs.\n",
        "# TYPE chatcli_up gauge\n",
        "chatcli_up 1.5\n",
    ]


MIDNIGHT = datetime(2026, 11, 25, tzinfo=ZoneInfo("Asia/Shanghai"))
CALLS_OF_A_DAY = [
    replace(
        CALL,
        at_s=MIDNIGHT.timestamp() + number * 120,
        model=("large", "small", "模型")[number % 3],
        outcome="ok" if number % 7 else "timeout",
        latency_s=number / 50,
        ttft_s=None if number % 2 else number / 100,
        input_tokens=number,
        cached_tokens=number // 2,
        output_tokens=2 * number,
        cost_usd=None if number % 5 == 0 else number / 1000,
        attempts=1 + number % 3,
        is_cache_hit=number % 11 == 0,
    )
    for number in range(600)
]
YESTERDAY = replace(CALL, at_s=MIDNIGHT.timestamp() - 1, model="older")


@pytest.fixture
def store(tmp_path):
    store = CallStore(tmp_path / "calls.sqlite")
    store.append([YESTERDAY, *CALLS_OF_A_DAY])
    yield store
    store.close()


def stored(store, now):
    return read("".join(exposition(counters_of_today(store, now, MIDNIGHT.tzinfo).metrics())))


def test_the_counters_of_the_store_are_those_of_the_calls_since_midnight(store):
    now = MIDNIGHT + timedelta(hours=21)
    found, expected = stored(store, now.astimezone(UTC)), read(written(CALLS_OF_A_DAY))
    assert found.keys() == expected.keys()
    for name, samples in expected.items():
        for labels, count in samples.items():
            assert found[name][labels] == pytest.approx(count), (name, labels)


def test_a_kind_of_call_that_is_not_in_the_day_yet_counts_from_zero(store):
    calls = stored(store, MIDNIGHT + timedelta(hours=21))["chatcli_calls_total"]
    of_today = read(written(CALLS_OF_A_DAY))["chatcli_calls_total"]
    (older,) = calls.keys() - of_today.keys()
    assert (dict(older)["model"], calls[older]) == ("older", 0)


def test_the_counters_grow_through_the_day_and_begin_again_at_the_next(store):
    totals = [
        sum(stored(store, MIDNIGHT + timedelta(hours=hour))["chatcli_calls_total"].values())
        for hour in range(26)
    ]
    assert totals[:24] == sorted(totals[:24])
    assert totals[23] == sum(not call.is_cache_hit for call in CALLS_OF_A_DAY)
    assert totals[24:] == [0, 0]


def test_a_store_without_calls_has_no_metrics(tmp_path):
    assert stored(CallStore(tmp_path / "none.sqlite"), MIDNIGHT) == {}
