"""The server of metrics: what it answers, and what it does not let clients do."""

import asyncio
import os
import time
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatcli.core.errors import ExitCode, LocalIOError
from chatcli.telemetry.metrics_server import serving_metrics
from chatcli.telemetry.prometheus import GAUGE, MetricFamily, Sample

GET = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n"


def metrics():
    return [MetricFamily("chatcli_up", GAUGE, "It runs.", [Sample((), 1)])]


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        await closed(writer)


async def closed(writer):
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def answer(port, request):
    """Return all that the server sends for the bytes of ``request``, nothing if it breaks off."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        with suppress(ConnectionError):
            return await reader.read()
    return b""


async def status(port, request):
    return int((await answer(port, request)).split(b" ")[1])


async def test_prometheus_gets_its_text_format():
    async with serving_metrics(0, metrics) as port:
        head, _, body = (await answer(port, GET)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n")
    (family,) = text_string_to_metric_families(body.decode())
    assert (family.name, family.samples[0].value) == ("chatcli_up", 1)


async def test_every_request_is_answered_with_the_figures_of_its_moment():
    count = 0

    def counted():
        nonlocal count
        count += 1
        return [MetricFamily("chatcli_count", GAUGE, "Counts.", [Sample((), count)])]

    async with serving_metrics(0, counted) as port:
        bodies = [(await answer(port, GET)).splitlines()[-1] for _ in range(3)]
    assert bodies == [b"chatcli_count 1", b"chatcli_count 2", b"chatcli_count 3"]


async def test_head_has_the_length_and_no_body():
    async with serving_metrics(0, metrics) as port:
        whole, head = await answer(port, GET), await answer(port, GET.replace(b"GET", b"HEAD"))
    assert whole.startswith(head)
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET http://example.com/ HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics SMTP\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 403),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost:9\r\n\r\n", 200),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", 200),
    ],
)
async def test_nothing_but_reading_the_metrics_is_answered(request_, expected):
    async with serving_metrics(0, metrics) as port:
        assert await status(port, request_) == expected


async def test_nothing_of_a_request_comes_back():
    async with serving_metrics(0, metrics) as port:
        sent = b"GET /<script>mark</script> HTTP/1.1\r\nHost: localhost\r\nX-Mark: mark\r\n\r\n"
        assert b"mark" not in await answer(port, sent)


async def written_for_ever(writer):
    while True:
        writer.write(b"X: y\r\n" * 1_000)
        await writer.drain()


async def test_a_request_that_does_not_end_is_not_read_for_ever():
    async with serving_metrics(0, metrics) as port, connected(port) as (_, writer):
        with pytest.raises(ConnectionError):
            await written_for_ever(writer)


async def test_a_client_that_says_nothing_is_left():
    async with serving_metrics(0, metrics, patience_s=0.05) as port, connected(port) as (reader, _):
        assert await reader.read() == b""


async def test_silent_clients_take_no_more_than_their_places():
    async with serving_metrics(0, metrics, patience_s=60) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        assert await answer(port, GET) == b""
        for _, writer in silent:
            await closed(writer)
        assert b"chatcli_up 1" in [await answer(port, GET) for _ in range(20)][-1]


async def test_the_end_does_not_wait_for_clients():
    began_s = time.monotonic()
    async with serving_metrics(0, metrics, patience_s=600) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metr")
        await writer.drain()
    # The connection is closed, or was never taken.
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(1)
    await closed(writer)
    assert time.monotonic() - began_s < 300


async def test_a_port_in_use_is_said_with_what_to_do():
    async with serving_metrics(0, metrics) as port:
        with pytest.raises(LocalIOError, match=f"cannot serve metrics on port {port}: ") as raised:
            async with serving_metrics(port, metrics):
                pass
    if os.name == "posix":
        assert raised.value.message.endswith(": address already in use")
    assert raised.value.exit_code == ExitCode.LOCAL_IO
    assert "--metrics-port 0" in raised.value.hint


async def test_the_port_is_free_again_afterwards():
    async with serving_metrics(0, metrics) as port:
        pass
    async with serving_metrics(port, metrics) as again:
        assert again == port
