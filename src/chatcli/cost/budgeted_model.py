"""The layer that enforces budgets: it caps answers to what is left, and books what they cost."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, closing
from dataclasses import replace
from decimal import Decimal
from functools import cache, cached_property, partial
from math import ceil
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import BudgetReached, EndpointError, RateLimited, RequestRefused
from chatcli.core.events import Completion, ReasoningDelta, TextDelta, Usage
from chatcli.core.messages import Attachment
from chatcli.core.request import LIMIT_FIELDS
from chatcli.core.whole_answers import ask_by_stream, asker
from chatcli.cost.charge import RESERVED_ANSWER_TOKENS, Cashier, Order
from chatcli.cost.reported_usage import (
    Believed,
    Counted,
    ReceivedTokens,
    believed_usage,
    cost_doubt,
    dearest,
    is_credible,
    most_tokens,
)
from chatcli.cost.request_options import (
    EXPECTED_SEARCHES,
    adds_input,
    answers_at_once,
    check_priced,
    limited,
    longest_answer_tokens,
    model_asked,
    reporting_usage,
    sent_beside,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.core.events import ModelEvent, Notice
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit
    from chatcli.cost.charge import Charge

CODE_OF_CUT: Final = "answer_cut_by_budget"

_ONE_EACH: Final = Usage(1, 1)
_CERTAINLY_PAID: Final = 0.3
"""The share of what is paid for that an answer has not passed while its estimated length is less."""
_NEAR: Final = 0.9
_COUNTED_NEAR: Final = 0.25
_TEXT_ALONE: Final = 0.5
_LIMIT_WORDS: Final = (*LIMIT_FIELDS, "max tokens", "output tokens", "too large", "maximum", "credits")


class BudgetedModel:
    """A ``ChatModel`` that adds costs to the answers of ``inner``, books them, and stops before a budget is exceeded.

    An answer gets no more than what is left of every limit: the request says so to the endpoint, and a stream
    that does not end there is ended here. Either way ``BudgetReached`` follows the completion. A request for
    which not even a small answer fits needs the person's approval; without it, it is not sent.

    A cost reported by the endpoint itself is used as it is, unless it is absurd. ``count`` returns the
    approximate tokens of a text. ``counter_of`` returns the counter by the vocabulary of a model, which may
    take a moment: it is used for an answer near its cap. ``share`` is the observed excess of the endpoint's
    counts for a model.
    """

    def __init__(
        self,
        inner: ChatModel,
        cashier: Cashier,
        *,
        count: Callable[[str], int],
        counter_of: Callable[[str], Callable[[str], int]],
        share: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        self._inner = inner
        self._cashier = cashier
        self._pricing = cashier.pricing
        self._count = count
        self._counter_of = counter_of
        self._share = share
        self._refuses_caps: set[str] = set()
        """The models that take no limit as large as what is left."""

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        order = self._order(request)
        with closing(self._cashier.charge(order)) as charge:
            if self._cashier.budget.limits:
                request = self._priced(request, order.model)
                async with aclosing(charge.admission()) as waits:
                    async for wait in waits:
                        yield wait
            answer = _PaidAnswer(request, order, charge, self._count)
            try:
                async with aclosing(self._within_budget(answer)) as events:
                    async for event in events:
                        if not isinstance(event, Completion):
                            yield event
                            continue
                        completion, notices = self._settled(event, answer)
                        for notice in notices:
                            yield notice
                        yield completion
                        if charge.unwritten is not None:
                            raise charge.unwritten
                        if answer.is_cut(event):
                            raise _cut(answer)
            except EndpointError as error:
                self._book_received(answer)
                if charge.unwritten is not None:
                    raise charge.unwritten from error
                raise
            finally:
                self._book_received(answer)

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``. A limit may cut the answer, so that it is read as a stream."""
        if self._cashier.budget.limits:
            await ask_by_stream(self, request, emit)
            return
        order = self._order(request, counts_once=False)  # mostly, nobody needs it at all
        with closing(self._cashier.charge(order)) as charge:
            answer = _PaidAnswer(request, order, charge, self._count, is_whole=True)

            def settle(event: ModelEvent) -> None:
                if not isinstance(event, Completion):
                    answer.see(event)
                    emit(event)
                    return
                completion, notices = self._settled(event, answer)
                for notice in notices:
                    emit(notice)
                emit(completion)

            try:
                await asker(self._inner)(request, settle)
            finally:
                self._book_received(answer)

    def _order(self, request: Request, *, counts_once: bool = True) -> Order:
        count = partial(self._input_tokens, request)
        has_options = bool(request.parameters.extra)
        return Order(
            model_asked(request) if has_options else request.model,
            cache(count) if counts_once else count,
            partial(longest_answer_tokens, request.parameters),
            answers_at_once(request.parameters) if has_options else 1,
            request.messages,
            bool(request.prompt_cache),
            EXPECTED_SEARCHES if request.parameters.web_search else 0,
        )

    def _priced(self, request: Request, model: str) -> Request:
        """Return ``request`` as a limit can be kept for it; raise ``UsageError`` if none can. Free models have none."""
        if not self._pricing.cost_of(_ONE_EACH, model):
            return request
        check_priced(request.parameters, search_usd=self._pricing.search_usd(model))
        return reporting_usage(request)

    def _book_received(self, answer: _PaidAnswer) -> None:
        """Book the tokens received, which are paid for, whichever side closed the connection."""
        if not answer.is_booked and answer.received.tokens:
            answer.book(None, self._pricing.cost_of(answer.estimated, answer.model))

    async def _within_budget(self, answer: _PaidAnswer) -> AsyncGenerator[ModelEvent]:
        """Yield the answer, up to its cap if the endpoint does not keep to that."""
        async with aclosing(self._capped(answer)) as events:
            async for event in events:
                answer.see(event)
                yield event
                if answer.may_be_too_long and not await self._is_paid(answer):
                    answer.is_ended_here = True
                    yield Completion("length", None, answer.estimated)
                    return

    async def _is_paid(self, answer: _PaidAnswer) -> bool:
        """Return whether an answer has not reached the end of what is paid for, or can be paid further."""
        if not answer.is_counted:
            # Vocabularies take a quarter of a second to load.
            count = await asyncio.to_thread(self._counter_of, answer.model)
            answer.received.recount(count)
            answer.is_counted = True
        return not answer.may_be_too_long or await answer.charge.extend(answer.received.counted_so_far)

    async def _capped(self, answer: _PaidAnswer) -> AsyncGenerator[ModelEvent]:
        """Ask for an answer within its cap; without one, if the endpoint refuses a cap so large."""
        request, cap = answer.request, answer.cap_tokens
        is_large = cap is not None and cap > RESERVED_ANSWER_TOKENS
        answer.is_cap_sent = cap is not None and not (is_large and request.model in self._refuses_caps)
        if cap is not None and answer.is_cap_sent:
            try:
                async with aclosing(self._inner.stream(limited(request, cap))) as events:
                    async for event in events:
                        yield event
            except EndpointError as error:
                if not is_large or answer.received.tokens or not _may_blame_cap(error):
                    raise
            else:
                return
            self._refuses_caps.add(request.model)
            answer.is_cap_sent = False
        async with aclosing(self._inner.stream(request)) as events:
            async for event in events:
                yield event

    def _input_tokens(self, request: Request) -> int:
        counted = sum(self._count(message.sent_text) for message in request.messages)
        by_vocabulary = (request.counted_tokens or 0) * (1 + self._share(request.model))
        beside = sent_beside(request.parameters)
        if request.tools or request.response_format is not None:
            form = request.response_format
            beside += json.dumps([request.tools, form and [form.name, form.schema]])
        return max(counted, ceil(by_vocabulary)) + (self._count(beside) if beside else 0)

    def _settled(self, completion: Completion, answer: _PaidAnswer) -> tuple[Completion, tuple[Notice, ...]]:
        """Book the cost of an answer; return the completion with it, and notices.

        A missing count is replaced by the one counted here, and a missing cache price by its upper bound for the
        booking: a budget must not stop counting because a cost is not known to the cent.
        """
        cost_of = partial(self._pricing.cost_of, requested=answer.model, answered=completion.model)
        believed = answer.believed(completion)
        most_usd = cost_of(answer.completed(believed.usage))
        shown_usd, doubt = cost_of(believed.usage), believed.doubt
        booked_usd = most_usd if shown_usd is None else shown_usd
        if completion.cost_usd is not None and not self._pricing.is_free:
            reported_usd = Decimal(str(completion.cost_usd))
            least_usd = cost_of(answer.completed(believed.usage, is_cache_free=True))
            likely_usd = dearest(believed.usage) if most_usd is None else most_usd
            cost_doubted = cost_doubt(reported_usd, least_usd or Decimal(0), likely_usd)
            if cost_doubted is None:
                doubt, shown_usd = None, reported_usd
            else:
                doubt, shown_usd = cost_doubted, booked_usd
            booked_usd = shown_usd
        notices = answer.charge.doubted(doubt, booked_usd) + answer.book(completion.model, booked_usd)
        cost_usd = None if shown_usd is None else float(shown_usd)
        return completion if cost_usd == completion.cost_usd else replace(
            completion, cost_usd=cost_usd
        ), notices


