"""Budgets: what a run, a session, a day and a month have cost, what they may, and the layer that keeps to it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, partial, reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import BudgetReached
from chatcli.core.events import Completion, Notice, ReasoningDelta, TextDelta
from chatcli.core.usage import Usage
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
    """Asks the person whether something may cost what it says it does."""


class Payer(NamedTuple):
    """The conversation that pays: its name, where it is kept, and what its answers cost so far."""

    name: str | None = None
    cost_usd: float | None = None


class Spending:
    """What one run has spent, whichever models it asked; every conversation of the run shares it."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        """Held while the person is asked: one question at a time."""
        self.run_usd = Decimal(0)
        self.reserved: list[Callable[[], Decimal | None]] = []
        """What each of the requests on their way is about to cost: worked out where a budget asks for it."""
        self.unwritten: list[Expense] = []
        """What is not in the ledger: it would not take it, or is to know nothing of this run."""
        self._reported: set[str] = set()
        self._before: dict[str | None, Decimal] = {}
        self._in_run: dict[str | None, Decimal] = {}

    def of_session(self, payer: Payer) -> Decimal:
        """Return what a conversation has cost: what its answers did before this run, and all it asked since."""
        name, cost_usd = payer
        before = self._before.setdefault(name, Decimal(str(cost_usd or 0)) - self._in_run.get(name, 0))
        return max(Decimal(0), before) + self._in_run.get(name, 0)

    @property
    def reserved_usd(self) -> Decimal:
        """What is set aside for requests on their way, as others may be beside them."""
        return sum((estimate_usd() or Decimal(0) for estimate_usd in self.reserved), Decimal(0))

    def book(self, expense: Expense, ledger: Ledger) -> OSError | None:
        """Add what was spent to this run and to ``ledger``; return why that is not possible.

        What costs nothing is no line of the ledger.
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

    def is_news(self, what: str) -> bool:
        """Whether ``what`` was not told in this run yet; from now on it was."""
        is_news = what not in self._reported
        self._reported.add(what)
        return is_news


