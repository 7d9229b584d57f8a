"""Counting what a model costs, and keeping to a budget: the layer every request passes on its way out."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import BudgetReached
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from chatcli.core.usage import Usage
from chatcli.cost.amounts import dollars
from chatcli.cost.ledger import Expense, unreadable_lines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Parameters, Request
    from chatcli.cost.budget import Budget, Standing
    from chatcli.cost.pricing import Pricing

TYPICAL_ANSWER_TOKENS: Final = 1_000
"""What an answer is taken to be long where nothing limits it."""

_LIMITS_OF_ANSWER: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class BudgetedModel:
    """A ``ChatModel`` that tells what each answer of ``inner`` cost, books it, and stops before a budget is passed.

    What the endpoint itself says it took is believed. A request that would pass a limit is put to the person, where
    one can be asked, and else not sent: ``BudgetReached``. ``count`` is about how many tokens a text has.

    ``must_know``: where the price is unknown and nobody can be asked, nothing is sent either, as the limit could not
    be kept.
    """

    def __init__(
        self,
        inner: ChatModel,
        pricing: Pricing,
        budget: Budget,
        *,
        count: Callable[[str], int],
        must_know: bool = False,
    ) -> None:
        self._inner = inner
        self._pricing = pricing
        self._budget = budget
        self._spending = budget.spending
        self._account = budget.account
        self._count = count
        self._must_know = must_know
        self._approved: tuple[Request, Decimal] | None = None

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        estimate_usd = self._estimate(request)
        notices = await self._admit(request, estimate_usd)
        heard_tokens, is_booked = 0, False
        with self._spending.reserved(estimate_usd or Decimal(0)):
            for notice in notices:
                yield notice
            try:
                async with aclosing(self._inner.stream(request)) as events:
                    async for event in events:
                        if isinstance(event, TextDelta | ReasoningDelta):
                            heard_tokens += self._count(event.text)
                        if not isinstance(event, Completion):
                            yield event
                            continue
                        completion = self._priced(event, request, heard_tokens)
                        is_booked = True
                        spent_usd = self._at_most(completion, request, heard_tokens)
                        for notice in self._book(request, completion.model, spent_usd):
                            yield notice
                        yield completion
            finally:
                # Whoever hangs up, or is hung up on, pays for what came.
                if heard_tokens and not is_booked:
                    usage = self._about(request, heard_tokens)
                    self._book(request, None, self._pricing.cost_of(usage, request.model))

    def _estimate(self, request: Request) -> Decimal | None:
        usage = self._about(request, expected_answer_tokens(request.parameters))
        return self._pricing.cost_of(usage, request.model)

    def _about(self, request: Request, answer_tokens: int) -> Usage:
        sent = sum(self._count(message.text) for message in request.messages)
        return Usage(sent, answer_tokens, estimated=True)

    def _priced(self, completion: Completion, request: Request, heard_tokens: int) -> Completion:
        if completion.cost_usd is not None:
            return completion
        usage = completion.usage or self._about(request, heard_tokens)
        cost_usd = self._pricing.cost_of(usage, request.model, completion.model)
        return replace(completion, cost_usd=None if cost_usd is None else float(cost_usd))

    def _at_most(self, completion: Completion, request: Request, heard_tokens: int) -> Decimal | None:
        """Return what to book: where a number or the price of the cache is missing, what it can have cost without.

        A budget must not stand still because an answer's cost is not known to the cent.
        """
        if completion.cost_usd is not None:
            return Decimal(str(completion.cost_usd))
        told, about = completion.usage or Usage(), self._about(request, heard_tokens)
        usage = Usage(
            about.input_tokens if told.input_tokens is None else told.input_tokens,
            about.output_tokens if told.output_tokens is None else told.output_tokens,
        )
        return self._pricing.cost_of(usage, request.model, completion.model)

    def _book(self, request: Request, answered: str | None, cost_usd: Decimal | None) -> tuple[Notice, ...]:
        """Book what was spent; return what the person should know of that."""
        expense = Expense(
            self._budget.ledger.clock(),
            answered or request.model,
            self._pricing.host,
            cost_usd,
            self._account.payer().name,
        )
        error = self._spending.book(expense, self._budget.ledger)
        if error is None or not self._spending.is_news("spending_unwritten"):
            return ()
        told = f"cannot write {self._budget.ledger.path}: {error.strerror or error}"
        return (Notice("spending_unwritten", f"{told}; spending is counted in memory until you leave"),)

    async def _admit(self, request: Request, estimate_usd: Decimal | None) -> list[Notice]:
        """Return what the person should know before ``request`` goes out; raise ``BudgetReached`` where it must not."""
        if not self._budget.is_set or estimate_usd == 0:
            return []
        async with self._spending.asking:
            if standing := self._passed(estimate_usd):
                if not await self._is_approved(request, estimate_usd, standing):
                    raise _reached(estimate_usd, standing, refused=self._account.approve is not None)
            elif estimate_usd is None and self._must_know and self._account.approve is None:
                raise BudgetReached(
                    f"the price of {request.model} at {self._pricing.host} is unknown, so --max-cost cannot be enforced",
                    hint=_set_price(request.model) + ", or leave out --max-cost",
                    code="price_unknown",
                )
        notices = []
        if (count := self._budget.unreadable_lines) and self._spending.is_news("spending_damaged"):
            notices.append(Notice("spending_damaged", unreadable_lines(self._budget.ledger.path, count)))
        if estimate_usd is None and self._spending.is_news(f"price_unknown {request.model}"):
            told = f"price of {request.model} unknown, so the budget is not enforced; {_set_price(request.model)}"
            notices.append(Notice("price_unknown", told))
        return notices

    def _passed(self, estimate_usd: Decimal | None) -> Standing | None:
        try:
            return self._budget.passed_by(estimate_usd)
        except OSError as error:
            raise BudgetReached(
                f"cannot read {self._budget.ledger.path}, which records what was spent: {error.strerror or error}",
                hint="make it readable, or take the budget out of config.toml",
                code="spending_unreadable",
            ) from error

    async def _is_approved(self, request: Request, estimate_usd: Decimal | None, standing: Standing) -> bool:
        """Ask the person, but not again for another attempt at what they allowed: that has cost nothing yet."""
        allowed, spent_usd = self._approved or (None, None)
        is_another_attempt = allowed is not None and allowed.messages == request.messages
        if is_another_attempt and spent_usd == self._spending.run_usd:
            return True
        approve = self._account.approve
        if approve is None or not await approve(f"{_told(estimate_usd, standing)}. Send it?"):
            return False
        self._approved = request, self._spending.run_usd
        return True


def longest_answer_tokens(parameters: Parameters) -> int | None:
    """Return how long an answer may be, ``None`` where nothing limits it."""
    extra = (parameters.extra.get(name) for name in _LIMITS_OF_ANSWER)
    limits = [limit for limit in extra if isinstance(limit, int)]
    return limits[0] if limits else parameters.max_tokens


def expected_answer_tokens(parameters: Parameters) -> int:
    """Return how long an answer is taken to be before it is there."""
    return longest_answer_tokens(parameters) or TYPICAL_ANSWER_TOKENS


def _told(estimate_usd: Decimal | None, standing: Standing) -> str:
    cost = "an unknown price" if estimate_usd is None else f"about {dollars(estimate_usd)}"
    return f"this question costs {cost}; {standing.words}"


def _reached(estimate_usd: Decimal | None, standing: Standing, *, refused: bool) -> BudgetReached:
    if refused:
        return BudgetReached("not sent: it would exceed the budget", hint=standing.way_out)
    return BudgetReached(
        f"budget reached: {_told(estimate_usd, standing)}",
        hint=f"{standing.way_out}; --max-tokens or another model (-m) may cost less",
    )


def _set_price(model: str) -> str:
    return f'[prices."{model}"] in config.toml sets it'
