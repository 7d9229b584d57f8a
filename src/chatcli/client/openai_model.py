"""A model behind the openai package: the innermost client.

The package builds URL, headers and body and classifies status errors. The answer itself is parsed here:
building the package's object for each chunk costs about six times as much as parsing the JSON.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai
from jiter import from_json

from chatcli.client.alike_events import AlikeEvents
from chatcli.client.answer_bytes import (
    BLANK,
    IdleTimeout,
    StreamTooLong,
    are_events,
    beginning,
    coalesced,
    drained,
    event_data,
    rejoined,
    too_large,
    watched,
    whole,
)
from chatcli.client.network_faults import timed_out
from chatcli.client.openai_errors import (
    FOREIGN_ERRORS,
    UNWRITABLE,
    as_chatcli_error,
    content_type,
    not_an_answer,
    request_id_of,
    stream_error,
    unsendable,
)
from chatcli.client.received_answer import CONTINUE_HINT, ReceivedResponse, ShownAnswer
from chatcli.client.wire_messages import whole_reply
from chatcli.core.errors import AnswerTooLarge, BadResponse, EndpointError, IncompleteAnswer
from chatcli.core.event_log import DEBUG, INFO, current_call
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from contextvars import Token

    from chatcli.client.dialect import AnswerReader, Dialect
    from chatcli.client.direct_http import DirectResponse
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import Facts
    from chatcli.client.openai_errors import ResponseHead
    from chatcli.client.pool import Call
    from chatcli.core.events import ModelEvent
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit


_END_OF_STREAM = b"[DONE]"
_SIGNS_OF_LIFE = {b"", b"ping", b"pong", b"heartbeat", b"keepalive", b"keep-alive"}
_ANY_MODEL = ""
_LONGEST_NAME = 200
"""Of a model, or of the end of an answer, as a server says it: it goes to the screen, the log and statistics."""
_STALE = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError, httpx2.CloseError)


class OpenAIModel:
    """Answers requests over one of OpenAI's APIs, streamed or whole.

    An endpoint that ends its streams without a finish reason is reported once, and remembered in ``endings``. With
    ``is_direct``, whole answers are asked for over direct connections.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        *,
        streamed: bool = True,
        endings: Facts | None = None,
        is_direct: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._dialect = dialect
        self._streamed = streamed
        self._is_direct = is_direct
        self._endings = endings
        self._has_answered = False
        self._has_reported_endings = False

    async def answer(
        self, request: Request, call: Call, stored: DirectResponse | None = None
    ) -> AsyncGenerator[ModelEvent]:
        """Yield the answer, as ``core.ports.ChatModel`` does; ``call`` has been admitted.

        A ``stored`` response, which came another way, is read in place of one that is asked for. Once text was received, every failure is an
        ``IncompleteAnswer``.
        """
        received = await self._receive(request, call) if stored is None else self._received_whole(stored)
        # Not before the request has left.
        reader, shown = self._dialect.reader(request), ShownAnswer(self._endpoint.largest_answer_bytes)
        try:
            async with aclosing(self._read_received(received, reader)) as events:
                async for event in events:
                    yield shown.taken(event)
                    if shown.is_full:
                        raise too_large(self._endpoint)
        except EndpointError as error:
            self._check_complete(error, reader, shown)
        for event in self._end(request, reader, shown):
            yield event

    def is_whole(self, request: Request) -> bool:
        """Return whether ``ask`` can ask for the answer to ``request``: over direct connections, and not streamed."""
        return self._is_direct and not self._is_streamed(request)

    async def ask(self, request: Request, call: Call, emit: Emit) -> None:
        """Emit the events of ``answer``, of which nothing is wanted before its end."""
        reader, shown = self._dialect.reader(request), ShownAnswer(self._endpoint.largest_answer_bytes)
        try:
            response = await self._respond(request, call)
            if are_events(response.content, content_type(response)):
                received = self._received_whole(response)
                async with aclosing(self._read_received(received, reader)) as events:
                    async for event in events:
                        self._show(event, shown, emit)
            else:
                for event in self._read_object(response, response.content, reader):
                    self._show(event, shown, emit)
        except EndpointError as error:
            self._check_complete(error, reader, shown)
        for event in self._end(request, reader, shown):
            emit(event)

    def _show(self, event: ModelEvent, shown: ShownAnswer, emit: Emit) -> None:
        emit(shown.taken(event))
        if shown.is_full:
            raise too_large(self._endpoint)

    def _check_complete(self, error: EndpointError, reader: AnswerReader, shown: ShownAnswer) -> None:
        """Raise ``error``, in the words of a broken-off answer if there is text, unless the answer is complete."""
        # A failure after the end of a completely received answer is harmless.
        if not reader.is_complete or isinstance(error, AnswerTooLarge):
            if not shown.characters or isinstance(error, IncompleteAnswer):
                raise error
            raise shown.broken_off(error) from error

    def _end(self, request: Request, reader: AnswerReader, shown: ShownAnswer) -> Iterator[ModelEvent]:
        for event in reader.rest():
            yield shown.taken(event)
        completion = reader.completion()
        if completion is None:
            raise self._ended_early(shown)
        reply = whole_reply(
            completion.message,
            shown.answer.text,
            shown.reasoning.text,
            request=request,
            endpoint=self._endpoint,
        )
        of = completion  # ``replace`` would cost more than all of the parsing
        model = of.model and of.model[:_LONGEST_NAME]
        call_id, request_id = ("", None) if (trace := request.trace) is None else (trace.id, trace.request_id)
        yield Completion(
            *(of.finish_reason[:_LONGEST_NAME], model, of.usage, of.cost_usd, of.cached, reply, of.sources),
            call_id=call_id,
            request_id=request_id,
            requested_model=request.model,
        )

    def _is_streamed(self, request: Request) -> bool:
        return self._streamed and "stream" not in request.without

    def _body(self, request: Request) -> dict[str, Any]:
        return self._dialect.body(request, streamed=self._is_streamed(request), endpoint=self._endpoint)

    async def _receive(self, request: Request, call: Call) -> ReceivedResponse:
        """Send ``request`` and return its response once the body begins to arrive."""
        if self.is_whole(request):
            return self._received_whole(await self._respond(request, call))
        idle = IdleTimeout(self._endpoint)
        try:
            async with AsyncExitStack() as stack:
                async with idle.bounded():
                    response = await self._open_response(request, stack, call)
                # Not the package's own iter_bytes(), which leaves closing to the garbage collector; no
                # compression is left, see ``bound``.
                chunks = watched(response.aiter_raw(), idle)
                await stack.enter_async_context(aclosing(chunks))
                start = await beginning(chunks)
                return ReceivedResponse(response, start, rejoined(start, chunks), idle, stack.pop_all())
        except FOREIGN_ERRORS as error:
            raise as_chatcli_error(self._endpoint, error) from error

    def _received_whole(self, response: DirectResponse) -> ReceivedResponse:
        content = response.content
        return ReceivedResponse(response, content, _in_one_piece(content), IdleTimeout(self._endpoint))

    async def _read_received(
        self, received: ReceivedResponse, reader: AnswerReader
    ) -> AsyncGenerator[ModelEvent]:
        read = self._events if are_events(received.start, received.content_type) else self._whole
        try:
            async with received.closing, aclosing(read(received, reader)) as events:
                async for event in events:
                    yield event
        except FOREIGN_ERRORS as error:
            raise as_chatcli_error(self._endpoint, error) from error

    async def _respond(self, request: Request, call: Call) -> DirectResponse:
        """Return the whole response to ``request`` over a direct connection."""
        from chatcli.client.http_responses import BodyTooLong  # noqa: PLC0415 - only batches need it

        endpoint = self._endpoint
        connections = await call.connections()
        try:
            content = _encoded(self._body(request))
        except UNWRITABLE as error:
            raise unsendable(endpoint, error) from error
        _note_sent(request, len(content), streamed=False)
        outer = _name_call(request)
        try:
            response = await connections.post(
                self._dialect.path, content, most_bytes=endpoint.largest_answer_bytes
            )
        except openai.APIStatusError as error:
            self._note_headers(request, error.response)
            call.learn(error.response.headers)
            raise as_chatcli_error(endpoint, error) from error
        except FOREIGN_ERRORS as error:
            raise as_chatcli_error(endpoint, error) from error
        except TimeoutError as error:
            raise timed_out(endpoint, error) from error
        except BodyTooLong as error:
            raise too_large(endpoint) from error
        finally:
            current_call.reset(outer)
        self._note_headers(request, response)
        self._note_received(request, response, len(response.content))
        call.learn(response.headers)
        return response

    async def _open_response(self, request: Request, stack: AsyncExitStack, call: Call) -> httpx2.Response:
        """Send ``request`` and return the response once its headers have arrived."""
        endpoint, dialect, streamed = self._endpoint, self._dialect, self._is_streamed(request)
        try:
            if endpoint.api_version is None:
                content = dialect.encoded_body(request, streamed=streamed, endpoint=endpoint)
                send = partial(call.post, dialect.path, content)
            else:
                body = dialect.body(request, streamed=streamed, endpoint=endpoint)
                content = _encoded(body)  # to be measured; the package encodes it again
                send = partial(call.post_body, dialect.path, body)
        except UNWRITABLE as error:
            raise unsendable(endpoint, error) from error
        _note_sent(request, len(content), streamed=streamed)
        outer = _name_call(request)
        try:
            response = await send()
        except openai.APIConnectionError as error:
            # A server may close an idle connection just as it is used.
            is_idle_one = self._has_answered or call.may_be_stale
            if not (is_idle_one and isinstance(error.__cause__, _STALE)):
                raise
            response = await send()
        except openai.APIStatusError as error:
            self._note_headers(request, error.response)
            call.learn(error.response.headers)
            raise
        finally:
            current_call.reset(outer)
        self._note_headers(request, response)
        stack.callback(lambda: self._note_received(request, response, response.num_bytes_downloaded))
        stack.push_async_callback(response.aclose)
        self._has_answered = True
        call.learn(response.headers)
        return response

    def _note_headers(self, request: Request, response: ResponseHead) -> None:
        if (trace := request.trace) is not None and trace.log.least <= INFO:
            request_id = request_id_of(response, self._endpoint.key)
            trace.note(INFO, "headers", status=response.status_code, request_id=request_id)

    def _note_received(self, request: Request, response: ResponseHead, received_bytes: int) -> None:
        if (trace := request.trace) is not None:
            trace.received_bytes += received_bytes
            trace.request_id = request_id_of(response, self._endpoint.key)

    async def _events(self, received: ReceivedResponse, reader: AnswerReader) -> AsyncGenerator[ModelEvent]:
        longest_bytes, alike = self._endpoint.largest_answer_bytes, AlikeEvents(reader)
        async with aclosing(event_data(received.chunks, longest_bytes)) as reads:
            async for events in reads:
                chunks = reader.chunks
                for event in coalesced(self._read(events, received, reader, alike)):
                    yield event
                if reader.chunks != chunks:
                    received.idle.broken()
                if max(reader.held, received.wordless_bytes) > longest_bytes:
                    raise too_large(self._endpoint)
                if reader.is_complete:
                    received.idle.answer_is_complete()
                if reader.is_over or received.is_over:
                    break
            if received.is_over and reader.end_of_stream() and self._is_first_report():
                yield Notice("no_finish_reason", _no_finish_reason(self._endpoint))
            await drained(reads)

    def _read(
        self, events: Iterator[bytes], received: ReceivedResponse, reader: AnswerReader, alike: AlikeEvents
    ) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield the contents of events up to the end of the stream."""
        try:
            for data in events:
                if (delta := alike.delta(data)) is not None:
                    yield delta
                    continue
                if data == _END_OF_STREAM:
                    received.is_over = True
                    return
                if (value := self._json_of_event(data, received.response)) is not None:
                    chunks, has_words = reader.chunks, False
                    for event in reader.read_event(value):
                        has_words = True
                        yield event
                    if reader.chunks != chunks and not has_words:
                        received.wordless_bytes += len(data)
                    alike.was_read(data, value)
                if reader.is_over:
                    return
        except StreamTooLong as error:
            if not reader.is_complete:
                raise too_large(self._endpoint) from error
            received.is_over = True

    async def _whole(self, received: ReceivedResponse, reader: AnswerReader) -> AsyncGenerator[ModelEvent]:
        content = await whole(received.chunks, received.idle, self._endpoint)
        for event in self._read_object(received.response, content, reader):
            yield event

    def _read_object(
        self, response: ResponseHead, content: bytes, reader: AnswerReader
    ) -> Iterator[ModelEvent]:
        """Yield the events of an answer that is one JSON object."""
        is_json = "json" in content_type(response) or content.lstrip(BLANK).startswith((b"{", b"["))
        if not content.strip(BLANK) or not is_json:
            raise not_an_answer(self._endpoint, response, content)
        yield from reader.read_whole(self._json_object(content, response))

    def _json_of_event(self, data: bytes, response: ResponseHead) -> dict[str, Any] | None:
        """Return the JSON of an event, ``None`` for a keep-alive."""
        try:
            value = from_json(data)
        except ValueError:
            if data.strip(BLANK).lower() in _SIGNS_OF_LIFE:
                return None
        else:
            if type(value) is dict:
                return self._checked(value, response)
            if not value:  # null, "", []
                return None
        return self._json_object(data, response)

    def _json_object(self, data: bytes, response: ResponseHead) -> dict[str, Any]:
        try:
            value = _json(data)
        except (ValueError, RecursionError) as error:
            raise BadResponse(
                f"{self._endpoint.host}: sent something that is not JSON",
                hint="try again; is this an OpenAI-compatible API?",
            ) from error
        return self._checked(value, response)

    def _checked(self, value: object, response: ResponseHead) -> dict[str, Any]:
        """Return ``value``, an object; raise the error it contains."""
        if (reported := self._dialect.error_in(value)) is not None:
            raise stream_error(self._endpoint, reported, response)
        if not isinstance(value, dict):
            raise BadResponse(f"{self._endpoint.host}: sent JSON that is not a completion", hint="try again")
        return value

    def _is_first_report(self) -> bool:
        """Return, once, that how this endpoint ends its answers was not reported yet."""
        was_reported = self._has_reported_endings
        if not was_reported and self._endings is not None:
            was_reported, _ = self._endings.recall(_ANY_MODEL)
            if not was_reported:
                self._endings.remember(_ANY_MODEL, "no finish reason")
        self._has_reported_endings = True
        return not was_reported

    def _ended_early(self, shown: ShownAnswer) -> EndpointError:
        if shown.characters:
            return IncompleteAnswer(
                f"{self._endpoint.host}: the answer was cut after {shown.characters:,} characters",
                hint=CONTINUE_HINT,
            )
        return BadResponse(
            f"{self._endpoint.host}: the stream ended without an answer", hint="try again", retryable=True
        )


def _name_call(request: Request) -> Token[str]:
    """Name the call that what goes over the wire belongs to, until the token is used."""
    return current_call.set("" if request.trace is None else request.trace.id)


def _note_sent(request: Request, sent_bytes: int, *, streamed: bool) -> None:
    if (trace := request.trace) is not None:
        trace.attempts += 1
        trace.request_id = None  # that of an attempt before
        trace.is_streamed = streamed
        trace.sent_bytes += sent_bytes
        if trace.log.least <= DEBUG:
            trace.note(DEBUG, "attempt", attempt=trace.attempts, sent_bytes=sent_bytes)


_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _encoded(body: dict[str, Any]) -> bytes:
    return _encode(body).encode()


def _json(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError:
        # Invalid or incomplete UTF-8 costs that character, not the answer.
        return json.loads(data.decode("utf-8-sig", "replace"))


async def _in_one_piece(content: bytes) -> AsyncGenerator[bytes]:
    yield content


def _no_finish_reason(endpoint: Endpoint) -> str:
    return (
        f"{endpoint.name} sends no finish reason; an answer counts as complete when its stream ends properly"
    )
