"""The turn of a question that does not fit: its text is read, then it is asked as usual and stored unchanged."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from chatcli.conversation.long_input.asking import LongInputUsage, PartReader
from chatcli.conversation.long_input.readers import Work, cut_to_fit, is_begun, map_reduce, refine
from chatcli.core.errors import ChatcliError
from chatcli.core.events import Notice, TurnFailed, TurnFinished, TurnResult, TurnStarted
from chatcli.core.messages import Message
from chatcli.core.strategy_table import LONG_INPUT_STRATEGIES, RECOMMENDED_LONG_INPUT
from chatcli.storage.cache import FolderCache

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from chatcli.conversation.long_input.how import LongInput
    from chatcli.conversation.long_input.long_question import LongQuestion, Plan
    from chatcli.core.events import Event
    from chatcli.core.ports import ChatModel, Journal, Reply
    from chatcli.core.request import Parameters


class WholeQuestionJournal:
    """A ``Journal`` that stores ``question`` in place of the one sent."""

    def __init__(self, inner: Journal, question: Message, spending: LongInputUsage) -> None:
        self._inner = inner
        self._question = question
        self._spending = spending

    @property
    def name(self) -> str | None:
        return self._inner.name

    def message(self, message: Message, *, parent: str | None) -> str:  # noqa: ARG002 - it was only sent
        return self._inner.message(self._question, parent=parent)

    def begin_reply(self, *, parent: str | None) -> Reply:
        return _WholeReply(self._inner.begin_reply(parent=parent), self._spending)

    def refused(self, message_id: str, reason: str) -> None:
        self._inner.refused(message_id, reason)


class _WholeReply:
    def __init__(self, inner: Reply, spending: LongInputUsage) -> None:
        self._inner = inner
        self._spending = spending

    @property
    def id(self) -> str:
        return self._inner.id

    def extend(self, text: str) -> None:
        self._inner.extend(text)

    def begin_again(self, text: str) -> None:
        self._inner.begin_again(text)

    def finish(self, message: Message, result: TurnResult) -> None:
        self._inner.finish(message, self._spending.added_to(result))


READERS: Final = {
    "map-reduce": map_reduce,
    "refine": refine,
    "head": cut_to_fit,
    "tail": cut_to_fit,
    "middle-out": cut_to_fit,
}


@dataclass(frozen=True, slots=True)
class ReadingModel:
    """The model for the requests about parts, and its parameters."""

    model: ChatModel
    model_name: str
    parameters: Parameters


async def long_turn(
    question: LongQuestion,
    strategy: str,
    reading_model: ReadingModel,
    how: LongInput,
    *,
    session: str | None,
    send: Callable[[Message, LongInputUsage], AsyncGenerator[Event]],
    check: Callable[[], Awaitable[Sequence[Notice]]],
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Event]:
    """Yield the events of the turn: of reading the text, then of the last request, which ``send`` makes.

    ``check`` returns what the person should know about the text, or raises if it must not be sent.

    Nothing is stored before that; answers to parts are cached by hash, so that the same question resumes
    there.
    """
    began_s, work, last = clock(), None, None
    yield TurnStarted(reading_model.model_name, session)
    try:
        for notice in await check():
            yield notice
        # Millions of characters take seconds to count; keys and signals are handled meanwhile.
        work = await asyncio.to_thread(_work, question, strategy, reading_model, how)
        yield Notice("long_input", plan_notice(work.plan, question.numbers))
        if how.check_cost is not None and work.plan.parts and not is_begun(work):
            await how.check_cost(how.cost_of(work.plan.usage), "reading this text")
        async with aclosing(_read(work)) as events:
            async for event in events:
                if isinstance(event, Message):
                    last = event
                else:
                    yield event
    except ChatcliError as error:
        if work is not None and (kept := _kept_line(work, is_kept=how.kept_in is not None)):
            yield Notice("long_input_kept", kept)
        named, spent_s = reading_model.model_name, clock() - began_s
        result = TurnResult(text="", model=named, latency_s=spent_s, session=session, error=error)
        yield TurnFailed(work.reader.spending.added_to(replace(result, cost_usd=0.0)) if work else result)
    if work is not None and last is not None:
        spending = work.reader.spending
        async with aclosing(_with_all(send(last, spending), spending, clock() - began_s)) as answering:
            async for event in answering:
                yield event


def _work(question: LongQuestion, strategy: str, reading_model: ReadingModel, how: LongInput) -> Work:
    planned = question.plan(strategy)
    kept = None if how.kept_in is None else FolderCache(how.kept_in)
    reader = PartReader(
        reading_model.model,
        reading_model.model_name,
        replace(reading_model.parameters, web_search=""),
        tokens=question.tokens,
        kept=kept,
        spending=LongInputUsage(planned.requests, cost_of=how.cost_of),
        concurrency=how.concurrency,
    )
    if kept is not None:
        kept.prune()
    return Work(question.divided, question.budgets, planned, question.counter, reader)


async def _read(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield progress and, last, the question that fits."""
    if work.plan.requests > 1:
        yield work.reader.spending.progress()
    async with aclosing(READERS[work.plan.strategy](work)) as events:
        async for event in events:
            yield event


async def _with_all(
    events: AsyncGenerator[Event], spending: LongInputUsage, before_s: float
) -> AsyncGenerator[Event]:
    """Yield the events of the last request as the end of a longer turn, which has begun already."""
    async with aclosing(events):
        async for event in events:
            match event:
                case TurnStarted():
                    pass
                case TurnFinished(result):
                    yield TurnFinished(_later(spending.added_to(result), before_s))
                case TurnFailed(result):
                    yield TurnFailed(_later(spending.added_to(result), before_s))
                case _:
                    yield event


async def refused_turn(question: LongQuestion, model: str, *, session: str | None) -> AsyncGenerator[Event]:
    """Yield the events of a turn that is refused, as the question does not fit."""
    yield TurnStarted(model, session)
    yield TurnFailed(TurnResult(text="", model=model, session=session, error=question.refusal()))


def plan_notice(planned: Plan, numbers: str) -> str:
    """Return the line that announces how the long text is handled."""
    if not planned.parts:
        return f"the question is too long ({numbers}): sending {LONG_INPUT_STRATEGIES[planned.strategy]}"
    most = "at most " if planned.strategy == RECOMMENDED_LONG_INPUT else ""
    return (
        f"the question is too long ({numbers}): {planned.strategy} in {len(planned.parts):,} parts, "
        f"{most}{planned.requests:,} requests"
    )


def _kept_line(work: Work, *, is_kept: bool) -> str | None:
    done, requests = work.reader.spending.done, work.reader.spending.total
    if not done or not is_kept:
        return None
    return f"{done:,} of {requests:,} answers are kept; asking again continues from there"


def _later(result: TurnResult, before_s: float) -> TurnResult:
    """Return ``result`` with the reading time before the last request added."""
    return replace(
        result,
        latency_s=None if result.latency_s is None else result.latency_s + before_s,
        ttft_s=None if result.ttft_s is None else result.ttft_s + before_s,
    )
