"""Budgets: the spending and the limits of a run, a session, a day and a month, and the layer that enforces them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, partial, reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import BudgetReached
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta, Usage
from chatcli.core.request import LIMIT_FIELDS
from chatcli.cost.ledger import Expense, Total, unreadable_lines
from chatcli.cost.price import dollars, limit_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
    from datetime import date
    from typing import TypeAlias

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Parameters, Request
    from chatcli.cost.ledger import Ledger
    from chatcli.cost.pricing import Pricing

    Approve: TypeAlias = Callable[[str], Awaitable[bool]]
    """Asks the person whether something may cost the stated amount."""


class Payer(NamedTuple):
    """The conversation that pays: its name, if it is saved, and the cost of its answers so far."""

    name: str | None = None
    cost_usd: float | None = None


class Spending:
    """The spending of one run over all models; shared by every conversation of the run."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        """Held while the person is asked: one question at a time."""
        self.run_usd = Decimal(0)
        self.reserved: list[Callable[[], Decimal | None]] = []
        """The estimated cost of each request in flight, computed when a budget asks for it."""
        self.unwritten: list[Expense] = []
        """Expenses missing from the ledger: it could not be written, or must not record this run."""
        self._reported: set[str] = set()
        self._before: dict[str | None, Decimal] = {}
        self._in_run: dict[str | None, Decimal] = {}

    def of_session(self, payer: Payer) -> Decimal:
        """Return the cost of a conversation: its answers before this run and its requests since."""
        name, cost_usd = payer
        before = self._before.setdefault(name, Decimal(str(cost_usd or 0)) - self._in_run.get(name, 0))
        return max(Decimal(0), before) + self._in_run.get(name, 0)

    @property
    def reserved_usd(self) -> Decimal:
        """The amount set aside for requests in flight."""
        return sum((estimate_usd() or Decimal(0) for estimate_usd in self.reserved), Decimal(0))

    def book(self, expense: Expense, ledger: Ledger) -> OSError | None:
        """Add an expense to this run and to ``ledger``; return the error if the ledger cannot be written.

        Free requests are not recorded in the ledger.
        """
        if expense.cost_usd == 0:
            return None
        self.run_usd += expense.cost_usd or 0
        self._in_run[expense.session] = self._in_run.get(expense.session, Decimal(0)) + (
            expense.cost_usd or 0
        )
        if not ledger.is_kept:
            self.unwritten.append(expense)
            return None
        try:
            ledger.append(expense)
        except OSError as error:
            self.unwritten.append(expense)
            return error
        return None

    def is_first_report(self, what: str) -> bool:
        """Return whether ``what`` has not been reported in this run yet, and mark it as reported."""
        is_first_report = what not in self._reported
        self._reported.add(what)
        return is_first_report


class Account(NamedTuple):
    """The account a model's requests are charged to: ``payer`` returns the conversation that pays, by its current name.

    ``approve`` asks the person at the limit of a budget, ``None`` if nobody can be asked.
    """

    spending: Spending
    payer: Callable[[], Payer] = Payer
    approve: Approve | None = None


RUN: Final = "run"
SESSION: Final = "session"
DAY: Final = "day"
MONTH: Final = "month"

_WHOSE: Final = {
    RUN: "this run's",
    SESSION: "this session's",
    DAY: "today's",
    MONTH: "this month's",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one limit in US dollars: ``spent`` of ``limit``; ``period`` names the limit."""

    period: str
    limit: Decimal
    spent: Decimal

    @property
    def words(self) -> str:
        whole = f"{_WHOSE[self.period]} {limit_of(self.limit)}"
        if not self.spent:
            return f"none of {whole} has been spent"
        return f"{dollars(self.spent)} of {whole} spent"

    @property
    def remedy(self) -> str:
        """The hint that says how to raise the limit."""
        if self.period == RUN:
            return "--max-cost changes the limit"
        return f"[budget] {self.period} in config.toml changes the limit"


