"""Whole answers over direct connections: what other servers send, and what goes wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from functools import partial

import pytest

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.direct_http import DirectConnections
from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.client.metered_model import MeteredModel
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.pool import Pool
from chatcli.conversation.counting import EstimatingCounter
from chatcli.core.errors import AnswerTooLarge, BadResponse, ChatcliError, NetworkError, RateLimited, TimedOut
from chatcli.core.events import Completion, TextDelta, Usage
from client.wire import completion, end, events_of, failure_of
from client.wire import delta as chunk
from scripted_server import stop_accepting

ANSWER = json.dumps(completion("Paris", usage={"prompt_tokens": 3, "completion_tokens": 1})).encode()
EXPECTED = [TextDelta("Paris"), Completion("stop", "small-1", Usage(3, 1))]


def head(*headers, status="200 OK", version="1.1"):
    return "\r\n".join([f"HTTP/{version} {status}", *headers, "", ""]).encode()


def with_length(content, *headers, **options):
    return (
        head("content-type: application/json", f"content-length: {len(content)}", *headers, **options)
        + content
    )


def completion_of(text):
    return json.dumps(completion(text)).encode()


class Server:
    """Sends the next of ``answers`` for each request; ``None`` hangs up, a number waits."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.connections = 0
        self.asked = asyncio.Event()

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                length = int(raw.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                self.requests.append((raw.decode(), json.loads(await reader.readexactly(length))))
                self.asked.set()
                for step in self.answers[min(len(self.requests), len(self.answers)) - 1]:
                    if step is None:
                        return
                    if isinstance(step, float):
                        await asyncio.sleep(step)
                    else:
                        writer.write(step)
                        await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


class Whole:
    """Asks ``model`` for whole answers, as a batch does."""

    def __init__(self, model):
        self._ask = model.ask

    async def stream(self, request):
        events, failure = [], None
        try:
            await self._ask(request, events.append)
        except ChatcliError as error:
            failure = error
        for event in events:
            yield event
        if failure is not None:
            raise failure


@pytest.fixture(params=[Whole, lambda model: model], ids=["whole", "stream"])
def asked_directly(request):
    return partial(asking_directly, request.param)


@asynccontextmanager
async def asking_directly(asking, *answers, is_direct=True, **options):
    """Yield the model at a server that sends ``answers``, and the server."""
    server = Server(answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", key="secret", loopback=True, **options)
    try:
        async with Pool() as pool:
            entry = pool.entry(endpoint, {})
            inner = OpenAIModel(endpoint, ChatCompletions(), streamed=False, is_direct=is_direct)
            metered = MeteredModel(
                inner, entry.meter, reason="", counter=EstimatingCounter(), interval_s=None
            )
            yield asking(metered), server
    finally:
        await stop_accepting(listening)
        await listening.wait_closed()
        await asyncio.sleep(0)


CHUNKED = head("transfer-encoding: chunked", "content-type: application/json") + b"".join(
    b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in (ANSWER[:10], ANSWER[10:])
)


@pytest.mark.parametrize(
    "answer",
    [
        [with_length(ANSWER)],
        [with_length(ANSWER)[:30], 0.01, with_length(ANSWER)[30:]],
        [CHUNKED + b"0\r\n\r\n"],
        [CHUNKED + b"0\r\nTrailer: x\r\n\r\n"],
        [head("content-type: application/json") + ANSWER, None],
        [head(status="100 Continue"), with_length(ANSWER)],
        [with_length(gzip.compress(ANSWER), "content-encoding: gzip")],
        [with_length(ANSWER, version="1.0"), None],
        [with_length(ANSWER, "Connection: close"), None],
    ],
    ids=[
        "length",
        "in pieces",
        "chunked",
        "trailer",
        "until the end",
        "interim",
        "gzip",
        "http/1.0",
        "close",
    ],
)
async def test_an_answer_is_read_however_it_is_sent(asked_directly, answer):
    async with asked_directly(answer) as (model, server):
        assert await events_of(model) == EXPECTED
        assert await events_of(model) == EXPECTED
    raw, body = server.requests[0]
    assert raw.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert "Authorization: Bearer secret\r\n" in raw
    assert (body["model"], body["stream"]) == ("small", False)


async def test_a_server_that_streams_all_the_same_is_understood(asked_directly):
    stream = chunk("Pa") + chunk("ris") + end()
    answer = head("content-type: text/event-stream", f"content-length: {len(stream)}") + stream
    async with asked_directly([answer]) as (model, _):
        events = await events_of(model)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Paris"
    assert events[-1].finish_reason == "stop"


async def test_connections_are_used_again(asked_directly):
    async with asked_directly([with_length(ANSWER)]) as (model, server):
        for _ in range(5):
            await events_of(model)
        await asyncio.gather(*(events_of(model) for _ in range(10)))
        assert server.connections <= 11
        before = server.connections
        await asyncio.gather(*(events_of(model) for _ in range(10)))
    assert server.connections == before


async def test_a_connection_the_server_has_closed_costs_no_request(asked_directly):
    async with asked_directly([with_length(ANSWER)], [None], [with_length(ANSWER)]) as (model, server):
        await events_of(model)
        assert await events_of(model) == EXPECTED
    assert len(server.requests) == 3


@pytest.mark.parametrize("unasked", [with_length(completion_of("another")), b"}\r\n", head(status="408 X")])
@pytest.mark.parametrize("pause", [(), (0.02,)])
async def test_no_row_gets_what_a_server_sends_unasked(asked_directly, unasked, pause):
    extra = [with_length(ANSWER), *pause, unasked]
    async with asked_directly(extra, [with_length(completion_of("Rome"))]) as (model, server):
        assert await events_of(model) == EXPECTED
        await asyncio.sleep(0.05 if pause else 0)
        assert (await events_of(model))[0] == TextDelta("Rome")
        assert server.connections == 2


@pytest.mark.parametrize("blank", [b"1\r\n \r\n", b"2\r\n\r\n\r\n"])
async def test_blanks_without_end_are_no_answer(asked_directly, blank):
    begun = head("transfer-encoding: chunked", "content-type: application/json")
    dripping = [step for _ in range(200) for step in (blank, 0.01)]
    async with asked_directly([begun, *dripping], timeout_s=0.2) as (model, _):
        _, failure = await failure_of(model)
    assert isinstance(failure, TimedOut)
    assert "no answer within 0.2 s" in str(failure)


async def test_blanks_before_an_answer_may_take_longer_than_a_pause_in_it(asked_directly):
    begun = head("transfer-encoding: chunked", "content-type: application/json")
    blanks = [step for _ in range(10) for step in (b"1\r\n\n\r\n", 0.02)]
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER), ANSWER)
    async with asked_directly([begun, *blanks, rest], idle_timeout_s=0.1) as (model, _):
        assert await events_of(model) == EXPECTED


