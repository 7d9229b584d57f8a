"""The layers around the client of an endpoint, and their order: one table.

Every attempt counts against the limits, every part of an answer against the budget, and every fallback gets
all of its own attempts.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.client.call_recording import RecordedModel, Recording
from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.continuation import ContinuationModel
from chatcli.client.endpoint_facts import UnsupportedParametersModel, UsageCalibrationModel
from chatcli.client.metered_model import MeteredModel
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.prompt_caching import CONVERSATION, ONE_REQUEST, PromptCachingModel
from chatcli.client.reasoning_separation import ReasoningSeparatingModel
from chatcli.client.responses import Responses
from chatcli.client.retry import FallbackModel, RetryingModel
from chatcli.core.call_records import ANSWER
from chatcli.core.event_log import NO_LOG
from chatcli.core.whole_answers import asker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from typing import TypeAlias

    from chatcli.client.cache_access import Caching
    from chatcli.client.dialect import Dialect
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import EndpointFacts
    from chatcli.client.pool import PoolEntry
    from chatcli.client.rate_limit import OwnLimits
    from chatcli.client.retry import Fallback
    from chatcli.core.call_records import OpenRecorder
    from chatcli.core.event_log import EventLog
    from chatcli.core.events import ModelEvent, Notice
    from chatcli.core.ports import ChatModel, MessageScreen, TokenCounter
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit
    from chatcli.text.frames import Frames

    Wrap: TypeAlias = Callable[[ChatModel], ChatModel]


_REPORT_EVERY_S: Final = 1.0


class ModelOptions(NamedTuple):
    """Options of a model.

    ``api`` names the dialect. ``facts`` are known about the endpoint; the layers add to them. ``counter``
    counts requests approximately. ``budget`` wraps a model in the budget layer. ``auto_continue`` is how
    often a cut answer is continued, ``None`` if another pipeline does it. ``frames`` are put around text of others.
    ``screen`` checks that text, ``None`` if nobody wants it. ``is_unwatched``: nobody watches the answers arrive, as in a
    batch, so that ``Waiting`` is not reported, and whole answers take the cheapest connection. ``caching`` has answers
    from before, ``None`` for none. ``abilities`` returns those of a model of the endpoint;
    ``None`` if no answer is to fit a schema. ``marks_prompts``: requests say what the provider is to cache, where it wants
    to be told. ``open_recorder`` returns what takes the records of calls, under the name of ``profile``. ``operation`` is what its
    answers are for.
    """

    api: str
    streamed: bool
    facts: EndpointFacts
    counter: TokenCounter
    sleep: Callable[[float], Awaitable[None]]
    own_limits: OwnLimits
    retries: int
    retry_budget_s: float
    separates_reasoning: bool
    frames: Frames
    budget: Wrap | None = None
    fallbacks: Sequence[Fallback] = ()
    auto_continue: int | None = None
    screen: MessageScreen | None = None
    is_unwatched: bool = False
    caching: Caching | None = None
    abilities: Callable[[str], frozenset[str] | None] | None = None
    marks_prompts: bool = False
    open_recorder: OpenRecorder = lambda: None
    profile: str = ""
    log: EventLog = NO_LOG
    operation: str = ANSWER


class OthersTextModel:
    """A ``ChatModel`` that sends ``inner`` text of documents and tools between delimiters, after ``screen`` has checked it."""

    def __init__(self, inner: ChatModel, frames: Frames, screen: MessageScreen | None) -> None:
        self._inner = inner
        self._frames = frames
        self._screen = screen

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        if _holds_text_of_others(request):
            for notice in await self._checked(request):
                yield notice
            request = self._framed(request)
        async with aclosing(self._inner.stream(request)) as events:
            async for event in events:
                yield event

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        if _holds_text_of_others(request):
            for notice in await self._checked(request):
                emit(notice)
            request = self._framed(request)
        await asker(self._inner)(request, emit)

    async def _checked(self, request: Request) -> Sequence[Notice]:
        return () if self._screen is None else await self._screen.check(request.messages)

    def _framed(self, request: Request) -> Request:
        return replace(request, messages=self._frames.messages(request.messages))


def _holds_text_of_others(request: Request) -> bool:
    return any(message.holds_text_of_others or message.imported for message in request.messages)


class Layer(NamedTuple):
    """A row of the table: ``build`` wraps a model if ``applies``; otherwise the layer does not exist."""

    name: str
    applies: Callable[[ModelOptions], bool]
    build: Callable[[ChatModel, Endpoint, ModelOptions], ChatModel]


def _recording(endpoint: Endpoint, options: ModelOptions) -> Recording:
    return Recording(endpoint, options.open_recorder, options.profile, log=options.log)


def _cached(inner: ChatModel, endpoint: Endpoint, options: ModelOptions) -> ChatModel:
    # Imported on first use: most runs have no cache.
    from chatcli.client.answer_cache import AnswerCacheModel, AnswerOrigin  # noqa: PLC0415

    origin = AnswerOrigin.of(endpoint, api=options.api, separates_reasoning=options.separates_reasoning)
    if options.caching is None:
        return inner
    cache, similar, is_ahead = options.caching
    return AnswerCacheModel(
        inner,
        cache,
        origin,
        count=options.counter.count,
        similar=similar,
        is_counted=not is_ahead,
        record_hit=_recording(endpoint, options).hit,
        log=options.log,
    )


def _structured(inner: ChatModel, endpoint: Endpoint, options: ModelOptions) -> ChatModel:
    # Imported on first use: most runs name no schema.
    from chatcli.client.structured_output import StructuredOutputModel  # noqa: PLC0415

    return StructuredOutputModel(
        inner,
        endpoint,
        api=options.api,
        abilities=options.abilities or (lambda _: None),
        shows_partial=not options.is_unwatched,
    )


LAYERS: Final = (
    # From the outside in. Answers from the cache; outside of everything, as a hit costs nothing and asks nobody.
    Layer("answer cache", lambda options: options.caching is not None, _cached),
    # Has answers fit their schema; outside of what makes an answer whole.
    Layer("structured output", lambda options: options.abilities is not None, _structured),
    # Continues cut answers.
    Layer(
        "continuation",
        lambda options: options.auto_continue is not None,
        lambda inner, endpoint, options: ContinuationModel.at(
            endpoint, inner, times=options.auto_continue or 0
        ),
    ),
    # Asks another model when one fails.
    Layer(
        "fallback",
        lambda options: bool(options.fallbacks),
        lambda inner, _, options: FallbackModel(inner, options.fallbacks),
    ),
    # Measures each call with all its attempts; inside of fallbacks, as each has a pipeline of its own.
    Layer(
        "call recording",
        lambda _: True,
        lambda inner, endpoint, options: RecordedModel(
            inner, _recording(endpoint, options), options.operation
        ),
    ),
    # Scans and frames text of others; inside of fallbacks, as each has a pipeline of its own.
    Layer(
        "text of others",
        lambda _: True,
        lambda inner, _, options: OthersTextModel(inner, options.frames, options.screen),
    ),
    # Separates reasoning that a server sends in the text.
    Layer(
        "reasoning separation",
        lambda options: options.separates_reasoning,
        lambda inner, _, options: ReasoningSeparatingModel(inner, options.facts.reasoning_styles),
    ),
    # Retries until the first visible delta.
    Layer(
        "retry",
        lambda options: options.retries > 0,
        lambda inner, _, options: RetryingModel(
            inner, retries=options.retries, budget_s=options.retry_budget_s, sleep=options.sleep
        ),
    ),
    # Marks what the provider is to cache; outside of the budget, as writing a cache costs more.
    Layer(
        "prompt caching",
        lambda options: options.marks_prompts,
        lambda inner, endpoint, options: PromptCachingModel(
            inner,
            endpoint,
            api=options.api,
            what=ONE_REQUEST if options.is_unwatched else CONVERSATION,
        ),
    ),
    # Books costs, caps answers, and stops before a budget is exceeded.
    Layer(
        "budget",
        lambda options: options.budget is not None,
        lambda inner, _, options: options.budget(inner) if options.budget else inner,
    ),
    # Compares the endpoint's token counts with chatcli's.
    Layer(
        "usage calibration",
        lambda _: True,
        lambda inner, endpoint, options: UsageCalibrationModel(
            inner, endpoint, options.facts.counts, options.facts.windows
        ),
    ),
    # Omits request fields that the endpoint refuses, the cap of an answer included.
    Layer(
        "unsupported parameters",
        lambda _: True,
        lambda inner, _, options: UnsupportedParametersModel(inner, options.facts.refused),
    ),
)


def build_model(entry: PoolEntry, options: ModelOptions) -> ChatModel:
    """Return the model of ``entry``: the meter, which enforces the rate limits, inside all layers that apply."""
    endpoint, dialect = entry.endpoint, dialect_for(options.api)
    entry.encode = partial(dialect.encode_messages, endpoint=endpoint)
    model: ChatModel = MeteredModel(
        OpenAIModel(
            endpoint,
            dialect,
            streamed=options.streamed,
            endings=options.facts.endings,
            is_direct=options.is_unwatched and endpoint.is_direct,
        ),
        entry.meter,
        reason=f"waiting for {endpoint.name}",
        counter=options.counter,
        own=options.own_limits,
        interval_s=None if options.is_unwatched else _REPORT_EVERY_S,
    )
    for layer in reversed(LAYERS):
        if layer.applies(options):
            model = layer.build(model, endpoint, options)
    return model


def dialect_for(api: str) -> Dialect:
    return Responses() if api == "responses" else ChatCompletions()