class Budget:
    """The limits that are set, and the spending against each.

    ``limits`` are US dollars by period: ``run``, ``session``, ``day``, ``month``, in the person's time zone.
    Requests in flight count as spent, whichever conversation pays for them.
    """

    def __init__(self, limits: Mapping[str, float], account: Account, ledger: Ledger) -> None:
        self.account = account
        self.spending = account.spending
        self.ledger = ledger
        self.is_set = bool(limits)
        self._limits = {period: Decimal(str(usd)) for period, usd in limits.items()}

    def standings(self) -> Iterator[Standing]:
        """Yield the state of each limit, the narrowest first. Raise ``OSError`` if the ledger cannot be read."""
        for period in _WHOSE:
            if period in self._limits:
                yield Standing(period, self._limits[period], self._spent(period) + self.spending.reserved_usd)

    def passed_by(self, estimate_usd: Decimal | None) -> Standing | None:
        """Return the first limit that ``estimate_usd`` would exceed or, for an unknown estimate, that is used up."""
        for standing in self.standings():
            left = standing.limit - standing.spent
            if left <= 0 if estimate_usd is None else estimate_usd > left:
                return standing
        return None

    def month(self) -> tuple[Expense, ...]:
        """Return the spending of this month over all runs. Raise ``OSError`` if the ledger cannot be read."""
        month = self.ledger.month()
        return (*month.expenses, *self._unwritten(month.first))

    def spent_today(self) -> Total:
        """Return the spending of today over all runs. Raise ``OSError`` if the ledger cannot be read."""
        today = self.ledger.clock().date()
        return reduce(Total.plus, self._unwritten(today), self.ledger.month().of(today))

    def spent_this_month(self) -> Total:
        """Return the spending of this month over all runs. Raise ``OSError`` if the ledger cannot be read."""
        month = self.ledger.month()
        return reduce(Total.plus, self._unwritten(month.first), month.total)

    @property
    def unreadable_lines(self) -> int:
        """The number of unreadable ledger lines that the standings lack."""
        return self.ledger.unreadable_lines if self._limits.keys() & {DAY, MONTH} else 0

    def _unwritten(self, since: date) -> Iterator[Expense]:
        zone = self.ledger.clock().tzinfo
        for expense in self.spending.unwritten:
            if expense.at.astimezone(zone).date() >= since:
                yield expense

    def _spent(self, period: str) -> Decimal:
        match period:
            case "session":
                return self.spending.of_session(self.account.payer())
            case "day":
                return self.spent_today().usd
            case "month":
                return self.spent_this_month().usd
            case _:
                return self.spending.run_usd


TYPICAL_ANSWER_TOKENS: Final = 1_000
"""The assumed length of an answer that nothing limits."""


