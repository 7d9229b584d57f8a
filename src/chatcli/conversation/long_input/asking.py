"""Concurrent requests about the parts of a text, with progress."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import BadResponse, ContextOverflow, IncompleteAnswer
from chatcli.core.events import Completion, LongProgress, Notice, Retrying, TextDelta, TextReclassified, Usage
from chatcli.core.request import Request
from chatcli.storage.cache import key_of
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.long_input.how import CostOf
    from chatcli.core.events import Event, TurnResult
    from chatcli.core.messages import Message
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Parameters
    from chatcli.storage.cache import Cache

_CUT: Final = frozenset({"length", "content_filter"})


@dataclass(frozen=True, slots=True)
class Ask:
    """A request about a part: ``material`` without its place in the whole.

    Equal instructions, question and material have equal answers, wherever the part is. ``smaller`` returns
    the requests to make instead if the endpoint counts more tokens than chatcli and refuses this one; none if
    it cannot be divided.
    """

    number: int
    messages: tuple[Message, ...]
    material: tuple[str, ...]
    smaller: Callable[[], Sequence[Ask]] = tuple


@dataclass(frozen=True, slots=True)
class Answered:
    ask: Ask
    text: str


class LongInputUsage:
    """The usage so far, and the progress. ``cost_of`` returns ``None`` if the price is unknown."""

    def __init__(self, total: int, *, cost_of: CostOf, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd: float | None = 0.0
        self.estimated = False
        self._cost_of = cost_of
        self._clock = clock
        self._began_s = clock()
        self._answered = 0

    def note(self, usage: Usage, reported_cost_usd: float | None) -> None:
        """Add the usage of an answer."""
        self._answered += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.estimated |= usage.estimated
        cost_usd = self._cost_of(usage) if reported_cost_usd is None else reported_cost_usd
        self.cost_usd = None if cost_usd is None or self.cost_usd is None else self.cost_usd + cost_usd

    def added_to(self, result: TurnResult) -> TurnResult:
        """Return the result of the last request with the usage before it."""
        if not self._answered:
            return result
        usage = replace(
            result.usage,
            input_tokens=(result.usage.input_tokens or 0) + self.input_tokens,
            output_tokens=(result.usage.output_tokens or 0) + self.output_tokens,
            estimated=result.usage.estimated or self.estimated,
        )
        before_usd, last_usd = self.cost_usd, result.cost_usd
        cost_usd = None if before_usd is None or last_usd is None else before_usd + last_usd
        return replace(result, usage=usage, cost_usd=cost_usd, earlier_tokens=self.output_tokens)

    def at_least(self, more: int) -> None:
        """Set a lower bound for the remaining answers."""
        self.total = max(self.total, self.done + more)

    def progress(self) -> LongProgress:
        left_s = None
        if self._answered:
            left_s = (self._clock() - self._began_s) / self._answered * max(0, self.total - self.done)
        cost_usd = self.cost_usd if self._answered else None
        return LongProgress(
            self.done, self.total, self.input_tokens + self.output_tokens, cost_usd=cost_usd, left_s=left_s
        )


class PartReader:
    """Asks ``model`` about parts, at most ``concurrency`` at a time, and caches the answers."""

    def __init__(
        self,
        model: ChatModel,
        model_name: str,
        parameters: Parameters,
        *,
        tokens: MessageTokens,
        kept: Cache[object] | None,
        spending: LongInputUsage,
        concurrency: int,
    ) -> None:
        self._model = model
        self._model_name = model_name
        self._parameters = parameters
        self._tokens = tokens
        self._kept = kept
        self.spending = spending
        self._concurrency = concurrency
        self._emitted_codes: set[str] = set()

    async def ask_all(self, asks: Iterable[Ask]) -> AsyncGenerator[Event | Answered]:
        """Yield answers as they arrive, with progress between them.

        The first error is raised and stops all other requests, as does closing the generator.
        """
        queue: asyncio.Queue[Event | Answered | asyncio.Task[None]] = asyncio.Queue()
        waiting = iter(asks)

        async def work() -> None:
            # One iterator for all workers: each takes the next request.
            for ask in waiting:
                await self._answer(ask, queue.put_nowait)

        workers = {asyncio.ensure_future(work()) for _ in range(self._concurrency)}
        for worker in workers:
            worker.add_done_callback(queue.put_nowait)
        at_work = set(workers)
        try:
            while at_work:
                event = await queue.get()
                if isinstance(event, asyncio.Task):
                    at_work.discard(event)
                    event.result()
                else:
                    yield event
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _answer(self, ask: Ask, emit: Callable[[Event | Answered], None]) -> None:
        text = await self._cached_or_asked(ask, emit)
        self.spending.done += 1
        emit(Answered(ask, text))
        emit(self.spending.progress())

    def has_kept(self, ask: Ask) -> bool:
        """Return whether the answer is cached."""
        return isinstance(self._cached(self._key(ask)), str)

    def _key(self, ask: Ask) -> str:
        return key_of(self._model_name, repr(self._parameters), *ask.material)

    def _cached(self, key: str) -> object:
        return self._kept.get(key, None) if self._kept is not None else None

    async def _cached_or_asked(self, ask: Ask, emit: Callable[[Event | Answered], None]) -> str:
        key = self._key(ask)
        kept = self._cached(key)
        if isinstance(kept, str):
            return kept
        try:
            text = await self._ask(ask, emit)
        except ContextOverflow as error:
            smaller = ask.smaller()
            if not smaller:
                raise
            self._emit_once(Notice("context_overflow", f"{error.clause}; retrying with smaller parts"), emit)
            text = "\n\n".join([await self._cached_or_asked(each, emit) for each in smaller])
        if self._kept is not None:
            self._kept.put(key, text)
        return text

    async def _ask(self, ask: Ask, emit: Callable[[Event | Answered], None]) -> str:
        gathered, done = TextBuffer(), None
        request = Request(self._model_name, ask.messages, self._parameters, operation="part")
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        gathered.append(text)
                    case TextReclassified(text):
                        gathered.drop_last(len(text))
                    case Retrying():
                        emit(event)
                    case Notice():
                        self._emit_once(event, emit)
                    case Completion():
                        done = event
                        # Noted before anything can follow it: the budget may have cut the answer.
                        self.spending.note(done.usage or self._estimated(ask, gathered.text), done.cost_usd)
                    case _:
                        pass  # waiting and reasoning are reported as progress
        answer = gathered.text
        if done is not None and done.message.refusal is not None:
            raise _refused(ask, done.message.refusal)
        if not answer.strip():
            raise _empty(ask)
        if done is not None and done.finish_reason in _CUT:
            cut = Notice(
                "part_cut", "the answer to one part was cut off by the endpoint and may be incomplete"
            )
            self._emit_once(cut, emit)
        return answer

    def _emit_once(self, notice: Notice, emit: Callable[[Event | Answered], None]) -> None:
        if notice.code not in self._emitted_codes:
            self._emitted_codes.add(notice.code)
            emit(notice)

    def _estimated(self, ask: Ask, answer: str) -> Usage:
        sent = sum(map(self._tokens, ask.messages))
        return Usage(sent, self._tokens.estimate_text(answer), estimated=True)


def _refused(ask: Ask, refusal: str) -> IncompleteAnswer:
    return IncompleteAnswer(
        f"the model refused to answer about part {ask.number}: {refusal}",
        hint="rephrase the question, or try another model (-m)",
        code="refused",
    )


def _empty(ask: Ask) -> BadResponse:
    return BadResponse(
        f"the answer to part {ask.number} is empty",
        hint="try again, or raise --max-tokens if the model reasons first",
    )