async def test_an_answer_that_stops_in_the_middle_has_the_limit_it_passed(asked_directly):
    cut = with_length(ANSWER)[:-5]
    async with asked_directly([cut, 2.0], idle_timeout_s=0.05) as (model, _):
        _, failure = await failure_of(model)
    assert isinstance(failure, TimedOut)
    assert "nothing received for 0.05 s" in str(failure)


async def test_an_error_that_drips_has_its_status_and_what_arrived_in_time(asked_directly):
    begun = head("content-length: 9999", "content-type: text/plain", status="429 Too Many Requests")
    dripping = [step for _ in range(200) for step in (b"slow down ", 0.01)]
    async with asked_directly([begun, *dripping], timeout_s=0.2) as (model, _):
        _, failure = await failure_of(model)
    assert isinstance(failure, RateLimited)
    assert "slow down" in str(failure)


async def test_a_refusal_has_its_status_message_and_delay(asked_directly):
    content = json.dumps({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}).encode()
    refusal = with_length(content, "retry-after: 7", "x-request-id: q1", status="429 Too Many Requests")
    async with asked_directly([refusal]) as (model, server):
        _, error = await failure_of(model)
        await failure_of(model)
    assert isinstance(error, RateLimited)
    assert (error.status, error.retry_after_s, error.request_id) == (429, 7, "q1")
    assert "slow down" in error.message
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ([None], NetworkError),
        ([b"HTTP/1.1 2"], TimedOut),
        ([b"HTTP/1.1 2", None], NetworkError),
        ([b"SSH-2.0-OpenSSH\r\n\r\n", None], NetworkError),
        ([with_length(ANSWER)[:-5], None], NetworkError),
        ([with_length(ANSWER)[:-5], 5.0], TimedOut),
        ([CHUNKED, None], NetworkError),
        ([head("transfer-encoding: chunked") + b"zz\r\n", None], NetworkError),
        ([head("content-length: -5"), None], NetworkError),
        ([with_length(b"<html>", "content-type: text/html")], BadResponse),
        ([with_length(b"not gzip", "content-encoding: gzip")], BadResponse),
        ([with_length(ANSWER, "content-encoding: br")], BadResponse),
        ([head("content-length: 2000000") + b"x", 5.0], AnswerTooLarge),
        ([with_length(gzip.compress(b" " * 1_100_000), "content-encoding: gzip")], AnswerTooLarge),
        ([head(status="500 Oops") + b"x" * 40, None], Exception),
        ([head("content-length: 50", status="503 Busy"), None], Exception),
    ],
)
async def test_what_goes_wrong_has_the_error_it_has_elsewhere(asked_directly, answer, kind):
    options = {"timeout_s": 0.2, "idle_timeout_s": 0.2, "largest_answer_mb": 1}
    async with asked_directly(answer, **options) as (model, _):
        _, error = await failure_of(model)
    assert isinstance(error, kind)


