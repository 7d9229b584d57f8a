"""The thread that writes records: it takes all of them, and nothing waits for it or fails with it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest

from chatcli.core.call_records import CallRecord
from chatcli.telemetry.call_store import FILE_NAME, CallStore
from chatcli.telemetry.call_writer import CallKeeper, CallWriter
from telemetry.made_calls import NOON_S

PATIENCE_S = 30
NOON = datetime.fromtimestamp(NOON_S, UTC)


def call(number: int = 0) -> CallRecord:
    return CallRecord(float(number), "models.example", "small")


class Sink:
    """Keeps what it is given, after raising ``failures``."""

    def __init__(self, *failures):
        self.calls = []
        self.threads = set()
        self.opened = 0
        self.is_closed = False
        self._failures = list(failures)

    def open(self):
        self.opened += 1
        return self

    def append(self, calls):
        if self._failures and (failure := self._failures.pop(0)):
            raise failure
        self.threads.add(threading.get_ident())
        self.calls += calls

    def close(self):
        self.is_closed = True


def ended(writer):
    thread = writer.end()
    if thread is not None:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_every_record_is_written_in_order_in_another_thread():
    sink = Sink()
    writer = CallWriter([sink.open])
    calls = [call(number) for number in range(3_000)]
    for each in calls:
        writer.record(each)
    ended(writer)
    assert sink.calls == calls
    assert threading.get_ident() not in sink.threads
    assert (sink.opened, sink.is_closed, writer.lost) == (1, True, 0)


def test_without_a_record_nothing_is_opened():
    sink = Sink()
    ended(CallWriter([sink.open]))
    assert sink.opened == 0


def test_a_sink_that_fails_loses_these_records_and_no_others():
    failing, other = Sink(OSError("no space left")), Sink()
    writer = CallWriter([failing.open, other.open])
    writer.record(call(1))
    ended(writer)
    writer.record(call(2))
    ended(writer)
    assert failing.calls == [call(2)]
    assert other.calls == [call(1), call(2)]
    assert (writer.lost, writer.problem) == (1, "no space left")


def test_a_sink_that_cannot_be_opened_is_tried_again_with_the_next_record():
    sink, attempts = Sink(), []

    def open_at_the_second_time():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("locked")
        return sink

    writer = CallWriter([open_at_the_second_time])
    for number in (1, 2):
        writer.record(call(number))
        ended(writer)
    assert sink.calls == [call(2)]
    assert (writer.lost, writer.problem) == (1, "locked")


async def test_the_last_of_its_users_has_everything_written():
    sink = Sink()
    writer = CallWriter([sink.open])
    async with AsyncExitStack() as stack:
        writer.open_until(stack)
        async with AsyncExitStack() as inner:
            writer.open_until(inner)
            writer.record(call(1))
        assert not sink.is_closed
        writer.record(call(2))
    assert sink.calls == [call(1), call(2)]
    assert sink.is_closed


async def test_a_sink_that_hangs_does_not_keep_the_run_from_ending():
    over = threading.Event()

    class Hanging(Sink):
        def append(self, calls):
            over.wait(PATIENCE_S)
            super().append(calls)

    sink = Hanging()
    writer = CallWriter([sink.open], patience_s=0.01, long_patience_s=0.01)
    async with AsyncExitStack() as stack:
        writer.open_until(stack)
        writer.record(call())
    assert not sink.is_closed
    over.set()


async def test_the_end_of_a_run_waits_longer_for_records_than_for_what_is_done_with_them():
    over = threading.Event()

    class Late(Sink):
        def append(self, calls):
            over.wait(0.05)  # as on a machine that is too busy to run the thread
            super().append(calls)

    class Hanging(Sink):
        def append(self, calls):
            over.wait(PATIENCE_S)

    store, watch = Late(), Hanging()
    writer = CallWriter([store.open, watch.open], patience_s=0, long_patience_s=PATIENCE_S)
    async with AsyncExitStack() as stack:
        writer.open_until(stack)
        writer.record(call(1))
    assert store.calls == [call(1)]
    assert not watch.is_closed
    over.set()


@pytest.mark.parametrize("times", [1, 3])
def test_after_its_end_a_record_starts_it_again(times):
    sink = Sink()
    writer = CallWriter([sink.open])
    for number in range(times):
        writer.record(call(number))
        ended(writer)
    assert (len(sink.calls), sink.opened) == (times, times)


def test_a_keeper_adds_up_closed_days_and_hours_once_it_has_run_for_a_minute(tmp_path):
    path, now = tmp_path / FILE_NAME, NOON
    keeper = CallKeeper(CallStore(path, fewest_kept=1), lambda: now)
    keeper.append([call(NOON_S - 86_400), call(NOON_S - 1)])
    assert kept_periods(path) == 0
    now += timedelta(minutes=1)
    keeper.append([call(NOON_S)])
    kept = kept_periods(path)
    assert kept >= 2
    now += timedelta(minutes=59)
    keeper.append([call(NOON_S + 1)])
    assert kept_periods(path) == kept
    now += timedelta(hours=2)
    keeper.append([call(NOON_S + 2)])
    assert kept_periods(path) > kept
    keeper.close()


def kept_periods(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM periods").fetchone()[0]
