"""The layer that answers from a cache: what determines an answer is its key, and a hit is replayed as a stream.

It is the outermost layer, so that a hit needs no budget, no limits and no connection, and that a whole answer is
stored, joined if it was continued. Fallbacks have this layer too: an answer of theirs is stored under their own key.
Messages count as they are before framing, which differs from one installation to the next.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.codec import (
    message_fields,
    read_message,
    read_sources,
    read_usage,
    source_fields,
    usage_fields,
)
from chatcli.core.event_log import INFO, NO_LOG
from chatcli.core.events import (
    Completion,
    Notice,
    ReasoningDelta,
    TextDelta,
    TextReclassified,
    Usage,
)
from chatcli.core.json_values import as_object, optional_number
from chatcli.core.messages import ReasoningPart, TextPart
from chatcli.storage.answer_store import StoredAnswer
from chatcli.storage.cache import key_of
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from chatcli.client.cache_access import AnswerCache, CacheVisit
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.similar_answers import SimilarAnswers
    from chatcli.core.event_log import EventLog
    from chatcli.core.events import CitedSource, ModelEvent
    from chatcli.core.messages import Message
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Parameters, Request

_FORMAT: Final = "1"
"""Part of every key: what is stored in another format is never read."""

_NOT_WHOLE: Final = frozenset(
    {
        "fallback",  # another model answered
        "media_not_shown",
        "no_finish_reason",
        "prompt_cut_by_server",
        "refusal",
        "tool_calls",
    }
)
"""Notices with an answer that is not, or not only, what was asked for."""

_CHUNK_CHARACTERS: Final = 2_000


class AnswerOrigin(NamedTuple):
    """Whose answers they are: an endpoint, the account there (only hashed into keys), and how answers are read."""

    place: str
    account: str
    api: str
    api_version: str
    separates_reasoning: bool

    @classmethod
    def of(cls, endpoint: Endpoint, *, api: str, separates_reasoning: bool) -> AnswerOrigin:
        # The embedded model has another port and key in each run.
        place, key = ("embedded", None) if endpoint.embedded else (endpoint.base_url, endpoint.key)
        account = "" if key is None else key_of("account", key)
        return cls(place, account, api, endpoint.api_version or "", separates_reasoning)

    def key(self, request: Request) -> str:
        """Return the hash of everything that determines the answer to ``request``."""
        return key_of(_FORMAT, *map(str, self), _json(_determining(request, request.messages)))

    def scope(self, request: Request, *more: str) -> str:
        """Return the hash of everything but the question itself, and of ``more``."""
        asked = request.messages[-1]
        without = (*request.messages[:-1], type(asked)(asked.role, (), asked.provider_data))
        return key_of("scope", _FORMAT, *map(str, self), _json(_determining(request, without)), *more)


class CachedAnswer(NamedTuple):
    """A stored answer; ``question`` is set only where similar questions are looked for."""

    text: str
    reasoning: str
    message: Message
    model: str | None
    usage: Usage | None
    cost_usd: float | None
    sources: tuple[CitedSource, ...]
    question: str = ""

    @property
    def content(self) -> bytes:
        fields = {
            "text": self.text,
            "reasoning": self.reasoning,
            "message": message_fields(self.message.kept.with_answer("")),  # the text is stored once
            "model": self.model,
            "usage": None if self.usage is None else usage_fields(self.usage),
            "cost_usd": self.cost_usd,
            "sources": [source_fields(source) for source in self.sources],
            "question": self.question,
        }
        # A model may send half a surrogate pair. Escaped, other languages than English would take twice the space.
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @classmethod
    def read(cls, content: bytes) -> CachedAnswer | None:
        """Return the answer in ``content``, ``None`` if this program would not have stored it like that.

        Whoever can write to a shared store can write anything.
        """
        try:
            fields = as_object(json.loads(content))
            message = read_message(fields.get("message"))
            sources = tuple(read_sources(fields.get("sources")))
        except (ValueError, TypeError, LookupError, RecursionError):
            return None
        text, reasoning, question = (fields.get(name) for name in ("text", "reasoning", "question"))
        model, cost_usd = fields.get("model"), optional_number(fields.get("cost_usd"))
        if not (isinstance(text, str) and isinstance(reasoning, str) and isinstance(question, str)):
            return None
        answer = cls(
            text,
            reasoning,
            message.with_answer(text),
            model if isinstance(model, str) else None,
            read_usage(fields.get("usage")),
            None if cost_usd is None else max(0.0, float(cost_usd)),
            sources,
            question,
        )
        return answer if answer.is_whole else None

    @property
    def is_whole(self) -> bool:
        """Whether it is an answer and nothing else: no message of others, not empty, refused or a tool call."""
        parts = self.message.parts
        is_answer = all(isinstance(part, TextPart | ReasoningPart) for part in parts)
        return self.message.role == "assistant" and is_answer and bool(self.text.strip())

    def events(self) -> Iterator[ModelEvent]:
        """Yield the answer as a model does, at a cost of nothing."""
        for chunk in _chunks(self.reasoning):
            yield ReasoningDelta(chunk)
        for chunk in _chunks(self.text):
            yield TextDelta(chunk)
        yield Completion(
            "stop",
            model=self.model,
            usage=Usage(0, 0),
            cost_usd=0.0,
            cached=True,
            message=self.message,
            sources=self.sources,
        )

    @property
    def saved(self) -> dict[str, float]:
        """What a hit saves, as counters."""
        usage = self.usage or Usage()
        return {
            "hits": 1,
            "saved_input_tokens": usage.input_tokens or 0,
            "saved_output_tokens": usage.output_tokens or 0,
            "saved_usd": self.cost_usd or 0.0,
        }


class AnswerCacheModel:
    """A ``ChatModel`` that answers from ``cache``, else asks ``inner`` and stores the answer if it is complete.

    Of equal questions at the same time, one is asked, and the others wait for its answer. ``count`` returns about the
    tokens of a text, for the statistics of an endpoint that reports none. ``similar`` looks for an answer to a similar
    question, ``None`` if nobody wants it. ``is_counted``: hits and misses are. ``record_hit`` is called for each
    hit, with the model that answered; ``log`` takes what became of each look into the cache.
    """

    def __init__(
        self,
        inner: ChatModel,
        cache: AnswerCache,
        origin: AnswerOrigin,
        *,
        count: Callable[[str], int],
        similar: SimilarAnswers | None = None,
        is_counted: bool = True,
        record_hit: Callable[[Request, str | None], object] = lambda *_: None,
        log: EventLog = NO_LOG,
    ) -> None:
        self._log = log
        self._inner = inner
        self._record_hit = record_hit
        self._count = count
        self._cache = cache
        self._origin = origin
        self._similar = similar
        self._is_counted = is_counted

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        if not _may_be_stored(request):
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    yield event
            return
        visit = self._cache.visit(self._origin.key(request))
        try:
            async with aclosing(self._answering(request, visit)) as events:
                async for event in events:
                    yield event
        finally:
            visit.leave()

    async def look_up_early(self, request: Request) -> None:
        """Look up the answer to a request that may follow, so that ``stream`` replays it at once.

        A store elsewhere is not asked, and no similar question is looked for.
        """
        await self._cache.look_up_early(self._origin.key(request))

    async def _answering(self, request: Request, visit: CacheVisit) -> AsyncGenerator[ModelEvent]:
        answer: CachedAnswer | None = None
        async with aclosing(visit.look_up()) as looking:
            async for found in looking:
                if isinstance(found, bytes):
                    answer = _fitting(CachedAnswer.read(found), request)
                else:
                    yield found
        near: _SimilarSearch | None = None
        if answer is None and self._similar is not None and not visit.is_passed_over:
            near = _SimilarSearch(self._origin, self._similar)
            async with aclosing(near.search(request, visit)) as searching:
                async for event in searching:
                    yield event
            answer = _fitting(near.accepted, request)
        if (notice := self._cache.take_notice()) is not None:
            yield notice
        if answer is not None:
            if self._is_counted:
                self._cache.count(answer.saved)
                self._record_hit(request, answer.model)
            result = "hit" if near is None else "similar"
            self._log.note(INFO, "cache", result=result, model=request.model, operation=request.operation)
            for replayed in answer.events():
                yield replayed
                await asyncio.sleep(0)  # a cancellation gets its turn
            return
        async with aclosing(self._asking(request, visit, near)) as events:
            async for event in events:
                yield event

    async def _asking(
        self, request: Request, visit: CacheVisit, near: _SimilarSearch | None
    ) -> AsyncGenerator[ModelEvent]:
        if self._is_counted and not visit.is_passed_over:
            self._cache.count({"misses": 1})
        result = "passed over" if visit.is_passed_over else "miss"
        self._log.note(INFO, "cache", result=result, model=request.model, operation=request.operation)
        received = _StorableAnswer()
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    received.see(event)
                    if not isinstance(event, Completion):
                        yield event
        except Exception:
            # As when a budget has cut the answer after all.
            if received.completion is not None:
                yield received.completion
            raise
        if (answer := received.answer("" if near is None else near.question)) is not None:
            if answer.usage is None:
                answer = answer._replace(usage=self._estimated(request, answer.text))
            where = ("", b"") if near is None else (near.scope, near.vector)
            await visit.put(StoredAnswer(visit.key, answer.content, *where))
            self._log.note(INFO, "cache", result="stored", model=request.model, operation=request.operation)
            if (notice := self._cache.take_notice()) is not None:
                yield notice
        if received.completion is not None:
            yield received.completion

    def _estimated(self, request: Request, text: str) -> Usage:
        sent = request.counted_tokens or sum(self._count(message.text) for message in request.messages)
        return Usage(sent, self._count(text), estimated=True)


def _fitting(answer: CachedAnswer | None, request: Request) -> CachedAnswer | None:
    """Return ``answer`` unless it does not fit what is wanted: a class may refuse more than its schema, and a store be written by others."""
    check = None if request.response_format is None else request.response_format.check
    is_unfit = answer is not None and check is not None and check(answer.text).problem
    return None if is_unfit else answer


class _StorableAnswer:
    """An answer as far as received."""

    def __init__(self) -> None:
        self.completion: Completion | None = None
        self._text = TextBuffer()
        self._reasoning: list[str] = []
        self._is_whole = True

    def see(self, event: ModelEvent) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case TextReclassified(text, is_reasoning):
                self._text.drop_last(len(text))
                self._reasoning += [text] if is_reasoning else []
            case ReasoningDelta(text):
                self._reasoning.append(text)
            case Completion():
                self.completion = event
            case Notice(code):
                self._is_whole = self._is_whole and code not in _NOT_WHOLE
            case _:
                pass

    def answer(self, question: str) -> CachedAnswer | None:
        """Return the answer, ``None`` if it must not be stored: cut, filtered, refused, empty, or a tool call."""
        done, text = self.completion, self._text.text
        if done is None or done.finish_reason != "stop" or not self._is_whole:
            return None
        reasoning = "".join(self._reasoning)
        message = done.message.with_answer(text)
        answer = CachedAnswer(
            text, reasoning, message, done.model, done.usage, done.cost_usd, done.sources, question
        )
        return answer if answer.is_whole else None


@dataclass
class _SimilarSearch:
    """The search for an answer to a similar question, and what is stored so that others find this one."""

    origin: AnswerOrigin
    similar: SimilarAnswers
    question: str = ""
    scope: str = ""
    vector: bytes = b""
    accepted: CachedAnswer | None = None

    async def search(self, request: Request, visit: CacheVisit) -> AsyncGenerator[ModelEvent]:
        """Yield notices; set ``accepted`` if the person takes an answer that is offered."""
        if not all(_is_own_text(message) for message in request.messages):
            return
        question = request.messages[-1].text
        self.vector, notice = await self.similar.vector_of(question)
        if notice is not None:
            yield notice
        if not self.vector:
            return
        self.question, self.scope = question, self.origin.scope(request, self.similar.model)
        rows = await visit.attempt(lambda store: store.vectors(self.scope))
        nearest = await self.similar.nearest(self.vector, rows or ())
        if nearest is None:
            return
        key, score = nearest
        content = await visit.attempt(lambda store: store.get(key))
        answer = None if content is None else CachedAnswer.read(content)
        if answer is None:
            return
        notice = await self.similar.offered(answer.question, score)
        if notice is None:
            self.accepted = answer
        else:
            yield notice


def _may_be_stored(request: Request) -> bool:
    # Who searches wants what is there now.
    is_new = bool(request.partial_answer) or request.is_continuation or bool(request.parameters.web_search)
    return request.is_cacheable and not is_new


def _is_own_text(message: Message) -> bool:
    """Return whether a message has no attachment and no text of others."""
    return not message.holds_text_of_others and all(isinstance(part, TextPart) for part in message.parts)


def _determining(request: Request, messages: Sequence[Message]) -> dict[str, Any]:
    chosen = request.response_format
    return {
        "model": request.model,
        "messages": [message_fields(message) for message in messages],
        "parameters": _parameters(request.parameters),
        "tools": [[tool.name, tool.description, tool.parameters] for tool in request.tools],
        "format": None if chosen is None else [chosen.name, chosen.schema],
        "without": sorted(request.without),
    }


def _parameters(parameters: Parameters) -> dict[str, Any]:
    # 1 and 1.0 are one temperature, and so are 0.0 and -0.0.
    numbers = {"temperature": parameters.temperature, "top_p": parameters.top_p}
    return {
        **{name: None if number is None else float(number) + 0.0 for name, number in numbers.items()},
        "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
        "reasoning": parameters.reasoning,
        # Without it, answers stored by older versions are found.
        **({} if parameters.verbosity is None else {"verbosity": parameters.verbosity}),
        "extra": dict(parameters.extra),
    }


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _chunks(text: str) -> Iterator[str]:
    return (text[start : start + _CHUNK_CHARACTERS] for start in range(0, len(text), _CHUNK_CHARACTERS))
