"""Reports: every figure compared with calls counted one by one, in time zones and over clocks that are set."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatcli.core.statistics import GROUPINGS, Figures
from chatcli.telemetry.call_statistics import keep_sums, report
from chatcli.telemetry.call_store import FILE_NAME, CallStore, Period
from chatcli.telemetry.call_tables import slices_of_calls
from telemetry.made_calls import NOON_S, a_call, calls_between, counted

NOON = datetime.fromtimestamp(NOON_S, UTC)
WEEK = timedelta(days=7)
HOUR_S = 3600.0
ZONES = (
    UTC,
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("Asia/Kolkata"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/St_Johns"),
    ZoneInfo("Pacific/Apia"),
    timezone(timedelta(hours=-11, minutes=-17)),
)

CLOCKS_ARE_SET = (
    ("Europe/Berlin", "2026-03-29 12:00"),
    ("Europe/Berlin", "2026-10-25 12:00"),
    ("Australia/Lord_Howe", "2026-04-05 12:00"),
    ("America/Sao_Paulo", "2018-11-04 12:00"),
    ("America/Havana", "2026-11-01 12:00"),
    ("Pacific/Apia", "2011-12-31 12:00"),
)


@pytest.fixture
def store(tmp_path):
    with closing(CallStore(tmp_path / FILE_NAME, fewest_kept=1)) as store:
        yield store


def name_in(call, grouped_by, zone):
    there = datetime.fromtimestamp(call.at_s, zone)
    if grouped_by == "day":
        return f"{there:%Y-%m-%d}"
    if grouped_by == "hour":
        return f"{there:%Y-%m-%d %H:00}"
    return getattr(call, grouped_by)


def grouped(calls, grouped_by, zone=UTC):
    names = {name_in(call, grouped_by, zone) for call in calls}
    return {
        name: counted([call for call in calls if name_in(call, grouped_by, zone) == name]) for name in names
    }


def at_distinct_times(calls):
    """Leave out calls that begin in the microsecond of another, which would be stored in the next one."""
    return list({round(call.at_s * 1e6): call for call in calls}.values())


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.lists(calls_between(NOON_S - 8 * 86_400, NOON_S), max_size=25), min_size=1, max_size=3),
    st.sampled_from(GROUPINGS),
    st.sampled_from(ZONES),
    st.integers(1, 7 * 86_400) | st.sampled_from([3_600, 86_400, 7 * 86_400]),
)
def test_a_report_is_what_counting_each_call_gives_whatever_was_added_up_before(
    tmp_path_factory, batches, grouped_by, zone, length_s
):
    with closing(CallStore(tmp_path_factory.mktemp("calls") / FILE_NAME, fewest_kept=1)) as store:
        since = NOON - timedelta(seconds=length_s)
        stored = at_distinct_times([call for batch in batches for call in batch])
        half = len(stored) // 2
        store.append(stored[:half])
        keep_sums(store, NOON, zone=zone)
        report(store, NOON - WEEK, NOON, zone=zone, now=NOON)
        store.append(stored[half:])
        for _ in range(2):
            made = report(store, since, NOON, grouped_by=grouped_by, zone=zone, now=NOON)
            begun = [call for call in stored if NOON_S - length_s <= round(call.at_s * 1e6) / 1e6 < NOON_S]
            assert made.total == counted(begun)
            assert dict(made.groups) == grouped(begun, grouped_by, zone)
            assert sum(slot.figures.calls for slot in made.slots) == made.total.calls
            assert sum(bar.calls for bar in made.latencies) == sum(
                not call.is_cache_hit and call.outcome == "ok" and call.latency_s is not None
                for call in begun
            )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.data(), st.sampled_from(CLOCKS_ARE_SET), st.sampled_from(["day", "hour", "model"]), st.integers(1, 6)
)
def test_a_report_over_days_whose_clocks_are_set_leaves_nothing_out(
    tmp_path_factory, data, place, grouped_by, days
):
    zone, moment = ZoneInfo(place[0]), datetime.fromisoformat(place[1]).replace(tzinfo=ZoneInfo(place[0]))
    now_s = moment.timestamp() + 2 * 86_400
    now, since_s = datetime.fromtimestamp(now_s, UTC), now_s - days * 86_400
    made_calls = data.draw(st.lists(calls_between(now_s - 6 * 86_400, now_s - 1), max_size=60))
    with closing(CallStore(tmp_path_factory.mktemp("calls") / FILE_NAME, fewest_kept=1)) as store:
        stored = at_distinct_times(made_calls)
        store.append(stored)
        # Others have asked in their own time zone.
        keep_sums(store, now, zone=data.draw(st.sampled_from(ZONES)))
        begun = [call for call in stored if round(call.at_s * 1e6) >= round(since_s * 1e6)]
        for _ in range(2):
            made = report(
                store, datetime.fromtimestamp(since_s, UTC), now, grouped_by=grouped_by, zone=zone, now=now
            )
            assert made.total == counted(begun)
            assert sum(slot.figures.calls for slot in made.slots) == made.total.calls
            assert sum(group.figures.calls for group in made.groups) == made.total.calls
            if grouped_by != "hour":
                assert dict(made.groups) == grouped(begun, grouped_by, zone)


def test_a_report_over_nothing_has_its_slots_and_no_figures(store):
    made = report(store, NOON - timedelta(days=1), NOON, zone=UTC, now=NOON)
    assert made.total == Figures()
    assert made.groups == made.latencies == ()
    assert len(made.slots) == 24
    assert made.is_hourly
    assert made.unreadable is None


def test_a_week_has_a_slot_for_each_day(store):
    store.append([a_call(NOON_S - 86_400), a_call(NOON_S - 2 * 86_400)])
    made = report(store, NOON - WEEK, NOON, zone=UTC, now=NOON)
    assert [slot.figures.calls for slot in made.slots] == [0, 0, 0, 0, 0, 1, 1, 0]
    assert [slot.start.day for slot in made.slots] == [18, 19, 20, 21, 22, 23, 24, 25]


def test_groups_of_names_are_in_the_order_of_their_calls(store):
    store.append([a_call(NOON_S - n, model=name) for n, name in enumerate("abbccc", start=1)])
    made = report(store, NOON - WEEK, NOON, zone=UTC, now=NOON)
    assert [(group.name, group.figures.calls) for group in made.groups] == [("c", 3), ("b", 2), ("a", 1)]


@pytest.mark.parametrize("name", ["model", "endpoint", "operation", "profile"])
def test_only_calls_of_the_names_asked_for_count(store, name):
    store.append([a_call(NOON_S - 9), a_call(NOON_S - 8, **{name: "other"})])
    assert report(store, NOON - WEEK, NOON, **{name: "other"}, zone=UTC, now=NOON).total.calls == 1
    assert report(store, NOON - WEEK, NOON, **{name: "none"}, zone=UTC, now=NOON).total.calls == 0


def test_the_hour_that_comes_twice_is_told_apart(store):
    """Clocks are set back from 03:00 to 02:00 on 2026-10-25 in Berlin."""
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 10, 25, tzinfo=berlin)
    since_s = midnight.timestamp()
    store.append([a_call(since_s + hour * HOUR_S) for hour in range(25)])
    until = datetime(2026, 10, 26, tzinfo=berlin)
    made = report(store, midnight, until, grouped_by="hour", zone=berlin, now=NOON)
    assert len(made.groups) == len(made.slots) == 25
    assert [group.name for group in made.groups[1:5]] == [
        "2026-10-25 01:00",
        "2026-10-25 02:00",
        "2026-10-25 02:00 +0100",
        "2026-10-25 03:00",
    ]


def test_a_day_that_a_zone_left_out_has_no_slot(store):
    """On Samoa, 2011-12-29 was followed by the 31st."""
    apia = ZoneInfo("Pacific/Apia")
    since, until = datetime(2011, 12, 27, tzinfo=apia), datetime(2012, 1, 2, tzinfo=apia)
    store.append([a_call(since.timestamp() + hour * HOUR_S) for hour in range(24 * 5)])
    made = report(store, since, until, grouped_by="day", zone=apia, now=NOON)
    assert [(slot.start.day, slot.figures.calls) for slot in made.slots] == [
        (27, 24), (28, 24), (29, 24), (31, 24), (1, 24),
    ]  # fmt: skip


def test_a_day_that_begins_at_one_o_clock_is_whole(store):
    """Clocks were set from 00:00 to 01:00 on 2018-11-04 in São Paulo."""
    zone = ZoneInfo("America/Sao_Paulo")
    since, until = datetime(2018, 11, 1, tzinfo=zone), datetime(2018, 11, 7, tzinfo=zone)
    hours = int((until.timestamp() - since.timestamp()) / HOUR_S)
    store.append([a_call(since.timestamp() + hour * HOUR_S) for hour in range(hours)])
    made = report(store, since, until, grouped_by="day", zone=zone, now=NOON)
    assert [group.figures.calls for group in made.groups] == [24, 24, 24, 23, 24, 24]
    assert made.slots[3].start.hour == 1


def test_days_are_those_of_the_machine_without_a_zone(store):
    store.append([a_call(NOON_S - 2 * 86_400)])
    made = report(store, NOON - WEEK, NOON, grouped_by="day", now=NOON)
    there = datetime.fromtimestamp(NOON_S - 2 * 86_400).astimezone()
    assert [group.name for group in made.groups] == [f"{there:%Y-%m-%d}"]


def test_a_clock_set_forward_and_back_costs_no_call(store):
    """The day is closed while the clock is a year ahead; then calls come into it."""
    store.append([a_call(NOON_S - 60)])
    ahead = NOON + timedelta(days=365)
    assert report(store, NOON - WEEK, ahead, zone=UTC, now=ahead).total.calls == 1
    keep_sums(store, NOON + timedelta(days=3), zone=UTC)
    store.append([a_call(NOON_S - 30), a_call(NOON_S + 90)])
    later = NOON + timedelta(hours=1)
    assert report(store, NOON - WEEK, later, zone=UTC, now=later).total.calls == 3
    assert store.figures(NOON_S - 86_400, NOON_S + 3_600).calls == 3


def test_calls_of_the_future_are_not_in_a_report_until_now(store):
    store.append([a_call(NOON_S - 1), a_call(NOON_S + 86_400)])
    assert report(store, NOON - WEEK, NOON, zone=UTC, now=NOON).total.calls == 1


def test_a_period_of_all_time_has_only_the_days_from_the_first_call_to_the_last(store):
    store.append([a_call(NOON_S - 86_400), a_call(NOON_S + 86_400)])
    since, until = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
    made = report(store, since, until, zone=UTC, now=NOON)
    assert made.total.calls == 2
    assert len(made.slots) == (49 if made.is_hourly else 3)
    assert (made.since, made.until) == (since, until)
    store.clear()
    assert report(store, since, until, zone=UTC, now=NOON).slots == ()


def test_a_period_that_ends_before_it_begins_is_empty(store):
    store.append([a_call(NOON_S - 1)])
    assert report(store, NOON, NOON - WEEK, zone=UTC, now=NOON).total == Figures()


def test_the_bars_of_a_histogram_end_at_round_times(store):
    times_s = [0.3, 0.31, 0.8, 1.2, 1.4, 2.5]
    store.append([a_call(NOON_S - n, latency_s=time_s) for n, time_s in enumerate(times_s, start=1)])
    made = report(store, NOON - WEEK, NOON, zone=UTC, now=NOON)
    assert [tuple(bar) for bar in made.latencies] == [
        (0.3, 0.5, 2), (0.5, 0.75, 0), (0.75, 1.0, 1), (1.0, 1.5, 2), (1.5, 2.0, 0), (2.0, 3.0, 1),
    ]  # fmt: skip


def test_a_histogram_of_all_there_can_be_ends_openly(store):
    times_s = [0.0, 0.001, 3_000_000.0, 5e9]
    store.append([a_call(NOON_S - n, latency_s=time_s) for n, time_s in enumerate(times_s, start=1)])
    bars = report(store, NOON - WEEK, NOON, zone=UTC, now=NOON).latencies
    assert len(bars) == 24
    assert (bars[0].calls, bars[1].calls, bars[-1].calls, bars[-1].upper_s) == (1, 1, 2, None)


def test_many_kinds_of_calls_are_told_apart(store):
    calls = [a_call(NOON_S - n, model=f"model {n % 700}", latency_s=n % 41 + 0.5) for n in range(1, 5_000)]
    store.append(calls)
    made = report(store, NOON - timedelta(days=1), NOON, zone=UTC, now=NOON)
    assert len(made.groups) == 700
    assert made.total == counted(calls)
    assert dict(made.groups) == grouped(calls, "model")


def kept_periods(folder):
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        return connection.execute("SELECT count(*) FROM periods").fetchone()[0]


def test_a_call_that_comes_while_its_hour_is_added_up_is_not_left_out(store, tmp_path):
    """Another process stores it between the sums and their keeping."""
    store.append([a_call(NOON_S - 7_200)])
    hour = Period(int(NOON_S - 7_200) * 10**6, int(NOON_S - 3_600) * 10**6, is_closed=True)
    with (
        closing(CallStore(tmp_path / FILE_NAME, fewest_kept=1)) as other,
        store._database.reading() as connection,
    ):
        store._begin(connection)
        slices = slices_of_calls(connection, *hour[:2], {})
        store._know(connection, slices)
        other.append([a_call(NOON_S - 7_100)])
        store._keep(connection, hour, slices)
    assert kept_periods(tmp_path) == 0
    assert report(store, NOON - WEEK, NOON, zone=UTC, now=NOON).total.calls == 2


def test_sums_that_were_tampered_with_are_made_again(store, tmp_path):
    store.append([a_call(NOON_S - 3 * 86_400, latency_s=1.5)])
    first = report(store, NOON - WEEK, NOON, zone=UTC, now=NOON)
    for content in (b"", b"x", zlib.compress(b"\x00" * 7), zlib.compress(b"\x05" * 99), "text", 3):
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
            changed = connection.execute("UPDATE periods SET slices = ?1, outcomes = ?1", (content,)).rowcount
        assert changed == 1
        assert report(store, NOON - WEEK, NOON, zone=UTC, now=NOON) == first
        assert report(store, NOON - WEEK, NOON, grouped_by="day", zone=UTC, now=NOON).total == first.total


def test_several_processes_report_at_once(store, tmp_path):
    calls = [a_call(NOON_S - number * 600, latency_s=number / 10) for number in range(1, 1_000)]
    store.append(calls)
    made = []

    def ask():
        with closing(CallStore(tmp_path / FILE_NAME, fewest_kept=1, busy_timeout_s=30)) as own:
            made.append(report(own, NOON - WEEK, NOON, zone=UTC, now=NOON))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.total for each in made] == [counted(calls)] * 4


def test_a_report_waits_once_for_a_process_that_writes_for_long(tmp_path):
    calls = [a_call(NOON_S - number * 600) for number in range(1, 300)]
    with closing(CallStore(tmp_path / FILE_NAME, fewest_kept=1, busy_timeout_s=0.05)) as store:
        store.append(calls)
        begun = []
        with (
            store._database.using() as connection,
            closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other,
        ):
            connection.set_trace_callback(lambda statement: begun.append(statement.startswith("BEGIN")))
            other.execute("BEGIN IMMEDIATE")
            assert report(store, NOON - WEEK, NOON, zone=UTC, now=NOON).total == counted(calls)
            assert sum(begun) == 1
            other.execute("ROLLBACK")
            connection.set_trace_callback(None)
        store.append([a_call(NOON_S + 1)])
        keep_sums(store, NOON, zone=UTC)
        assert kept_periods(tmp_path) > 0


def test_older_figures_are_said_to_be_missing_after_a_file_was_damaged(store, tmp_path):
    aside = tmp_path / f"{FILE_NAME}.damaged"
    aside.touch()
    os.utime(aside, (NOON_S - 86_400, NOON_S - 86_400))
    assert report(store, NOON - WEEK, NOON, zone=UTC, now=NOON).unreadable is not None
    assert report(store, NOON - timedelta(hours=1), NOON, zone=UTC, now=NOON).unreadable is None


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_process_killed_while_it_adds_up_leaves_the_report_as_it_is(store, tmp_path):
    """It adds up again and again, and dies at any point of it."""
    script = """
        import sqlite3, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from chatcli.telemetry.call_statistics import keep_sums
        from chatcli.telemetry.call_store import CallStore

        store = CallStore(Path(sys.argv[1]), fewest_kept=1, busy_timeout_s=30)
        while True:
            keep_sums(store, datetime.fromtimestamp(float(sys.argv[2]), UTC), zone=UTC)
            print("once", flush=True)
            with store._database.writing() as connection:
                connection.execute("DELETE FROM periods WHERE rowid % 3 = 0")
    """
    calls = [a_call(NOON_S - number * 120, latency_s=number / 10) for number in range(1, 3_000)]
    store.append(calls)
    chance = random.Random(1)
    for _ in range(4):
        command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / FILE_NAME), str(NOON_S)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as adding:
            adding.stdout.readline()
            time.sleep(chance.random() / 5)
            adding.kill()
        made = report(store, NOON - WEEK, NOON, grouped_by="day", zone=UTC, now=NOON)
        assert made.total == counted(calls)
        assert dict(made.groups) == grouped(calls, "day")


class CountingStore(CallStore):
    """Counts what is read of it."""

    reads = 0

    def outcomes(self, period):
        self.reads += 1
        return super().outcomes(period)

    def slices_and_outcomes(self, period):
        self.reads += 1
        return super().slices_and_outcomes(period)


@pytest.mark.parametrize("grouped_by", ["model", "day", "hour"])
@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Asia/Kathmandu")], ids=str)
def test_a_report_of_decades_reads_only_the_days_that_have_calls(tmp_path, grouped_by, zone):
    with closing(CountingStore(tmp_path / FILE_NAME)) as store:
        store.append(
            [a_call(at_s) for at_s in (NOON_S - 20 * 365 * 24 * HOUR_S, NOON_S - HOUR_S, NOON_S - 60)]
        )
        found = report(store, NOON - timedelta(days=36_500), NOON, grouped_by=grouped_by, zone=zone, now=NOON)
        assert store.reads <= 3 * 24
    assert found.total.calls == 3
    assert len(found.slots) == 20 * 365 + 1
    assert sum(group.figures.calls for group in found.groups) == 3
    assert sum(slot.figures.calls for slot in found.slots) == 3
