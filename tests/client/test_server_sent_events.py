from __future__ import annotations

import re
from contextlib import aclosing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.server_sent_events import StreamTooLong, event_data

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
    """Interpret a whole stream line by line, with its last event even if it is cut off."""
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
async def test_an_event_is_told_as_soon_as_it_is_complete(line_end):
    told = []

    async def chunks():
        yield b"data: a" + line_end + line_end
        assert told == [b"a"]
        yield b"data: b" + line_end
        assert told == [b"a"]
        yield line_end
        assert told == [b"a", b"b"]

    async with aclosing(event_data(chunks(), LONGEST_BYTES)) as events:
        async for batch in events:
            told.extend(batch)
    assert told == [b"a", b"b"]


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


async def test_of_events_without_blank_lines_each_is_told_at_once_from_the_second_on():
    chunks = pieces(*(f'data: {{"n": {n}}}\n'.encode() for n in (1, 2, 3)))
    async with aclosing(event_data(chunks, LONGEST_BYTES)) as reads:
        told = [list(events) async for events in reads]
    assert told[:3] == [[], [b'{"n": 1}', b'{"n": 2}'], [b'{"n": 3}']]


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
