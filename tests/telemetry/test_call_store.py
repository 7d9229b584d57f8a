"""The database of calls: what it keeps, and what it does when the file, the disk or another process is in its way."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatcli.core.call_records import CallRecord
from chatcli.core.errors import LocalIOError
from chatcli.core.statistics import Figures
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from telemetry.made_calls import NOON_S, a_call, calls_between, counted

HOUR_S = 3600.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / FILE_NAME


@pytest.fixture
def opened(path):
    """Return a function that opens the same store again."""
    stores = []

    def reopen(**options):
        stores.append(CallStore(path, **options))
        return stores[-1]

    yield reopen
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    return opened()


def test_the_last_calls_are_returned_newest_last(store, opened):
    calls = [a_call(NOON_S + second, model=f"model {second}") for second in range(5)]
    store.append(calls[2:])
    store.append(calls[:2])
    assert opened().recent(3) == calls[2:]
    assert opened().recent(100) == calls


def test_a_call_is_returned_with_all_that_is_kept_of_it(store):
    call = CallRecord(
        NOON_S + 0.123456,
        endpoint="api.example.com",
        model="模型",
        operation="summary",
        outcome="rate_limited",
        profile="work",
        attempts=3,
        retry_wait_s=1.5,
        limit_wait_s=0.25,
        ttft_s=0.75,
        latency_s=12.345,
        input_tokens=1_234,
        cached_tokens=512,
        output_tokens=99,
        cost_usd=0.001234567,
        is_cache_hit=True,
        sent_bytes=4_096,
        received_bytes=65_536,
        findings=2,
    )
    store.append([call])
    assert store.recent(1) == [call]


def test_what_is_unknown_stays_unknown(store):
    store.append([a_call(ttft_s=None, latency_s=None, input_tokens=None, cost_usd=None)])
    assert store.recent(1) == [a_call()]


def test_calls_after_a_time_are_left_out(store):
    store.append([a_call(NOON_S), a_call(NOON_S + 9)])
    assert store.recent(5, before_s=NOON_S + 9) == [a_call(NOON_S)]


def test_calls_of_the_same_microsecond_are_all_kept_in_their_order(store, opened):
    store.append([a_call(model=f"{number}") for number in range(3_000)])
    opened().append([a_call(model="last")])
    assert [call.model for call in store.recent(9_999)] == [*map(str, range(3_000)), "last"]


def test_what_no_call_can_be_is_stored_as_the_nearest_thing(store):
    store.append(
        [
            a_call(float("nan"), model="\ud83d" + "x" * 500, cost_usd=float("nan"), latency_s=float("inf")),
            a_call(
                float("inf"), attempts=-1, input_tokens=10**30, sent_bytes=-5, cost_usd=1e300, ttft_s=-1.0
            ),
        ]
    )
    first, last = store.recent(2)
    assert (first.at_s, first.cost_usd, len(first.model)) == (0, None, 200)
    assert (last.attempts, last.sent_bytes, last.ttft_s) == (0, 0, 0)
    assert (last.cost_usd, last.input_tokens) == (10_000, 10**12)


def test_an_empty_store_has_figures_and_makes_no_file(store, path):
    assert store.figures(0, NOON_S) == Figures()
    assert store.recent(5) == []
    assert store.first_and_last_s() is None
    store.forget(NOON_S)
    store.clear()
    assert not path.parent.exists()


def test_the_file_and_its_side_files_are_private(store, path):
    store.append([a_call()])
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_figures_are_those_of_the_time_asked_for(store):
    store.append([a_call(NOON_S), a_call(NOON_S + 60, outcome="timed_out"), a_call(NOON_S + 120)])
    assert store.figures(NOON_S, NOON_S + 120) == counted([a_call(), a_call(outcome="timed_out")])


def test_calls_count_for_the_model_that_was_asked_whatever_version_of_it_answered(store):
    answered = a_call(model="small-2026-01-01", requested_model="small")
    hit = a_call(model="small-2026-01-01", requested_model="small", is_cache_hit=True)
    store.append([answered, hit, a_call(model="small", outcome="timed_out", requested_model="small")])
    figures = store.figures(0, 4e9, model="small")
    assert (figures.calls, figures.success_rate, figures.cache_hits) == (2, 0.5, 1)


def test_figures_are_those_of_the_model_and_the_endpoint_asked_for(store):
    store.append([a_call(model="small"), a_call(NOON_S + 1), a_call(NOON_S + 2, endpoint="localhost")])
    assert store.figures(NOON_S, NOON_S + 9, model="large").calls == 2
    assert store.figures(NOON_S, NOON_S + 9, endpoint="localhost").calls == 1
    assert store.figures(NOON_S, NOON_S + 9, model="small", endpoint="localhost").calls == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.lists(calls_between(NOON_S, NOON_S + 12 * HOUR_S), max_size=20), max_size=4),
    st.floats(NOON_S, NOON_S + 12 * HOUR_S),
    st.floats(NOON_S, NOON_S + 12 * HOUR_S),
)
def test_figures_are_exact_whatever_was_added_up_before(tmp_path_factory, batches, since_s, until_s):
    """Between the batches figures are asked for, so that sums are kept, and calls come late."""
    store = CallStore(tmp_path_factory.mktemp("calls") / FILE_NAME, fewest_kept=1)
    with closing(store):
        stored = []
        for batch in batches:
            store.append(batch)
            stored += batch
            assert store.figures(0, NOON_S + 24 * HOUR_S) == counted(stored)
            in_time = [
                call
                for call in stored
                if round(since_s * 1e6) <= round(call.at_s * 1e6) < round(until_s * 1e6)
            ]
            times = [round(call.at_s * 1e6) for call in stored]
            if len(set(times)) == len(times):
                assert store.figures(since_s, until_s) == counted(in_time)


def test_forgotten_calls_are_gone_and_later_ones_stay(store, opened):
    calls = [a_call(NOON_S + hour * HOUR_S, model=f"model {hour}") for hour in range(10)]
    store.append(calls)
    other = opened(fewest_kept=1)
    assert other.figures(0, NOON_S + 24 * HOUR_S).calls == 10
    store.forget(NOON_S + 4 * HOUR_S)
    assert store.recent(100) == other.recent(100) == calls[4:]
    assert other.figures(0, NOON_S + 24 * HOUR_S).calls == 6
    assert {kind.model for kind in store.kinds().values()} == {call.model for call in calls[4:]}


def test_a_store_goes_on_after_another_has_cleared_it(store, opened):
    store.append([a_call(model="one")])
    opened().clear()
    assert store.recent(5) == []
    store.append([a_call(model="two"), a_call(model="one")])
    assert [call.model for call in opened().recent(5)] == ["two", "one"]


def test_nothing_of_cleared_calls_stays_in_the_file(store, path):
    store.append([a_call(model="a secret name")])
    store.clear()
    store.close()
    assert b"a secret name" not in path.read_bytes()


def test_a_database_another_process_has_for_long_is_busy(store, opened, path):
    store.append([a_call()])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        hurried = opened(busy_timeout_s=0.01)
        with pytest.raises(LocalIOError, match="another process is using it"):
            hurried.append([a_call()])
        assert len(hurried.recent(5)) == 1
        other.execute("ROLLBACK")
        hurried.append([a_call()])
    assert len(store.recent(5)) == 2


@pytest.mark.parametrize("stored_at_once", [1, 63, 64, 200, 1_000])
def test_calls_are_all_kept_however_many_come_at_once_and_whenever_they_began(path, stored_at_once):
    """Those of a batch overlap, and some begin in the same microsecond."""
    times_s = [NOON_S + number % 700 / 1000 for number in range(1_000)]
    calls = [a_call(at_s, input_tokens=number) for number, at_s in enumerate(times_s)]
    with closing(CallStore(path)) as store:
        for start in range(0, len(calls), stored_at_once):
            store.append(calls[start : start + stored_at_once])
        kept = store.recent(2_000)
    assert sorted(call.input_tokens for call in kept) == list(range(1_000))
    assert len({call.at_s for call in kept}) == 1_000
    assert all(abs(call.at_s - times_s[call.input_tokens]) < 0.0001 for call in kept)
