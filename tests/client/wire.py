"""Chunks and answers of OpenAI-compatible servers, and requests to them."""

from __future__ import annotations

import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.metered_model import MeteredModel
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.pool import Pool
from chatcli.conversation.counting import EstimatingCounter
from chatcli.core.errors import ChatcliError
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from chatcli.client.dialect import Dialect
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import Facts
    from chatcli.client.pool import PoolEntry
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel

QUESTION = Request("small", (question("What is the capital of France?"),))
DONE = b"data: [DONE]\n\n"


def asked(**parameters: Any) -> Request:
    return Request("small", (question("Hi"),), Parameters(**parameters))


def event(value: object) -> bytes:
    """Return ``value`` as one server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(content: object = None, *, finish_reason: str | None = None, **fields: object) -> bytes:
    """Return one chunk of a streamed answer; ``fields`` go beside its ``content``."""
    choice = {"index": 0, "delta": {"content": content, **fields}, "finish_reason": finish_reason}
    return event({"object": "chat.completion.chunk", "model": "small-1", "choices": [choice]})


def end(finish_reason: str = "stop") -> bytes:
    return delta(finish_reason=finish_reason) + DONE


def completion(text: str, **fields: object) -> dict[str, Any]:
    """Return a whole answer; ``fields`` go beside its ``choices``."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": "small-1", "choices": [choice], **fields}


@asynccontextmanager
async def entry_at(
    endpoint: Endpoint, environment: Mapping[str, str] | None = None
) -> AsyncIterator[PoolEntry]:
    """Return an entry of an open pool."""
    async with Pool() as pool:
        yield pool.entry(endpoint, environment or {})


def asking(
    entry: PoolEntry,
    dialect: Dialect | None = None,
    *,
    streamed: bool = True,
    endings: Facts | None = None,
    reason: str = "waiting",
    interval_s: float = 60,
) -> MeteredModel:
    """Return the model of ``entry`` without any other layer."""
    model = OpenAIModel(entry.endpoint, dialect or ChatCompletions(), streamed=streamed, endings=endings)
    return MeteredModel(model, entry.meter, reason=reason, counter=EstimatingCounter(), interval_s=interval_s)


@asynccontextmanager
async def chat_at(
    endpoint: Endpoint, environment: Mapping[str, str] | None = None, *, streamed: bool = True
) -> AsyncIterator[MeteredModel]:
    async with entry_at(endpoint, environment) as entry:
        yield asking(entry, streamed=streamed)


async def events_of(model: ChatModel, request: Request = QUESTION) -> list[ModelEvent]:
    async with aclosing(model.stream(request)) as events:
        return [event async for event in events]


async def failure_of(model: ChatModel, request: Request = QUESTION) -> tuple[list[ModelEvent], ChatcliError]:
    """Return the events before the failure, and the failure."""
    seen = []
    try:
        async with aclosing(model.stream(request)) as events:
            async for model_event in events:
                seen.append(model_event)  # noqa: PERF401 - what came before the failure is wanted
    except ChatcliError as error:
        return seen, error
    raise AssertionError(f"it did not fail but told {seen}")


class Charges:
    """The ``EmbeddingCharge`` of an account without limits; it keeps the texts and what was reported for them."""

    def __init__(self):
        self.texts = []
        self.reported = []

    @asynccontextmanager
    async def __call__(self, texts):
        self.texts.append(list(texts))
        yield self.reported.append
