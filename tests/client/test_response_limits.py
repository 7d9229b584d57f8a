"""Bodies of responses are read no further, and no longer, than they can be."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from chatcli.client.catalog import offered_models
from chatcli.client.endpoint import Endpoint
from chatcli.client.response_limits import _LONGEST_ERROR_BYTES
from chatcli.core.errors import (
    AnswerTooLarge,
    BadResponse,
    RequestRefused,
    ServerFailed,
)
from chatcli.core.events import Completion, TextDelta
from client.wire import chat_at, delta, end, entry_at, events_of, failure_of
from scripted_server import CUT, HOLD, RESET, Answer, serving

PIECE = b"x" * 65_536


async def test_an_error_without_end_is_read_no_further_than_an_error_can_be_long():
    endless = Answer([b'{"error": "'] + [PIECE] * 1000, 500, {"content-type": "application/json"})
    async with serving(endless) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with chat_at(endpoint) as model:
            _, error = await failure_of(model)
        assert isinstance(error, ServerFailed)
        await server.requests[0].hung_up()
    assert len(PIECE) * 1000 > 50 * _LONGEST_ERROR_BYTES


def packed(content: bytes, how: str = "gzip", status: int = 200, kind: str = "application/json") -> Answer:
    return Answer([content], status, {"content-type": kind, "content-encoding": how})


async def asking(answer: Answer, ask=failure_of, **bounds):
    async with serving(answer) as server:
        async with chat_at(Endpoint(server.base_url, loopback=True, **bounds)) as model:
            result = await ask(model)
        assert server.requests[0].headers["accept-encoding"] == "identity"
    return result


async def test_an_error_that_is_packed_though_nobody_asked_for_that_is_read_as_far_as_an_error_can_be_long():
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        _, error = await asking(packed(bomb, status=500))
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, ServerFailed)
    assert most_bytes < 25_000_000
    _, error = await asking(packed(gzip.compress(b'{"error": "Oops"}'), status=500))
    assert error.message.endswith(": Oops")


@pytest.mark.parametrize("how", ["br", "zstd", "gzip, gzip"])
async def test_an_error_that_is_packed_otherwise_is_reported_by_its_status(how):
    _, error = await asking(packed(b"\x1f\x8b Oops", how, status=500))
    assert error.message.endswith(": 500 Internal Server Error")


@pytest.mark.parametrize(("how", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_stream_that_is_packed_though_nobody_asked_for_that_is_read(how, pack):
    stream = pack(delta("Paris") + end())
    seen = await asking(packed(stream, how, kind="text/event-stream"), ask=events_of)
    assert seen == [TextDelta("Paris"), Completion("stop", "small-1")]


async def test_kilobytes_that_unpack_to_gigabytes_are_given_up():
    bomb = gzip.compress(b"data: " + bytes(200_000_000))
    tracemalloc.start()
    try:
        for how in ("gzip", "gzip, gzip"):
            for pack in (bomb, gzip.compress(bomb)):
                # Limited: a server that sends mostly comments is throttled, so 64 MB would take their time.
                _, error = await asking(packed(pack, how, kind="text/event-stream"), largest_answer_mb=4)
                assert isinstance(error, AnswerTooLarge | BadResponse)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 20_000_000


async def test_packing_that_breaks_is_reported():
    _, error = await asking(packed(b"data: never packed\n\n"))
    assert isinstance(error, BadResponse)
    assert "sent a body that cannot be unpacked" in error.message


@pytest.mark.parametrize(
    "charset", ["rot13", "zlib", "base64", "idna", "punycode", "utf-16", "undefined", "?"]
)
async def test_an_error_is_read_as_utf_8_whatever_charset_it_names(charset):
    named = Answer(["Zu viel für heute".encode()], 503, {"content-type": f"text/plain; charset={charset}"})
    _, error = await asking(named)
    assert error.message.endswith("503 Service Unavailable: Zu viel für heute")


async def test_a_list_of_models_without_end_is_given_up():
    endless = Answer([b"[1"] + [b"," + PIECE] * 1000, 200, {"content-type": "application/json"})
    async with serving(endless) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with entry_at(endpoint) as entry:
            with pytest.raises(BadResponse):
                await offered_models(entry, timeout_s=5)


WORDS = b'{"error": {"message": "Bad temperature"}}'


@pytest.mark.parametrize(
    "rest",
    [[HOLD], [CUT], [RESET], [b" ", 0.05] * 100],
    ids=["stalled", "cut", "reset", "dripping"],
)
@pytest.mark.parametrize(("status", "kind"), [(400, RequestRefused), (503, ServerFailed)])
async def test_an_error_whose_words_do_not_come_in_time_is_reported_by_its_status(rest, status, kind):
    answer = Answer([WORDS, 0.05, *rest], status, {"content-type": "application/json"})
    _, error = await asking(answer, timeout_s=1.0)
    assert (type(error), error.status) == (kind, status)
    assert "Bad temperature" in error.message
