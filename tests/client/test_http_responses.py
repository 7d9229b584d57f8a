"""Responses are read the same however a network cuts them."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.http_responses import BodyTooLong, ResponseParser

MOST = 1_000_000
PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
NAMES = st.text("abcdef-", min_size=1, max_size=8).map(lambda name: f"x-{name}")
HEADERS = st.dictionaries(NAMES, st.text("abc :;=\\t", max_size=12).map(str.strip), max_size=4)


def framed(pieces, headers, framing, status, *, newline="\r\n"):
    """Return the bytes of a response and its body."""
    body, content = b"".join(pieces), b"".join(pieces)
    lines = [
        f"HTTP/1.1 {status} Some words",
        *(f"{name.title()}: {value}" for name, value in headers.items()),
    ]
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        chunks = [b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
        content = b"".join(chunks) + b"0\r\nTrailer: x\r\n\r\n"
    return newline.join([*lines, "", ""]).encode() + content, body


def read(pieces, *, ends=False, most=MOST):
    parser = ResponseParser(most)
    for piece in pieces:
        parser.feed(piece)
    if ends:
        parser.end()
    return parser


def cut(content, places):
    at = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[begin:end] for begin, end in pairwise(at)]


@given(
    pieces=PIECES,
    headers=HEADERS,
    framing=st.sampled_from(["length", "chunked", "end"]),
    status=st.sampled_from([200, 429, 500]),
    before=st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]),
    unasked=st.sampled_from([b"", b"HTTP/1.1 408 Too late\r\n\r\n"]),
    newline=st.sampled_from(["\r\n", "\n"]),
    places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12),
)
def test_a_response_is_the_same_however_it_is_cut(
    *, pieces, headers, framing, status, before, unasked, newline, places
):
    content, body = framed(pieces, headers, framing, status, newline=newline)
    unasked = b"" if framing == "end" else unasked
    parser = ResponseParser(MOST)
    rest = b""
    for part in cut(before + content + unasked, places):
        if parser.is_over:
            rest += part
        else:
            parser.feed(part)
    assert parser.end()
    assert (parser.status_code, parser.body, parser.rest + rest) == (status, body, unasked)
    assert headers.items() <= parser.headers.items()
    assert parser.is_reusable is (framing != "end")
    assert bool(parser.words) is bool(parser.body.strip())


@given(st.sampled_from(["length", "chunked"]), st.integers(min_value=0), st.data())
def test_a_response_that_breaks_off_is_not_whole(framing, at, data):
    content, _ = framed([b"abc", b"def"], {}, framing, 200)
    parser = read(cut(content[: at % len(content)], data.draw(st.lists(st.integers(0, 200), max_size=4))))
    assert not parser.end()
    assert parser.has_begun is bool(at % len(content))


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0, max_value=300), max_size=4))
def test_no_bytes_make_the_parser_fail_otherwise_than_it_says(content, places):
    for beginning in (
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        with suppress(httpx2.RemoteProtocolError, BodyTooLong):
            read(cut(beginning + content, places), ends=True, most=100)


@pytest.mark.parametrize(
    "content",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\x00\x12\x04",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 9_000 + b"\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 30,
    ],
)
def test_what_is_no_response_is_refused(content):
    with pytest.raises(httpx2.RemoteProtocolError):
        read([content])


@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
def test_a_body_has_a_limit_and_that_of_an_error_another(framing):
    content, body = framed([b"x" * 600, b"y" * 600], {}, framing, 200)
    with pytest.raises(BodyTooLong):
        read([content], most=1_000)
    content, body = framed([b"x" * 600, b"y" * 600], {}, framing, 500)
    assert read([content], most=1_000).body == body


def test_many_small_chunks_take_no_longer_than_they_are_many():
    chunks = b"1\r\nx\r\n" * 100_000
    parser = read([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"])
    assert parser.is_over
    assert parser.body == b"x" * 100_000


def test_a_repeated_header_counts_as_one_with_all_its_values():
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\nContent-Length: 2\r\nconnection: x\r\n\r\n"
    parser = read([head + b"ab"])
    assert (parser.body, parser.headers["connection"]) == (b"ab", "close, x")
    assert not parser.is_reusable


def test_a_folded_header_is_one_line():
    parser = read([b"HTTP/1.1 200 OK\r\nx-a: b\r\n\t c\r\ncontent-length: 0\r\n\r\n"])
    assert (parser.is_over, parser.headers["x-a"]) == (True, "b c")


def test_nothing_follows_on_a_connection_whose_response_has_a_length_as_well_as_chunks():
    parser = read(
        [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"]
    )
    assert (parser.body, parser.is_over, parser.is_reusable) == (b"ab", True, False)


def test_chunks_as_short_as_a_server_can_make_them_take_little_more_than_their_body():
    parser = read([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"])
    chunks = b"2\r\nxy\r\n" * 100
    tracemalloc.start()
    try:
        for _ in range(500):
            parser.feed(chunks)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.body == b"xy" * 50_000
    assert peak_bytes < 500_000
