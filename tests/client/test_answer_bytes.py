from __future__ import annotations

import asyncio
import re
import selectors
from contextlib import aclosing
from dataclasses import replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.answer_bytes import (
    IdleTimeout,
    ReadAhead,
    StreamTooLong,
    are_events,
    beginning,
    coalesced,
    event_data,
    whole,
)
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import TimedOut
from chatcli.core.events import ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine


HERE = Endpoint("https://models.example/v1", timeout_s=30.0, idle_timeout_s=20.0)
BEFORE_THE_ANSWER = "models.example: no answer within {} s"
WITHIN_IT = "models.example: nothing received for {} s"


class _Clock(selectors.SelectSelector):
    """A clock that passes at once wherever a loop would wait."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.now_s += 0.0 if ready else timeout or 0.0
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now_s


def after_s(work: Coroutine[Any, Any, object]) -> tuple[float, str]:
    """Run ``work`` until the time-out, and return its time and message."""
    loop = _Loop()
    try:
        with pytest.raises(TimedOut) as raised:
            loop.run_until_complete(work)
        return round(loop.time(), 6), raised.value.message
    finally:
        loop.close()


async def stay_silent_after(idle: IdleTimeout) -> None:
    async with idle.bounded():
        await asyncio.sleep(10_000)


def test_an_answer_may_take_the_whole_time_to_begin():
    assert after_s(stay_silent_after(IdleTimeout(HERE))) == (30, BEFORE_THE_ANSWER.format(30))


@pytest.mark.parametrize(
    ("timeout_s", "idle_timeout_s", "limit_s"), [(30, 20, 20), (20, 20, 20), (20, 30, 20), (7, 120, 7)]
)
def test_within_an_answer_the_silence_is_bounded_by_the_shorter_of_both_limits(
    timeout_s, idle_timeout_s, limit_s
):
    idle = IdleTimeout(replace(HERE, timeout_s=float(timeout_s), idle_timeout_s=float(idle_timeout_s)))
    idle.broken()
    assert after_s(stay_silent_after(idle)) == (limit_s, WITHIN_IT.format(limit_s))


def test_all_waits_until_a_piece_of_the_answer_comes_are_one_silence():
    async def wait_in_parts(idle: IdleTimeout) -> None:
        for _ in range(10):
            async with idle.bounded():
                await asyncio.sleep(8)

    assert after_s(wait_in_parts(IdleTimeout(HERE))) == (30, BEFORE_THE_ANSWER.format(30))


def test_a_piece_of_the_answer_begins_a_new_silence():
    async def wait_for_pieces(idle: IdleTimeout) -> None:
        for _ in range(10):
            async with idle.bounded():
                await asyncio.sleep(19)
            idle.broken()
        await stay_silent_after(idle)

    assert after_s(wait_for_pieces(IdleTimeout(HERE))) == (210, WITHIN_IT.format(20))


def test_the_time_a_reader_takes_is_no_silence_of_the_server():
    async def read_slowly(idle: IdleTimeout) -> None:
        async with idle.bounded():
            await asyncio.sleep(10)
        await asyncio.sleep(1000)
        await stay_silent_after(idle)

    assert after_s(read_slowly(IdleTimeout(HERE))) == (1030, BEFORE_THE_ANSWER.format(30))


@pytest.mark.parametrize(("idle_timeout_s", "limit_s"), [(20, 5), (5, 5), (2, 2)])
def test_after_the_end_of_the_answer_whatever_comes_only_a_little_more_is_waited_for(idle_timeout_s, limit_s):
    async def go_on(idle: IdleTimeout) -> None:
        idle.broken()
        idle.answer_is_complete()
        for _ in range(10):
            async with idle.bounded():
                await asyncio.sleep(1)
            idle.broken()
            idle.answer_is_complete()

    ended_s, wording = after_s(go_on(IdleTimeout(replace(HERE, idle_timeout_s=float(idle_timeout_s)))))
    assert (ended_s, wording) == (limit_s, WITHIN_IT.format(limit_s))


@pytest.mark.parametrize(
    ("start", "content_type", "are"),
    [
        (b"data: {}", "application/json", True),
        (b"da", "application/json", True),
        (b"event: error", "", True),
        (b": ping", "text/plain", True),
        (b"id: 7", "", True),
        (b"retry: 9", "", True),
        (b"Busy", "text/event-stream; charset=utf-8", True),
        (b"Busy", "text/plain", False),
        (b"{", "text/event-stream", False),
        (b"[", "text/event-stream", False),
        (b"<html>", "text/event-stream", False),
        (b"", "text/event-stream", False),
        (b"\xef\xbb\xbf\r\n data: {}", "", True),
    ],
)
def test_how_a_body_begins_says_whether_it_is_a_stream_of_events(start, content_type, are):
    assert are_events(start, content_type) is are


async def chunks_of(*chunks: bytes) -> AsyncGenerator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_blanks_before_a_body_are_passed_over():
    async with aclosing(chunks_of(b"\r\n ", b"\xef\xbb\xbf", b"\t{", b"}")) as chunks:
        assert await beginning(chunks) == b"{"
        assert await whole(chunks, IdleTimeout(HERE), HERE) == b"}"


class Source:
    """Yields chunks, waits where the script says, and records its progress."""

    def __init__(self, *steps: bytes | asyncio.Event | Exception) -> None:
        self.given = 0
        self.is_closed = False
        self._steps = steps

    async def chunks(self):
        try:
            for step in self._steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    self.given += 1
                    yield step
        finally:
            self.is_closed = True


async def rest(reading: ReadAhead) -> list[bytes]:
    pieces = []
    while (piece := await reading.next()) is not None:
        pieces.append(piece)
    return pieces


async def test_what_is_there_at_once_comes_in_one_piece_and_what_follows_a_wait_in_another():
    wait = asyncio.Event()
    source = Source(b"a", b"", b"b", wait, b"c", b"d")
    async with ReadAhead(source.chunks(), clock=lambda: 0.0) as reading:
        assert await reading.next() == b"ab"
        wait.set()
        assert await reading.next() == b"cd"
        assert await reading.next() is None


async def test_nothing_comes_of_nothing():
    async with ReadAhead(Source(b"", b"").chunks()) as reading:
        assert await reading.next() is None


async def test_it_reads_while_its_reader_does_something_else():
    wait = asyncio.Event()
    async with ReadAhead(Source(b"a", wait, b"b").chunks()) as reading:
        assert await reading.next() == b"a"
        wait.set()
        await asyncio.sleep(0.01)
        assert await rest(reading) == [b"b"]


async def test_a_reader_that_takes_its_time_keeps_the_source_waiting():
    piece = bytes(48 * 1024)
    source = Source(*[piece] * 9)
    async with ReadAhead(source.chunks()) as reading:
        await asyncio.sleep(0.01)
        assert source.given == 2
        assert await reading.next() == piece * 2
        await asyncio.sleep(0.01)
        assert source.given == 4
        assert b"".join(await rest(reading)) == piece * 7


async def test_what_came_before_a_failure_is_reported_before_it():
    source = Source(b"a", b"b", OSError("gone"))
    async with ReadAhead(source.chunks(), clock=lambda: 0.0) as reading:
        assert await reading.next() == b"ab"
        with pytest.raises(OSError, match="gone"):
            await reading.next()


@pytest.mark.parametrize("steps", [(b"a", asyncio.Event()), (b"a", OSError("gone")), (b"a",)])
async def test_leaving_closes_the_source_and_leaves_no_task(steps):
    before = asyncio.all_tasks()
    source = Source(*steps)
    async with ReadAhead(source.chunks()) as reading:
        await reading.next()
    assert source.is_closed
    assert asyncio.all_tasks() == before


async def test_a_reader_that_is_cancelled_while_it_waits_closes_the_source():
    source = Source(asyncio.Event())

    async def read() -> None:
        async with ReadAhead(source.chunks()) as reading:
            await reading.next()

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.is_closed


async def test_after_a_wait_what_comes_within_a_moment_is_read_at_once():
    wait, later = asyncio.Event(), asyncio.Event()
    source = Source(b"a", wait, b"b", later, b"c", b"d")
    async with ReadAhead(source.chunks()) as reading:
        assert await reading.next() == b"a"
        await asyncio.sleep(0.01)
        wait.set()
        assert await reading.next() == b"b"
        later.set()
        await asyncio.sleep(0)
        assert source.given == 2
        assert await reading.next() == b"cd"


LONGEST_BYTES = 4_000_000

MARK = b"\xef\xbb\xbf"
FIELDS = (b"data", b"data:", b"data: ", b"event: x", b"event: ping", b"event:Ping ", b"id: 1", b" ", b":")
LINE_ENDS = (b"\n", b"\r", b"\r\n")
OTHER = (MARK, b"\xef", b"{}", "é北".encode(), b"\x00", b"\x85", b"\x0b")
PIECES = st.sampled_from(FIELDS + LINE_ENDS + OTHER)
STREAMS = st.lists(PIECES, max_size=20).map(b"".join)


async def pieces(*chunks: bytes):
    for chunk in chunks:
        yield chunk


async def data_of(*chunks: bytes) -> list[bytes]:
    async with aclosing(event_data(pieces(*chunks), LONGEST_BYTES)) as events:
        return [data async for batch in events for data in batch]


def as_the_standard_says(stream: bytes) -> list[bytes]:
    """Parse a whole stream line by line, with its last event even if it is cut off."""
    events, data, kind = [], [], b""
    for line in [*re.split(rb"\r\n|\r|\n", stream.removeprefix(MARK)), b""]:
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event" and b":" in line:
            kind = value.strip().lower()
        elif not line:
            if data and kind not in {b"ping", b"keep-alive"}:
                events.append(b"\n".join(data))
            data, kind = [], b""
    return events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\r", [b"a", b"b", b"c"]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
         [b"first event", b"second event", b" third event"]),
        (b"data\n\ndata\ndata\n\ndata:\n\n", [b"", b"\n", b""]),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
        (b"event: ping\nretry: 9\n\n", []),
        (b"event: ping\ndata: 2026-11-28 12:00:00\n\ndata: a\n\n", [b"a"]),
        (b"data: pong\nevent:Keep-Alive\n\nevent: x\ndata: a\n\n", [b"a"]),
        (b"event: ping\n\ndata: a\n\n", [b"a"]),
        (b"database: x\nDATA: x\n data: x\n\n", []),
        (MARK + b"data: a\n\n", [b"a"]),
        (MARK + MARK + b"data: a\n\n", []),
        (b"data: a\n\n" + MARK + b"data: b\n\n", [b"a"]),
        (b"data: cut off", [b"cut off"]),
        (b"data: a\ndata: cut off\n", [b"a\ncut off"]),
        ("data: a\u2028b\x85c\n\n".encode(), ["a\u2028b\x85c".encode()]),
    ],
)  # fmt: skip
async def test_events_are_read_as_the_standard_says(stream, events):
    assert await data_of(stream) == events
    assert as_the_standard_says(stream) == events


@given(STREAMS, st.lists(st.integers(0, 60)))
async def test_it_does_not_matter_where_a_stream_is_cut_into_chunks(stream, cuts):
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    chunks = [stream[start:stop] for start, stop in pairwise(bounds)]
    assert await data_of(*chunks) == as_the_standard_says(stream)


@given(STREAMS)
async def test_a_stream_may_come_byte_by_byte(stream):
    assert await data_of(*(stream[at : at + 1] for at in range(len(stream)))) == as_the_standard_says(stream)


@pytest.mark.parametrize("line_end", LINE_ENDS)
async def test_an_event_is_reported_as_soon_as_it_is_complete(line_end):
    received = []

    async def chunks():
        yield b"data: a" + line_end + line_end
        assert received == [b"a"]
        yield b"data: b" + line_end
        assert received == [b"a"]
        yield line_end
        assert received == [b"a", b"b"]

    async with aclosing(event_data(chunks(), LONGEST_BYTES)) as events:
        async for batch in events:
            received.extend(batch)
    assert received == [b"a", b"b"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b'data: {"a": 1}\ndata: {"b": 2}\ndata: [DONE]\n', [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]),
        (b'data: {"a": 1,\ndata: "b": {}\ndata: }\n\n', [b'{"a": 1,\n"b": {}\n}']),
        (b"data: {}\ndata: }\n\n", [b"{}", b"}"]),
        (b'error: {"a": 1}\ndata: a\n\n', [b'{"a": 1}', b"a"]),
        (b'data: a\nerror: b"\n', [b"a", b'{"error": "b\\""}']),
        (b"event: Error\ndata: a\ndata: b\n\ndata: c\n\n", [b'{"error": "a\\nb"}', b"c"]),
    ],
)
async def test_habits_of_servers_that_the_standard_does_not_know_are_understood(stream, events):
    assert await data_of(stream) == events
    assert await data_of(*(bytes([byte]) for byte in stream)) == events


async def test_of_events_without_blank_lines_each_is_reported_at_once_from_the_second_on():
    chunks = pieces(*(f'data: {{"n": {n}}}\n'.encode() for n in (1, 2, 3)))
    async with aclosing(event_data(chunks, LONGEST_BYTES)) as reads:
        received = [list(events) async for events in reads]
    assert received[:3] == [[], [b'{"n": 1}', b'{"n": 2}'], [b'{"n": 3}']]


async def test_a_long_line_is_read_whole():
    text = b"x" * 1_000_000
    assert await data_of(b"data: ", *[text] * 3, b"\n\n") == [text * 3]


async def test_a_line_without_an_end_is_given_up_while_short_ones_never_add_up():
    piece = bytes(LONGEST_BYTES // 4)
    with pytest.raises(StreamTooLong):
        await data_of(*[piece] * 5)
    assert await data_of(*[b": " + piece, b"\n"] * 5, b"data: a\n\n") == [b"a"]


async def test_leaving_closes_the_source():
    closed = []

    async def chunks():
        try:
            yield b"data: a\n\n"
            yield b"data: b\n\n"
        finally:
            closed.append(True)

    async with aclosing(event_data(chunks(), LONGEST_BYTES)) as events:
        assert list(await anext(events)) == [b"a"]
    assert closed == [True]


async def test_an_event_without_an_end_is_given_up_however_short_its_lines():
    piece = b"data: " + bytes(LONGEST_BYTES // 8) + b"\n"
    with pytest.raises(StreamTooLong):
        await data_of(*[piece] * 10)
    assert len(await data_of(*[piece + b"\n"] * 10)) == 10


DELTAS = st.builds(
    lambda kind, text: kind(text), st.sampled_from((TextDelta, ReasoningDelta)), st.text(min_size=1)
)


def test_a_few_pieces_stay_as_they_are():
    few = [TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d")]
    assert list(coalesced(few)) == few


@pytest.mark.parametrize(("pieces", "received"), [(15, 15), (16, 1)])
def test_sixteen_pieces_are_many(pieces, received):
    assert len(list(coalesced([TextDelta("a")] * pieces))) == received


def test_of_many_the_text_is_reported_as_one():
    assert list(coalesced([TextDelta("a")] * 1000)) == [TextDelta("a" * 1000)]


@given(st.lists(DELTAS, max_size=60))
def test_nothing_is_lost_or_told_in_another_order(deltas):
    def runs(received):
        return [(kind, "".join(delta.text for delta in run)) for kind, run in groupby(received, type)]

    assert runs(coalesced(deltas)) == runs(deltas)


@pytest.mark.parametrize("many", [3, 300])
def test_deltas_before_a_failure_are_reported_before_it(many):
    def failing():
        yield from [TextDelta("a")] * many
        raise ValueError("gone")

    received = []
    with pytest.raises(ValueError, match="gone"):
        received.extend(coalesced(failing()))
    assert "".join(delta.text for delta in received) == "a" * many