class Account(NamedTuple):
    """Whose money a model spends: ``payer`` tells which conversation pays, by the name it has by then.

    ``approve`` asks the person where a budget ends, ``None`` where nobody can be asked.
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
    """How one limit stands, in US dollars: ``spent`` of ``limit``; ``period`` says whose it is."""

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
    def way_out(self) -> str:
        """How a person raises the limit."""
        if self.period == RUN:
            return "--max-cost changes the limit"
        return f"[budget] {self.period} in config.toml changes the limit"


class Budget:
    """The limits that are set, and what was spent of each.

    ``limits`` are US dollars by period: ``run``, ``session``, ``day``, ``month``. Days and months are those of the
    person's own time. What is on its way counts as spent, whoever pays for it.
    """

    def __init__(self, limits: Mapping[str, float], account: Account, ledger: Ledger) -> None:
        self.account = account
        self.spending = account.spending
        self.ledger = ledger
        self.is_set = bool(limits)
        self._limits = {period: Decimal(str(usd)) for period, usd in limits.items()}

    def standings(self) -> Iterator[Standing]:
        """Yield how each limit stands, the narrowest first. Raise ``OSError`` where the ledger cannot be read."""
        for period in _WHOSE:
            if period in self._limits:
                yield Standing(period, self._limits[period], self._spent(period) + self.spending.reserved_usd)

    def passed_by(self, estimate_usd: Decimal | None) -> Standing | None:
        """Return the first limit that ``estimate_usd`` more would pass, or that is used up where nobody knows."""
        for standing in self.standings():
            left = standing.limit - standing.spent
            if left <= 0 if estimate_usd is None else estimate_usd > left:
                return standing
        return None

    def month(self) -> tuple[Expense, ...]:
        """Return what was spent this month, over all runs. Raise ``OSError`` where the ledger cannot be read."""
        month = self.ledger.month()
        return (*month.expenses, *self._unwritten(month.first))

    def spent_today(self) -> Total:
        """Return what was spent today, over all runs. Raise ``OSError`` where the ledger cannot be read."""
        today = self.ledger.clock().date()
        return reduce(Total.plus, self._unwritten(today), self.ledger.month().of(today))

    def spent_this_month(self) -> Total:
        """Return what was spent this month, over all runs. Raise ``OSError`` where the ledger cannot be read."""
        month = self.ledger.month()
        return reduce(Total.plus, self._unwritten(month.first), month.total)

    @property
    def unreadable_lines(self) -> int:
        """How many lines of the ledger the standings lack, as they cannot be read."""
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
"""What an answer is taken to be long where nothing limits it."""

_LIMITS_OF_ANSWER: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class BudgetedModel:
    """A ``ChatModel`` that tells what each answer of ``inner`` cost, books it, and stops before a budget is passed.

    What the endpoint itself says it took is believed. A request that would pass a limit is put to the person, where
    one can be asked, and else not sent: ``BudgetReached``. ``count`` is about how many tokens a text has.

    ``requires_price``: where the price is unknown and nobody can be asked, nothing is sent either, as the limit could not
    be kept.
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
        self._must_know = requires_price
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
            # Whoever hangs up, or is hung up on, pays for what came.
            if received_tokens and not is_booked:
                usage = self._about(request, received_tokens)
                self._book(request, None, self._pricing.cost_of(usage, request.model))

    def _estimate(self, request: Request) -> Decimal | None:
        usage = self._about(request, expected_answer_tokens(request.parameters))
        return self._pricing.cost_of(usage, request.model)

    def _about(self, request: Request, answer_tokens: int) -> Usage:
        sent = sum(self._count(message.text) for message in request.messages)
        return Usage(sent, answer_tokens, estimated=True)

    def _priced(self, completion: Completion, request: Request, received_tokens: int) -> Completion:
        if completion.cost_usd is not None:
            return completion
        usage = completion.usage or self._about(request, received_tokens)
        cost_usd = self._pricing.cost_of(usage, request.model, completion.model)
        return replace(completion, cost_usd=None if cost_usd is None else float(cost_usd))

    def _at_most(self, completion: Completion, request: Request, received_tokens: int) -> Decimal | None:
        """Return what to book: where a number or the price of the cache is missing, what it can have cost without.

        A budget must not stand still because an answer's cost is not known to the cent.
        """
        if completion.cost_usd is not None:
            return Decimal(str(completion.cost_usd))
        reported, about = completion.usage or Usage(), self._about(request, received_tokens)
        usage = Usage(
            about.input_tokens if reported.input_tokens is None else reported.input_tokens,
            about.output_tokens if reported.output_tokens is None else reported.output_tokens,
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
        failure = f"cannot write {self._budget.ledger.path}: {error.strerror or error}"
        return (Notice("spending_unwritten", f"{failure}; spending is counted in memory until you leave"),)

    async def _admit(self, request: Request, estimate_usd: Decimal | None) -> list[Notice]:
        """Return what the person should know before ``request`` goes out; raise ``BudgetReached`` where it must not.

        ``estimate_usd`` is what it may cost, ``None`` where nobody knows.
        """
        if estimate_usd == 0:
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
        """Ask the person, but not again for another attempt at what they allowed: that has cost nothing yet."""
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
    """Return how long an answer may be, ``None`` where nothing limits it."""
    extra = (parameters.extra.get(name) for name in _LIMITS_OF_ANSWER)
    limits = [limit for limit in extra if isinstance(limit, int)]
    return limits[0] if limits else parameters.max_tokens


def expected_answer_tokens(parameters: Parameters) -> int:
    """Return how long an answer is taken to be before it is there."""
    return longest_answer_tokens(parameters) or TYPICAL_ANSWER_TOKENS


def _cost_in_words(estimate_usd: Decimal | None, standing: Standing) -> str:
    cost = "an unknown price" if estimate_usd is None else f"about {dollars(estimate_usd)}"
    return f"this question costs {cost}; {standing.words}"


def _reached(estimate_usd: Decimal | None, standing: Standing, *, refused: bool) -> BudgetReached:
    if refused:
        return BudgetReached("not sent: it would exceed the budget", hint=standing.way_out)
    return BudgetReached(
        f"budget reached: {_cost_in_words(estimate_usd, standing)}",
        hint=f"{standing.way_out}; --max-tokens or another model (-m) may cost less",
    )


def _set_price(model: str) -> str:
    return f'[prices."{model}"] in config.toml sets it'
