"""A question that does not fit: what can be done about it, and doing it."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from chatcli.conversation.long_input.asking import PartReader, Spending
from chatcli.conversation.long_input.budgets import budgets_for, required_tokens
from chatcli.conversation.long_input.cutting import cut_to_fit
from chatcli.conversation.long_input.dividing import divide
from chatcli.conversation.long_input.map_reduce import map_reduce
from chatcli.conversation.long_input.planning import Plan, plan
from chatcli.conversation.long_input.refine import refine
from chatcli.conversation.long_input.work import Work
from chatcli.core.errors import ChatcliError, InputTooLong
from chatcli.core.events import Notice, TurnFailed, TurnFinished, TurnResult, TurnStarted
from chatcli.core.long_ways import RECOMMENDED, WAYS, WAYS_BY_NAME
from chatcli.core.messages import Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.how import LongInput
    from chatcli.core.events import Event
    from chatcli.core.ports import ChatModel, TokenCounter
    from chatcli.core.request import Parameters

READERS: Final = {
    "map-reduce": map_reduce,
    "refine": refine,
    "head": cut_to_fit,
    "tail": cut_to_fit,
    "middle-out": cut_to_fit,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which model is asked, and how."""

    model: ChatModel
    model_name: str
    parameters: Parameters


class LongQuestion:
    """A question that does not fit ``window`` beside what must be sent of ``history``."""

    def __init__(
        self,
        question: Message,
        *,
        history: History,
        window: Window,
        tokens: MessageTokens,
        counter: TokenCounter,
        answer_so_far: str = "",
    ) -> None:
        self.divided = divide(question)
        self.tokens = tokens
        self._window = window
        self._counter = counter
        self._required_tokens = required_tokens(history, tokens)
        self._needed_tokens = self._required_tokens + tokens(question)
        self._question_tokens = tokens(question)
        self._plans: dict[str, Plan] = {}
        self._budgets = budgets_for(
            self.divided,
            window,
            tokens,
            required_tokens=self._required_tokens,
            answer_so_far_tokens=tokens.estimate_text(answer_so_far) if answer_so_far else 0,
        )

    @property
    def numbers(self) -> str:
        return f"{self._needed_tokens:,} tokens, {self._window.budget_tokens:,} allowed"

    def refusal(self) -> InputTooLong:
        """Return the error that says what does not fit, and what can be done."""
        message = (
            f"the question does not fit: {self._needed_tokens:,} tokens with the system prompt and pinned messages "
            f"({self._question_tokens:,} of them the question), {self._window.budget_tokens:,} allowed"
        )
        shorter = "shorten it, lower --max-tokens, or name a model with a larger context window (-m, context_window)"
        budgets = self._budgets
        if budgets is None:
            return InputTooLong(message, hint=shorter)
        parts = -(-self._question_tokens // budgets.part_tokens)
        return InputTooLong(
            message,
            hint=f"--long map-reduce or refine read all of it, in about {parts:,} parts; --long head, tail or "
            f"middle-out send {budgets.final_tokens:,} tokens of it; or {shorter}",
        )

    def plans(self) -> list[Plan]:
        """Return what each way takes. Raise ``InputTooLong`` where there is room for none."""
        return [self.plan(way.name) for way in WAYS]

    def plan(self, way: str) -> Plan:
        """Return what ``way`` takes: seconds of work for millions of characters."""
        if self._budgets is None or way not in WAYS_BY_NAME:
            raise self.refusal()
        if way not in self._plans:
            self._plans[way] = plan(
                way,
                self.divided,
                self._budgets,
                self._counter,
                window=self._window,
                text_tokens=self._text_tokens,
            )
        return self._plans[way]

    @cached_property
    def _text_tokens(self) -> int:
        return self._counter.count(self.divided.text.text)

    def work(self, way: str, asked: Asked, how: LongInput) -> Work:
        planned = self.plan(way)
        budgets = self._budgets
        if budgets is None:
            raise self.refusal()
        spending = Spending(planned.requests, cost_of=how.cost_of)
        reader = PartReader(
            asked.model,
            asked.model_name,
            asked.parameters,
            tokens=self.tokens,
            kept=how.kept,
            spending=spending,
            concurrency=how.concurrency,
        )
        how.kept.prune(now_s=time.time())
        return Work(self.divided, budgets, planned, self._counter, reader)


async def long_turn(
    question: LongQuestion,
    way: str,
    asked: Asked,
    how: LongInput,
    *,
    session: str | None,
    send: Callable[[Message, Spending], AsyncGenerator[Event]],
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Event]:
    """Yield the turn's events: of reading the text, and then of the last request, which ``send`` asks.

    Nothing is stored before that; the answers to parts are kept by hash, so that the same question goes on from there.
    """
    began_s, work, last = clock(), None, None
    yield TurnStarted(asked.model_name, session)
    try:
        # Millions of characters take seconds to count; keys and signals are heard meanwhile.
        work = await asyncio.to_thread(question.work, way, asked, how)
        yield Notice("long_input", told(work.plan, question.numbers))
        async with aclosing(_read(work)) as events:
            async for event in events:
                if isinstance(event, Message):
                    last = event
                else:
                    yield event
    except ChatcliError as error:
        if work is not None and (kept := _kept_line(work, is_kept=how.kept.is_on)):
            yield Notice("long_input_kept", kept)
        result = TurnResult(text="", model=asked.model_name, session=session, error=error)
        yield TurnFailed(work.reader.spending.added_to(result) if work else result)
    if work is not None and last is not None:
        spending = work.reader.spending
        async with aclosing(_with_all(send(last, spending), spending, clock() - began_s)) as answering:
            async for event in answering:
                yield event


async def _read(work: Work) -> AsyncGenerator[Event | Message]:
    """Yield progress and, last, the question that fits."""
    if work.plan.requests > 1:
        yield work.reader.spending.progress()
    async with aclosing(READERS[work.plan.way](work)) as events:
        async for event in events:
            yield event


async def _with_all(
    events: AsyncGenerator[Event], spending: Spending, before_s: float
) -> AsyncGenerator[Event]:
    """Yield the last request's events as the end of a longer turn, which has begun already."""
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
    """Yield the events of a turn that is not sent, as the question does not fit."""
    yield TurnStarted(model, session)
    yield TurnFailed(TurnResult(text="", model=model, session=session, error=question.refusal()))


def told(planned: Plan, numbers: str) -> str:
    """Return in one line what is done with a text that does not fit."""
    if not planned.parts:
        return f"the question does not fit ({numbers}): only {WAYS_BY_NAME[planned.way].summary} is sent"
    most = "at most " if planned.way == RECOMMENDED else ""
    return (
        f"the question does not fit ({numbers}): {planned.way} in {len(planned.parts):,} parts, "
        f"{most}{planned.requests:,} requests"
    )


def _kept_line(work: Work, *, is_kept: bool) -> str | None:
    done, requests = work.reader.spending.done, work.reader.spending.total
    if not done or not is_kept:
        return None
    return f"{done:,} of {requests:,} answers are kept: the same question goes on from there"


def _later(result: TurnResult, before_s: float) -> TurnResult:
    """Return ``result`` with the time that reading took before the last request."""
    return replace(
        result,
        latency_s=None if result.latency_s is None else result.latency_s + before_s,
        ttft_s=None if result.ttft_s is None else result.ttft_s + before_s,
    )