@pytest.mark.parametrize(
    "answer",
    [
        [with_length(ANSWER).replace(b"\r\n", b"\n")],
        [with_length(ANSWER, "x-a: b\r\n c")],
        [with_length(ANSWER, f"content-length: {len(ANSWER)}")],
        [with_length(ANSWER, "content-length: 5")],
        [with_length(ANSWER, "x: " + "y" * 80_000)],
        [with_length(ANSWER, version="2.0")],
        [with_length(ANSWER, "server: café").replace("é".encode(), b"\xe9")],
        [with_length(b"{}", "server: café", status="429 Slow").replace("é".encode(), b"\xe9")],
        [with_length(b"{}", "retry-after: 7", "retry-after: 9", status="429 Slow")],
        [with_length(b"not gzip", "content-encoding: gzip", status="400 No")],
        [with_length(b"packed", "content-encoding: br", status="400 No")],
        [with_length(b"", status="503 Loading the model")],
        [with_length(b"", status="408 Too late")],
        [head("transfer-encoding: gzip, chunked")],
        [head(status="101 Switching Protocols")],
        [b"\x15\x03\x01\x00\x02\x02F"],
    ],
)
async def test_an_odd_response_is_what_it_is_for_a_general_client(answer):
    outcomes = []
    for is_direct in (True, False):
        asking = Whole if is_direct else (lambda model: model)
        async with asking_directly(asking, answer, is_direct=is_direct, timeout_s=5.0) as (model, server):
            events, failure = [], None
            try:
                events = await events_of(model)
            except ChatcliError as error:
                failure = (type(error), error.message.partition(": ")[2], error.hint)
            outcomes.append((events, failure, len(server.requests)))
    assert outcomes[0] == outcomes[1]


async def test_what_is_left_of_a_question_answered_early_does_not_begin_the_next():
    released = asyncio.Event()
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        if len(connections) > 1:
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
        writer.write(with_length(ANSWER))
        await released.wait()
        writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = Endpoint(
        f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", loopback=True, timeout_s=5.0
    )
    connected = DirectConnections(endpoint, {})
    try:
        for body in (b"x" * 30_000_000, b"y"):
            answer = await connected.post("/chat/completions", body, most_bytes=1_000_000)
            assert answer.content == ANSWER
    finally:
        released.set()
        await connected.close()
        await stop_accepting(listening)
        await listening.wait_closed()
    assert len(connections) == 2


async def test_nothing_listens(asked_directly):
    async with asked_directly([None]) as (model, _):
        pass
    async with Pool() as pool:
        endpoint = Endpoint("http://127.0.0.1:1/v1", loopback=True)
        inner = OpenAIModel(endpoint, ChatCompletions(), streamed=False, is_direct=True)
        model = MeteredModel(inner, pool.entry(endpoint, {}).meter, reason="", counter=EstimatingCounter())
        _, error = await failure_of(model)
    assert (error.code, error.retryable) == ("refused", True)


@pytest.mark.parametrize("host", ["a" * 70, "a..localhost"])
async def test_a_name_that_no_host_can_have_is_one_that_cannot_be_resolved(host):
    async with Pool() as pool:
        endpoint = Endpoint(f"http://{host}/v1")
        inner = OpenAIModel(endpoint, ChatCompletions(), streamed=False, is_direct=True)
        model = MeteredModel(inner, pool.entry(endpoint, {}).meter, reason="", counter=EstimatingCounter())
        _, error = await failure_of(Whole(model))
    assert error.code == "dns"


async def test_a_connection_reset_in_the_headers_is_not_asked_twice(asked_directly):
    async with asked_directly([with_length(ANSWER)], [b"HTTP/1.1 2", None]) as (model, server):
        await events_of(model)
        _, failure = await failure_of(model)
    assert isinstance(failure, NetworkError)
    assert len(server.requests) == 2


async def test_each_request_has_its_own_time(asked_directly):
    slow, quick = [1.0, with_length(ANSWER)], [with_length(ANSWER)]
    async with asked_directly(slow, quick, quick, timeout_s=0.15) as (model, server):
        waiting = asyncio.ensure_future(failure_of(model))
        await server.asked.wait()
        for _ in range(2):
            assert await events_of(model) == EXPECTED
        _, failure = await waiting
        assert isinstance(failure, TimedOut)
        server.answers = [quick]
        assert await events_of(model) == EXPECTED


async def test_a_cancelled_request_closes_its_connection(asked_directly):
    async with asked_directly([5.0]) as (model, server):
        asking = asyncio.ensure_future(events_of(model))
        await server.asked.wait()
        asking.cancel()
        await asyncio.wait({asking})
        server.answers = [[with_length(ANSWER)]]
        assert await events_of(model) == EXPECTED
    assert server.connections == 2


def test_proxies_and_azure_are_left_to_the_sdk():
    assert Endpoint("https://api.openai.com/v1").is_direct
    assert not Endpoint("https://api.openai.com/v1", proxy=Proxy("http://p:1", "HTTPS_PROXY")).is_direct
    assert not Endpoint("https://x.openai.azure.com/openai/v1").is_direct
