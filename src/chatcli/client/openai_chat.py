"""Chat completions over the openai package: the innermost client.

The package builds the URL, the headers and the body and sorts out status errors. The stream itself is read here:
building the package's object for each chunk costs about six times what reading the JSON does.
"""

from __future__ import annotations

import json
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from chatcli.client.completion_chunks import CompletionReader
from chatcli.client.openai_errors import stream_error, translated
from chatcli.client.server_sent_events import StreamTooLong, event_data
from chatcli.core.errors import BadResponse, EndpointError, IncompleteAnswer
from chatcli.core.events import TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from openai import AsyncAPIResponse, AsyncOpenAI

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import ModelEvent
    from chatcli.core.messages import Message
    from chatcli.core.request import Request

_END_OF_STREAM = b"[DONE]"
_CONTINUE_HINT = "ask for the rest, or try again"


class OpenAIChat:
    """A ``ChatModel`` over ``POST /chat/completions``, streamed or in one piece."""

    def __init__(self, client: AsyncOpenAI, endpoint: Endpoint, *, streamed: bool = True) -> None:
        self._client = client
        self._endpoint = endpoint
        self._streamed = streamed

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        """Yield the answer; see ``core.ports.ChatModel``. Once text has come, every failure is an ``IncompleteAnswer``."""
        body = request_body(request, streamed=self._streamed, is_openai=self._endpoint.is_openai)
        reader = CompletionReader()
        shown = _Shown()
        with _incomplete_once_shown(shown), translated(self._endpoint):
            # The package's own create() wants typed arguments; its overloads say nothing that body does not.
            create: Any = self._client.chat.completions.with_streaming_response.create
            async with create(**body) as response:
                read = self._events if _is_event_stream(response) else self._whole
                async with aclosing(read(response, reader)) as events:
                    async for event in events:
                        shown.note(event)
                        yield event
            for event in reader.rest():
                yield event
            completion = reader.completion()
            if completion is None:
                raise self._ended_early(shown)
        yield completion

    async def _events(
        self, response: AsyncAPIResponse[Any], reader: CompletionReader
    ) -> AsyncGenerator[ModelEvent]:
        # Not the package's own iter_bytes(), which leaves the closing of this generator to the garbage collector.
        chunks = response.http_response.aiter_bytes()
        try:
            async with aclosing(event_data(chunks)) as events:
                async for data in events:
                    if data == _END_OF_STREAM:
                        return
                    for event in reader.read_chunk(self._json_object(data)):
                        yield event
        except StreamTooLong as error:
            raise BadResponse(
                f"{self._endpoint.host}: sent {error}", hint="this is not a completion stream"
            ) from error

    async def _whole(
        self, response: AsyncAPIResponse[Any], reader: CompletionReader
    ) -> AsyncGenerator[ModelEvent]:
        content = await response.read()
        is_json = "json" in response.headers.get("content-type", "") or content.lstrip().startswith(b"{")
        if not content or not is_json:
            raise self._not_an_answer(response, content)
        for event in reader.read_completion(self._json_object(content)):
            yield event

    def _json_object(self, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadResponse(
                f"{self._endpoint.host}: sent something that is not JSON",
                hint="try again; is this an OpenAI-compatible API?",
            ) from error
        if not isinstance(value, dict):
            raise BadResponse(f"{self._endpoint.host}: sent JSON that is not a completion", hint="try again")
        if value.get("error"):
            raise stream_error(self._endpoint, value)
        return value

    def _not_an_answer(self, response: AsyncAPIResponse[Any], content: bytes) -> BadResponse:
        kind = response.headers.get("content-type", "").partition(";")[0]
        what = (kind or "an unknown kind of response") if content else "an empty response"
        return BadResponse(
            f"{self._endpoint.host}: answered with {what} instead of a completion",
            hint="check base_url: it often ends in /v1",
            status=response.status_code,
            # A proxy in trouble sends nothing with status 200; a wrong address keeps sending its page.
            retryable=not content,
        )

    def _ended_early(self, shown: _Shown) -> EndpointError:
        if shown.characters:
            return IncompleteAnswer(
                f"{self._endpoint.host}: the answer was cut after {shown.characters:,} characters",
                hint=_CONTINUE_HINT,
            )
        return BadResponse(
            f"{self._endpoint.host}: the stream ended without an answer", hint="try again", retryable=True
        )


def request_body(request: Request, *, streamed: bool, is_openai: bool) -> dict[str, Any]:
    """Return the arguments of ``chat.completions.create`` for ``request``.

    OpenAI wants ``max_completion_tokens``; every other server knows the older ``max_tokens``.
    """
    parameters = request.parameters
    named = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_completion_tokens" if is_openai else "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
        "reasoning_effort": parameters.reasoning,
    }
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [wire_message(message) for message in request.messages],
        **{name: value for name, value in named.items() if value is not None},
        "stream": streamed,
    }
    if streamed:
        body["stream_options"] = {"include_usage": True}
    if parameters.extra:
        body["extra_body"] = dict(parameters.extra)
    return body


def wire_message(message: Message) -> dict[str, Any]:
    """Return ``message`` as the API wants it, with what its provider wants echoed back."""
    # A lone surrogate has no UTF-8: by way of UTF-16 it becomes the replacement character, and a pair its character.
    text = message.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return {"role": message.role, "content": text, **(message.provider_data or {})}


def _is_event_stream(response: AsyncAPIResponse[Any]) -> bool:
    return bool(response.headers.get("content-type", "").startswith("text/event-stream"))


class _Shown:
    """How much of the answer the person may have seen."""

    characters = 0

    def note(self, event: ModelEvent) -> None:
        if isinstance(event, TextDelta):
            self.characters += len(event.text)


@contextmanager
def _incomplete_once_shown(shown: _Shown) -> Iterator[None]:
    """Turn a failure in the middle of a visible answer into an ``IncompleteAnswer`` that says what broke it."""
    try:
        yield
    except EndpointError as error:
        if not shown.characters or isinstance(error, IncompleteAnswer):
            raise
        raise IncompleteAnswer(
            f"{error.message}; the answer was cut after {shown.characters:,} characters",
            hint=_CONTINUE_HINT,
            status=error.status,
            request_id=error.request_id,
        ) from error
