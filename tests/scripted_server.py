"""A small real HTTP server on loopback with scripted answers.

Each request is given the next answer, the last one again to all that follow, or what ``choose`` returns for it. In a
coroutine::

    async with serving(Answer(event_stream("Pa", "ris"))) as server:
        ...  # ask server.base_url
    assert server.requests[0].json["stream"]

and for a program under test, beside which nothing here is asynchronous, the same in a thread of its own::

    with serving_in_thread(Answer([*text_events("Paris"), HOLD])) as server:
        ...
        server.requests[0].closed.result(timeout=20)  # the client hung up

A script may hold bytes (sent at once, as one piece), numbers (seconds to wait), an ``asyncio.Event`` (waited for), a
function (asked until it is true), ``HOLD`` (send nothing more until the client hangs up), ``CUT`` (hang up here, in the
middle of the body) and ``RESET`` (break the connection here). The answer ``SILENCE`` is none at all: not even a status comes. ``raw`` makes an answer of
whatever bytes are given, HTTP or not.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.client import responses
from typing import TYPE_CHECKING, Any, TypeAlias

from in_a_thread import in_a_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
    from contextlib import AbstractContextManager


class Step(Enum):
    HOLD = "send nothing more until the client hangs up"
    CUT = "hang up in the middle of the body"
    RESET = "break the connection"


HOLD, CUT, RESET = Step.HOLD, Step.CUT, Step.RESET

Script: TypeAlias = "Sequence[bytes | float | asyncio.Event | Callable[[], bool] | Step]"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the script of the body, and headers; without a content type it is an event stream."""

    script: Script = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_raw: bool = False


def raw(*script: bytes | float | asyncio.Event | Callable[[], bool] | Step) -> Answer:
    return Answer(script, is_raw=True)


SILENCE = Answer(status=0)


def json_answer(value: object, *, status: int = 200, **headers: str) -> Answer:
    content = json.dumps(value).encode()
    return Answer([content], status, {"content-type": "application/json", **headers})


def text_events(*texts: str, model: str = "small") -> list[bytes]:
    """Return the chunks of a streamed chat completion, without its end."""
    return [_chunk(model, {"content": text}, None) for text in texts]


def reasoning_events(*texts: str, model: str = "small") -> list[bytes]:
    """Return the chunks of a model's reasoning before its answer."""
    return [_chunk(model, {"reasoning_content": text}, None) for text in texts]


def event_stream(*texts: str, model: str = "small", finish_reason: str = "stop") -> list[bytes]:
    """Return a whole streamed chat completion, one chunk per text."""
    return [*text_events(*texts, model=model), _chunk(model, {}, finish_reason), b"data: [DONE]\n\n"]


def _chunk(model: str, delta: Mapping[str, str], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"object": "chat.completion.chunk", "model": model, "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """A received request. ``headers`` have lower-case names.

    ``closed`` is done once the client has hung up; its result is whether the answer was complete. It can be
    awaited from any thread; in a coroutine use ``hung_up``.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    closed: Future[bool] = field(default_factory=Future)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def hung_up(self, *, within_s: float = 20.0) -> None:
        """Return when the client has closed the connection; raise ``TimeoutError`` if it does not."""
        async with asyncio.timeout(within_s):
            await asyncio.shield(asyncio.wrap_future(self.closed))


class ScriptedServer:
    """The server that ``serving`` yields. ``requests`` are in order of arrival, ``tasks`` are serving them."""

    def __init__(self, answers: Sequence[Answer], choose: Choose | None = None) -> None:
        self.requests: list[ServedRequest] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self._asked = asyncio.Event()
        self._answers = list(answers)
        self._choose = choose or self._next

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def asked(self, *, within_s: float = 20.0) -> None:
        """Return when the first request has arrived. Not for a server in a thread of its own."""
        async with asyncio.timeout(within_s):
            await self._asked.wait()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not at the end of ``_serve``: a task that is cancelled before it begins never gets there.
        self._begin(self._serve(reader, writer)).add_done_callback(lambda _: writer.transport.abort())

    async def stop(self) -> None:
        """Close all open connections."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _next(self, _: ServedRequest) -> Answer:
        return self._answers[min(len(self.requests), len(self._answers) - 1)]

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which carries one request."""
        try:
            request = await _read_request(reader)
            answer = self._choose(request)
            self.requests.append(request)
            self._asked.set()
            await self._exchange(request, answer, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass

    async def _exchange(
        self,
        request: ServedRequest,
        answer: Answer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        # A client sends nothing after its request, so the end of its stream is its hanging up.
        gone = self._begin(_end_of(reader))
        sending = self._begin(_send(answer, writer))
        await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        complete = sending.done()
        if complete and sending.exception():
            request.closed.set_result(True)
            _reset(writer)
            return
        if complete:
            with suppress(OSError):
                writer.write_eof()
            await gone
        sending.cancel()
        request.closed.set_result(complete)


async def _end_of(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        await reader.read()


async def _send(answer: Answer, writer: asyncio.StreamWriter) -> None:
    headers = {
        "content-type": "text/event-stream",
        **answer.headers,
        "transfer-encoding": "chunked",
        "connection": "close",
    }
    if answer is SILENCE:
        await asyncio.Event().wait()
    if answer.is_raw:
        await _play(answer.script, writer, lambda chunk: chunk)
        return
    head = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*head, "", ""]).encode())
    if await _play(answer.script, writer, lambda chunk: b"%x\r\n%b\r\n" % (len(chunk), chunk)):
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _play(script: Script, writer: asyncio.StreamWriter, framed: Callable[[bytes], bytes]) -> bool:
    """Play the script; return whether it ended."""
    for step in script:
        match step:
            case bytes():
                writer.write(framed(step))
                await writer.drain()
            case asyncio.Event():
                await step.wait()
            case Step.HOLD:
                await asyncio.Event().wait()
            case Step.CUT:
                return False
            case Step.RESET:
                raise ConnectionAbortedError
            case int() | float():
                await asyncio.sleep(step)
            case _:
                while not step():  # noqa: ASYNC110 - it asks about another process
                    await asyncio.sleep(0.01)
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    # Closed without lingering, a connection ends in RST and not in FIN.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _read_request(reader: asyncio.StreamReader) -> ServedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return ServedRequest(method, path, headers, body)


Choose: TypeAlias = "Callable[[ServedRequest], Answer]"


@asynccontextmanager
async def serving(*answers: Answer, choose: Choose | None = None) -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer(answers, choose)
    server = await asyncio.start_server(scripted.connected, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        await stop_accepting(server)
        await scripted.stop()
        await server.wait_closed()


async def stop_accepting(server: asyncio.Server) -> None:
    """Close ``server``, and leave no half-made transport behind.

    A server that is closed while it accepts a connection refuses the transport it has just made, and nobody closes that
    one. So nothing more is accepted first, and what was is let through.
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets:
        with suppress(NotImplementedError):  # Windows, where a server accepts in another way
            loop.remove_reader(listener.fileno())
    for _ in range(2):
        await asyncio.sleep(0)
    server.close()


def serving_in_thread(
    *answers: Answer, choose: Choose | None = None
) -> AbstractContextManager[ScriptedServer]:
    return in_a_thread(serving(*answers, choose=choose))