class BudgetedModel:
    """A ``ChatModel`` that adds costs to the answers of ``inner``, books them, and stops before a budget is exceeded.

    A cost reported by the endpoint itself is used as it is. A request that would exceed a limit needs the
    person's approval; without it, it is not sent: ``BudgetReached``. ``count`` returns the approximate tokens
    of a text.

    ``requires_price``: if the price is unknown and nobody can be asked, nothing is sent, as the limit could
    not be enforced.
    """

    def __init__(
        self,
        inner: ChatModel,
        pricing: Pricing,
        budget: Budget,
        *,
        count: Callable[[str], int],
        requires_price: bool = False,
    ) -> None:
        self._inner = inner
        self._pricing = pricing
        self._budget = budget
        self._spending = budget.spending
        self._account = budget.account
        self._count = count
        self._requires_price = requires_price
        self._approved: tuple[Request, Decimal] | None = None

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        estimate_usd = cache(partial(self._estimate, request))
        notices = await self._admit(request, estimate_usd()) if self._budget.is_set else ()
        received_tokens, is_booked = 0, False
        self._spending.reserved.append(estimate_usd)
        try:
            for notice in notices:
                yield notice
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if isinstance(event, TextDelta | ReasoningDelta):
                        received_tokens += self._count(event.text)
                    if not isinstance(event, Completion):
                        yield event
                        continue
                    completion = self._priced(event, request, received_tokens)
                    is_booked = True
                    spent_usd = self._at_most(completion, request, received_tokens)
                    for notice in self._book(request, completion.model, spent_usd):
                        yield notice
                    yield completion
        finally:
            self._spending.reserved.remove(estimate_usd)
            # The tokens received are paid for, whichever side closed the connection.
            if received_tokens and not is_booked:
                usage = self._estimated_usage(request, received_tokens)
                self._book(request, None, self._pricing.cost_of(usage, request.model))

    def _estimate(self, request: Request) -> Decimal | None:
        usage = self._estimated_usage(request, expected_answer_tokens(request.parameters))
        return self._pricing.cost_of(usage, request.model)

    def _estimated_usage(self, request: Request, answer_tokens: int) -> Usage:
        sent = sum(self._count(message.text) for message in request.messages)
        return Usage(sent, answer_tokens, estimated=True)

    def _priced(self, completion: Completion, request: Request, received_tokens: int) -> Completion:
        if completion.cost_usd is not None:
            return completion
        usage = completion.usage or self._estimated_usage(request, received_tokens)
        cost_usd = self._pricing.cost_of(usage, request.model, completion.model)
        return replace(completion, cost_usd=None if cost_usd is None else float(cost_usd))

    def _at_most(self, completion: Completion, request: Request, received_tokens: int) -> Decimal | None:
        """Return the amount to book; a missing count or cache price is replaced by its upper bound.

        A budget must not stop counting because a cost is not known to the cent.
        """
        if completion.cost_usd is not None:
            return Decimal(str(completion.cost_usd))
        reported, about = completion.usage or Usage(), self._estimated_usage(request, received_tokens)
        usage = Usage(
            about.input_tokens if reported.input_tokens is None else reported.input_tokens,
            about.output_tokens if reported.output_tokens is None else reported.output_tokens,
        )
        return self._pricing.cost_of(usage, request.model, completion.model)

    def _book(self, request: Request, answered: str | None, cost_usd: Decimal | None) -> tuple[Notice, ...]:
        """Book an expense; return notices for the person."""
        expense = Expense(
            self._budget.ledger.clock(),
            answered or request.model,
            self._pricing.host,
            cost_usd,
            self._account.payer().name,
        )
        error = self._spending.book(expense, self._budget.ledger)
        if error is None or not self._spending.is_first_report("spending_unwritten"):
            return ()
        failure = f"cannot write {self._budget.ledger.path}: {error.strerror or error}"
        return (Notice("spending_unwritten", f"{failure}; spending is counted in memory until you leave"),)

    async def _admit(self, request: Request, estimate_usd: Decimal | None) -> list[Notice]:
        """Return notices for the person before ``request`` is sent; raise ``BudgetReached`` if it must not be.

        ``estimate_usd`` is the estimated cost, ``None`` if unknown.
        """
        if estimate_usd == 0:
            return []
        async with self._spending.asking:
            if standing := self._passed(estimate_usd):
                if not await self._is_approved(request, estimate_usd, standing):
                    raise _reached(estimate_usd, standing, refused=self._account.approve is not None)
            elif estimate_usd is None and self._requires_price and self._account.approve is None:
                raise BudgetReached(
                    f"the price of {request.model} at {self._pricing.host} is unknown, so --max-cost cannot be enforced",
                    hint=_set_price(request.model) + ", or leave out --max-cost",
                    code="price_unknown",
                )
        notices = []
        if (count := self._budget.unreadable_lines) and self._spending.is_first_report("spending_damaged"):
            notices.append(Notice("spending_damaged", unreadable_lines(self._budget.ledger.path, count)))
        if estimate_usd is None and self._spending.is_first_report(f"price_unknown {request.model}"):
            message = f"price of {request.model} unknown, so the budget is not enforced; {_set_price(request.model)}"
            notices.append(Notice("price_unknown", message))
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
        """Ask the person, except for another attempt at an approved request: the failed one has cost nothing."""
        allowed, spent_usd = self._approved or (None, None)
        is_another_attempt = allowed is not None and allowed.messages == request.messages
        if is_another_attempt and spent_usd == self._spending.run_usd:
            return True
        approve = self._account.approve
        if approve is None or not await approve(f"{_cost_in_words(estimate_usd, standing)}. Send it?"):
            return False
        self._approved = request, self._spending.run_usd
        return True


def longest_answer_tokens(parameters: Parameters) -> int | None:
    """Return the maximum length of an answer, ``None`` if nothing limits it."""
    extra = (parameters.extra.get(name) for name in LIMIT_FIELDS)
    limits = [limit for limit in extra if isinstance(limit, int)]
    return limits[0] if limits else parameters.max_tokens


def expected_answer_tokens(parameters: Parameters) -> int:
    """Return the assumed length of an answer before it is received."""
    return longest_answer_tokens(parameters) or TYPICAL_ANSWER_TOKENS


def _cost_in_words(estimate_usd: Decimal | None, standing: Standing) -> str:
    cost = "an unknown price" if estimate_usd is None else f"about {dollars(estimate_usd)}"
    return f"this question costs {cost}; {standing.words}"


def _reached(estimate_usd: Decimal | None, standing: Standing, *, refused: bool) -> BudgetReached:
    if refused:
        return BudgetReached("not sent: it would exceed the budget", hint=standing.remedy)
    return BudgetReached(
        f"budget reached: {_cost_in_words(estimate_usd, standing)}",
        hint=f"{standing.remedy}; --max-tokens or another model (-m) may cost less",
    )


def _set_price(model: str) -> str:
    return f'[prices."{model}"] in config.toml sets it'
