"""Connections that are opened before there is a request, on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import httpx2
import pytest

from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.client.openai_client import transport_to
from chatcli.client.pool import Pool
from chatcli.core.errors import ConfigurationError
from client.wire import QUESTION, asking, entry_at, events_of
from network_servers import Authority, SocksProxy, TunnelProxy, http_response, listening, stay_silent
from scripted_server import RESET, SILENCE, event_stream, json_answer, raw, serving

ANSWER = b"".join(event_stream("Paris."))


@dataclass
class Listener:
    """Answers requests on connections it keeps open, and records the connections and the bytes of each.

    It closes the connections with the numbers in ``closing`` before any request.
    """

    content: bytes = b"ok"
    unasked: bytes = b""
    closing: frozenset[int] = frozenset()
    received: list[bytearray] = field(default_factory=list)

    async def __call__(self, reader, writer):
        own = bytearray()
        self.received.append(own)
        if len(self.received) in self.closing:
            return
        while block := await reader.read(65_536):
            own += block
            if b"\r\n\r\n" in own:
                head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(self.content)}"
                writer.write(f"{head}\r\n\r\n".encode() + self.content + self.unasked)

    async def connected(self, times):
        """Return the received bytes once there were so many connections: a client may know of one earlier."""
        async with asyncio.timeout(20):
            while len(self.received) < times:  # noqa: ASYNC110 - there is nothing else to wait for
                await asyncio.sleep(0)
        return self.received


@pytest.fixture
def authority():
    return Authority()


async def get(transport, url):
    request = httpx2.Request("GET", url, extensions={"timeout": {"connect": 5, "read": 5}})
    response = await transport.handle_async_request(request)
    await response.aread()
    await response.aclose()
    return response.text


async def test_a_connection_is_opened_without_a_byte_of_a_request_which_then_takes_it():
    listener = Listener()
    async with listening(listener) as port, transport_to(at(port), {}) as transport:
        await transport.open(at(port).base_url, 5)
        assert await listener.connected(1) == [b""]
        assert await get(transport, at(port).base_url) == "ok"
        assert [bytes(each).partition(b" ")[0] for each in listener.received] == [b"GET"]


@pytest.mark.parametrize("is_opened", [True, False])
async def test_the_head_of_a_request_leaves_together_with_its_body(is_opened):
    blocks = []

    async def answering(reader, writer):
        while block := await reader.read(65_536):
            blocks.append(block)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with listening(answering) as port, transport_to(at(port), {}) as transport:
        if is_opened:
            await transport.open(at(port).base_url, 5)
        for number in range(3):
            request = httpx2.Request("POST", at(port).base_url, content=b"body %d" % number)
            response = await transport.handle_async_request(request)
            await response.aread()
            await response.aclose()
    assert [block[:5] + block[-6:] for block in blocks] == [b"POST body %d" % number for number in range(3)]


@pytest.mark.parametrize("is_opened", [True, False])
async def test_what_follows_a_response_is_not_taken_for_the_next(is_opened):
    listener = Listener(unasked=http_response("200 OK", b"another"))
    async with listening(listener) as port, transport_to(at(port), {}) as transport:
        if is_opened:
            await transport.open(at(port).base_url, 5)
        assert [await get(transport, at(port).base_url) for _ in range(3)] == ["ok"] * 3
        assert len(listener.received) == 3


async def test_an_encrypted_connection_is_opened_with_the_certificates_in_force(authority, tmp_path):
    listener, bundle = Listener(), str(authority.write_bundle(tmp_path))
    async with listening(listener, tls=authority.server_context("127.0.0.1")) as port:
        endpoint = replace(at(port, "https"), ca_bundle=bundle)
        async with transport_to(endpoint, {}) as transport:
            await transport.open(endpoint.base_url, 5)
            assert await get(transport, endpoint.base_url) == "ok"
            assert len(listener.received) == 1
        async with transport_to(at(port, "https"), {}) as transport:
            await transport.open(endpoint.base_url, 5)  # an error is left to the request
            with pytest.raises(httpx2.ConnectError):
                await get(transport, endpoint.base_url)
        assert len(listener.received) == 1


async def test_the_tunnel_of_a_proxy_is_opened(authority, tmp_path):
    listener, bundle = Listener(), str(authority.write_bundle(tmp_path))
    async with listening(listener, tls=authority.server_context("model.test")) as port:
        proxy = TunnelProxy(port)
        async with listening(proxy) as proxy_port:
            endpoint = Endpoint(
                f"https://model.test:{port}/v1",
                proxy=Proxy(f"http://127.0.0.1:{proxy_port}", "HTTPS_PROXY"),
                ca_bundle=bundle,
            )
            async with transport_to(endpoint, {}) as transport:
                await transport.open(endpoint.base_url, 5)
                assert proxy.asked == [f"CONNECT model.test:{port} HTTP/1.1"]
                assert await listener.connected(1) == [b""]
                assert await get(transport, endpoint.base_url) == "ok"
        assert len(proxy.asked) == len(listener.received) == 1


async def test_a_connection_through_a_socks_proxy_is_opened():
    pytest.importorskip("socksio")
    listener = Listener()
    async with listening(listener) as port:
        proxy = SocksProxy(port)
        async with listening(proxy) as proxy_port:
            endpoint = Endpoint(
                "http://model.test/v1", proxy=Proxy(f"socks5h://127.0.0.1:{proxy_port}", "ALL_PROXY")
            )
            async with transport_to(endpoint, {}) as transport:
                await transport.open(endpoint.base_url, 5)
                assert await listener.connected(1) == [b""]
                assert proxy.asked == ["model.test"]
                assert await get(transport, endpoint.base_url) == "ok"
        assert len(listener.received) == 1


async def test_nothing_is_opened_while_a_connection_is_idle():
    listener = Listener()
    async with listening(listener) as port, transport_to(at(port), {}) as transport:
        for _ in range(3):
            await transport.open(at(port).base_url, 5)
        await get(transport, at(port).base_url)
        await transport.open(at(port).base_url, 5)
        assert len(listener.received) == 1


async def test_what_a_server_sends_after_the_handshake_is_not_taken_for_the_end(authority, tmp_path):
    listener, bundle = Listener(), str(authority.write_bundle(tmp_path))
    async with listening(listener, tls=authority.server_context("127.0.0.1")) as port:
        endpoint = replace(at(port, "https"), ca_bundle=bundle)
        async with transport_to(endpoint, {}) as transport:
            for _ in range(5):
                await transport.open(endpoint.base_url, 5)
                await asyncio.sleep(0.02)  # until the session tickets have arrived
            assert await get(transport, endpoint.base_url) == "ok"
            assert await get(transport, endpoint.base_url) == "ok"
        assert len(listener.received) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_the_server_has_closed_is_replaced(scheme, authority, tmp_path):
    listener, bundle = Listener(closing=frozenset({1})), str(authority.write_bundle(tmp_path))
    tls = authority.server_context("127.0.0.1") if scheme == "https" else None
    async with listening(listener, tls=tls) as port:
        endpoint = replace(at(port, scheme), ca_bundle=bundle)
        async with transport_to(endpoint, {}) as transport:
            async with asyncio.timeout(20):
                while len(listener.received) < 2:  # until the end of the first has arrived
                    await transport.open(endpoint.base_url, 5)
                    await asyncio.sleep(0)
            assert await get(transport, endpoint.base_url) == "ok"
            assert len(listener.received) == 2


async def test_a_server_that_refuses_or_is_silent_costs_no_more_than_the_time_out():
    async with listening(stay_silent) as port:
        pass
    async with transport_to(at(port), {}) as transport:
        await transport.open(at(port).base_url, 5)  # nobody listens any more
    async with listening(stay_silent) as port, transport_to(at(port, "https"), {}) as transport:
        async with asyncio.timeout(20):
            await transport.open(at(port, "https").base_url, 0.05)


async def test_a_refusing_proxy_is_left_to_the_request(authority, tmp_path):
    async with listening(TunnelProxy(1, credentials="a:b")) as proxy_port:
        endpoint = Endpoint(
            "https://model.test/v1", proxy=Proxy(f"http://127.0.0.1:{proxy_port}", "HTTPS_PROXY")
        )
        async with transport_to(endpoint, {}) as transport:
            await transport.open(endpoint.base_url, 5)
            with pytest.raises(httpx2.ProxyError):
                await get(transport, endpoint.base_url)


async def test_the_wait_for_the_other_end_is_told_once_the_request_has_been_written():
    received, told = Listener(), []
    async with listening(received) as port, transport_to(at(port), {}) as transport:
        await transport.open(at(port).base_url, 5)
        transport.on_waiting = lambda: told.append(len(received.received[0]))
        await get(transport, at(port).base_url)
        assert len(told) == 1


async def test_a_pool_opens_a_connection_for_the_next_request():
    listener = Listener(ANSWER)
    async with listening(listener) as port, entry_at(at(port)) as entry:
        await entry.open_connection()
        assert await listener.connected(1) == [b""]
        assert (await events_of(asking(entry), QUESTION))[-1].finish_reason == "stop"
        assert len(listener.received) == 1
        assert entry.meter.calls == {"answer": 1}


async def test_a_pool_nobody_has_open_opens_no_connection():
    listener = Listener()
    async with listening(listener) as port:
        await Pool().entry(at(port), {}).open_connection()
        assert listener.received == []


async def test_a_request_takes_the_connection_that_is_being_opened():
    listener = Listener(ANSWER)
    async with listening(listener) as port, entry_at(at(port)) as entry:
        opening = asyncio.create_task(entry.open_connection())
        await asyncio.sleep(0)
        await events_of(asking(entry), QUESTION)
        await opening
        assert len(listener.received) == 1


async def test_a_request_that_stops_waiting_for_the_client_leaves_it_to_the_next():
    listener = Listener(ANSWER)
    async with listening(listener) as port, entry_at(at(port)) as entry:
        opening = asyncio.create_task(entry.open())
        await asyncio.sleep(0)
        opening.cancel()
        assert (await events_of(asking(entry), QUESTION))[-1].finish_reason == "stop"
        assert opening.cancelled()


async def test_an_endpoint_that_cannot_be_connected_is_reported_by_the_request_and_not_ahead():
    endpoint = Endpoint("https://model.test/v1", key="sk-\n")
    async with entry_at(endpoint) as entry:
        await entry.open_connection()
        for _ in range(2):
            with pytest.raises(ConfigurationError):
                await entry.open()


async def test_an_opened_connection_that_is_closed_just_as_it_is_used_costs_the_turn_nothing():
    seen = []

    async def hang_up_once(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        if len(seen) > 1:
            writer.write(http_response("200 OK", ANSWER, content_type="text/event-stream"))

    async with listening(hang_up_once) as port, entry_at(at(port)) as entry:
        await entry.open_connection()
        events = await events_of(asking(entry), QUESTION)
        assert events[-1].finish_reason == "stop"
        assert len(seen) == 2


async def test_the_embedded_model_is_sent_the_messages_to_read_ahead_and_others_are_sent_nothing():
    async with serving(json_answer({})) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with entry_at(endpoint) as entry:
            await entry.prefill(QUESTION)
            assert server.requests == []
        async with entry_at(replace(endpoint, embedded=True)) as entry:
            await entry.prefill(QUESTION)
            assert entry.meter.calls == {"prefill": 1}
        (request,) = server.requests
        assert (request.json["max_tokens"], request.json["cache_prompt"]) == (0, True)
        assert request.json["messages"] == [{"role": "user", "content": "What is the capital of France?"}]


@pytest.mark.parametrize(
    "answer", [json_answer({"error": {"message": "no"}}, status=400), raw(b"nothing"), raw(RESET)]
)
async def test_an_error_of_reading_ahead_is_left_to_the_turn(answer):
    async with serving(answer) as server, entry_at(Endpoint(server.base_url, embedded=True)) as entry:
        await entry.prefill(QUESTION)


async def test_reading_ahead_that_is_cancelled_closes_the_connection():
    async with serving(SILENCE) as server, entry_at(Endpoint(server.base_url, embedded=True)) as entry:
        reading = asyncio.create_task(entry.prefill(QUESTION))
        await server.asked()
        reading.cancel()
        await server.requests[0].hung_up()


def at(port, scheme="http"):
    return Endpoint(f"{scheme}://127.0.0.1:{port}/v1", loopback=True)