class _PaidAnswer:
    """The answer to ``request`` as far as received, and its charge.

    ``is_cap_sent``: the endpoint knows the cap. ``is_ended_here``: it went on all the same. ``is_counted``: by
    the vocabulary.
    """

    def __init__(
        self,
        request: Request,
        order: Order,
        charge: Charge,
        count: Callable[[str], int],
        *,
        is_whole: bool = False,
    ) -> None:
        self.request = request
        self._is_whole = is_whole
        self.charge = charge
        self.is_cap_sent = False
        self.is_ended_here = False
        self.is_counted = False
        self.is_booked = False
        self.model = order.model
        self._answers = order.answers
        self._input_tokens = order.input_tokens
        self._count = count

    @cached_property
    def received(self) -> ReceivedTokens:
        keeps_text = self.charge.answer_tokens is not None
        return ReceivedTokens(self._count, keeps_text=keeps_text, is_whole=self._is_whole)

    def see(self, event: ModelEvent) -> None:
        if isinstance(event, TextDelta | ReasoningDelta):
            self.received.add(event.text)

    @property
    def cap_tokens(self) -> int | None:
        """The length to which the budget caps the answer, ``None`` if it leaves what the person allows."""
        return None if self.charge.capped_by is None else self.charge.answer_tokens

    @property
    def may_be_too_long(self) -> bool:
        """Whether more was received than is paid for; while it is only estimated, whether that is possible."""
        paid = self.charge.answer_tokens
        return paid is not None and self.received.counted_so_far > (
            paid if self.is_counted else paid * _CERTAINLY_PAID
        )

    def is_cut(self, completion: Completion) -> bool:
        """Return whether the cap of the budget ended the answer, and not the endpoint's own limit."""
        if self.is_ended_here:
            return True
        cap, received = self.cap_tokens, self.received.tokens
        if cap is None or not self.is_cap_sent or completion.finish_reason != "length":
            return False
        usage = completion.usage or Usage()
        if not usage.output_tokens and not usage.reasoning_tokens:
            # Nothing received: the cap went to reasoning that nobody counts.
            return not received or received >= cap * _COUNTED_NEAR
        answered, reasoning = usage.output_tokens or 0, usage.reasoning_tokens or 0
        # Reasoning is beside the answer if the text alone accounts for that.
        is_beside = reasoning > answered or received > answered * _TEXT_ALONE
        return answered + (reasoning if is_beside else 0) >= cap * _NEAR

    def book(self, answered: str | None, cost_usd: Decimal | None) -> tuple[Notice, ...]:
        """Book the cost, once; see ``Charge.book``."""
        self.is_booked = True
        if self.request.receipt is not None:
            self.request.receipt.costs_usd.append(cost_usd)
        return self.charge.book(answered, cost_usd)

    @property
    def estimated(self) -> Usage:
        return Usage(self._input_tokens(), self.received.tokens * self._answers, estimated=True)

    def whole(self, completion: Completion) -> Usage:
        """Return the reported usage with counted tokens where it has none."""
        usage = completion.usage or Usage()
        if usage.is_complete:
            return usage
        about = self.estimated
        # What ended at the cap was as long, though its reasoning was not received.
        is_cut = self.is_cut(completion) and not self.is_ended_here
        least = (self.cap_tokens or 0) * self._answers if is_cut else 0
        answered = max(about.output_tokens or 0, usage.reasoning_tokens or 0, least)
        return usage.filled(replace(about, output_tokens=answered))

    def believed(self, completion: Completion) -> Believed:
        """Return the usage to go by: the reported one, unless it cannot be."""
        usage = completion.usage
        return (
            Believed(usage)
            if usage is not None and self._is_credible(usage)
            else believed_usage(self.whole(completion), self.counted)
        )

    def _is_credible(self, usage: Usage) -> bool:
        """Return whether it takes no counting to see that ``usage`` can be: most requests are nothing but words."""
        request, parameters = self.request, self.request.parameters
        adds_much = parameters.extra or parameters.web_search or request.tools
        is_plain = not (adds_much or request.counted_tokens or self.cap_tokens)
        return (
            is_plain
            and request.response_format is None
            and is_credible(
                usage,
                most_input=sum(most_tokens(message.sent_text) for message in request.messages),
                most_answer=self.received.most_tokens,
                limit_tokens=parameters.max_tokens,
            )
        )

    @property
    def counted(self) -> Counted:
        parameters = self.request.parameters
        parts = (part for message in self.request.messages for part in message.parts)
        adds = bool(parameters.extra or parameters.web_search) and adds_input(parameters)
        limit = longest_answer_tokens(parameters) if parameters.extra else parameters.max_tokens
        return Counted(
            self._input_tokens(),
            self.received.tokens * self._answers,
            self.received.least_tokens,
            is_whole=not (adds or any(isinstance(part, Attachment) for part in parts)),
            limit_tokens=self.cap_tokens if self.is_cap_sent else limit,
            answers=self._answers,
        )

    def completed(self, usage: Usage, *, is_cache_free: bool = False) -> Usage:
        """Return ``usage`` with cached tokens as all others, or left out."""
        free = usage.cached_tokens or 0 if is_cache_free else 0
        sent = max(usage.input_tokens or 0, usage.cached_tokens or 0)
        written = None if is_cache_free else usage.cache_write_tokens
        return Usage(
            max(0, sent - free), usage.output_tokens, cache_write_tokens=written, searches=usage.searches
        )


def _may_blame_cap(error: EndpointError) -> bool:
    """Return whether an endpoint may have refused a request for its large limit of the answer.

    It may be more than the model can write, than its window, the credit or the rate limit have room for.
    """
    words = f"{error.parameter or ''} {error.provider_message or error.message}".lower()
    return isinstance(error, RequestRefused | RateLimited) and any(word in words for word in _LIMIT_WORDS)


def _cut(answer: _PaidAnswer) -> BudgetReached:
    standing = answer.charge.capped_by
    within = f"to stay within {'the budget' if standing is None else standing.whole}"
    length = answer.received.tokens if answer.is_ended_here else answer.cap_tokens or 0
    message = f"the answer was cut at {length:,} tokens {within}"
    # Without any text, as after nothing but hidden reasoning, there is nothing to continue.
    rest = "/continue gets the rest" if answer.received.tokens else None
    remedy = standing.remedy if standing is not None else None
    return BudgetReached(
        message,
        hint="; ".join(filter(None, (remedy, rest))) or None,
        code=CODE_OF_CUT,
    )
