"""Charges: each request is admitted by the budget, reserved while it runs, and booked when it ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import BudgetReached
from chatcli.core.events import Notice, Usage, Waiting
from chatcli.cost.budget import Admission, Need, Refusal
from chatcli.cost.ledger import Expense, unreadable_lines
from chatcli.cost.reported_usage import Counted, believed_usage
from chatcli.cost.request_options import (
    EXPECTED_RESULTS_TOKENS,
    LONGEST_ANSWER_TOKENS,
    TYPICAL_ANSWER_TOKENS,
)
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from chatcli.core.errors import LocalIOError
    from chatcli.cost.budget import Budget, Standing
    from chatcli.cost.pricing import Pricing
    from chatcli.cost.reported_usage import Doubt

RESERVED_ANSWER_TOKENS: Final = 4_096
"""What is reserved for an answer that neither the person nor the budget limits."""

SMALLEST_ANSWER_TOKENS: Final = 100
"""With less left for the answer, a request is not worth its input."""

_MILLION: Final = 1_000_000
_DISK_PATIENCE_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.1
_TOLD_EVERY_S: Final = 1.0
_PATIENCE_S: Final = 300.0
"""How long a request waits for those in flight to leave it room."""
_PATIENCE_OF_PERSON_S: Final = 10.0
"""The same where the person can be asked, and the requests are those of other processes."""


class Order(NamedTuple):
    """A request to be paid for: about ``input_tokens`` are sent; the person limits the answer to ``answer_tokens``.

    Both are counted when a budget needs them. ``is_cached``: the endpoint may put all of the input into its cache.
    ``searches`` is the number of web searches to expect. ``answers`` is the number of answers asked for at once. Requests of one ``content`` are attempts at the same.
    """

    model: str
    input_tokens: Callable[[], int]
    answer_tokens: Callable[[], int | None]
    answers: int = 1
    content: object = None
    is_cached: bool = False
    searches: int = 0


@dataclass(eq=False)
class Cashier:
    """Charges the requests to the models of one endpoint.

    ``requires_price``: if the price is unknown and nobody can be asked, nothing is sent, as the limit could
    not be enforced. ``clock`` counts seconds. ``approved`` is what the person has last approved, and what the
    run had spent then.
    """

    pricing: Pricing
    budget: Budget
    requires_price: bool = False
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    disk_patience_s: float = _DISK_PATIENCE_S
    approved: tuple[object, Decimal] | None = None

    def charge(self, order: Order) -> Charge:
        """Return the charge of a request, which is to be closed at its end."""
        return Charge(self, order)

    def need(self, order: Order, *, most_tokens: int, least_tokens: int) -> Need | None:
        """Return what ``order`` costs, ``None`` if its price is unknown."""
        price = partial(self.pricing.cost_of, requested=order.model)
        input_tokens = order.input_tokens() + (EXPECTED_RESULTS_TOKENS if order.searches else 0)
        written = input_tokens if order.is_cached else None
        sent = Usage(input_tokens, 0, cache_write_tokens=written, searches=order.searches)
        input_usd = price(sent)
        with_million_usd = price(replace(sent, output_tokens=_MILLION)) if most_tokens else input_usd
        if input_usd is None or with_million_usd is None:
            return None
        token_usd = (with_million_usd - input_usd) / _MILLION * order.answers
        return Need(input_usd, token_usd, min(least_tokens, most_tokens), most_tokens)

    async def attempt(self, need: Need | None, *, is_approved: bool = False) -> Admission | Refusal:
        """Return what the budget says to ``need``; see ``Budget.admit``."""
        admit = partial(self.budget.admit, need, is_approved=is_approved)
        if not self.budget.is_shared:
            return admit()
        # In a thread: another process may hold the lock, and a disk may be slow.
        work = asyncio.ensure_future(asyncio.to_thread(admit))
        try:
            return await asyncio.wait_for(asyncio.shield(work), self.disk_patience_s)
        except TimeoutError:
            work.add_done_callback(_release)
            raise self.budget.not_kept(OSError(None, "the disk does not answer")) from None
        except asyncio.CancelledError:
            work.add_done_callback(_release)
            raise

    async def check_total(self, usd: float | None, what: str) -> None:
        """Raise ``BudgetReached`` if ``what`` takes several requests that a limit leaves too little for.

        Each of them is charged by itself; this only says so before the first. They cost up to ``usd``, ``None``
        if that is unknown. The person may approve it.
        """
        if not self.budget.limits or not usd:
            return
        total_usd = Decimal(str(usd))
        outcome = await self.attempt(Need(total_usd, Decimal(0), 0, 0))
        if isinstance(outcome, Admission):
            outcome.release()
        elif not outcome.may_pass:
            standing, approve = outcome.standing, self.budget.account.approve
            estimate = f"{what} costs up to {dollars(total_usd)}"
            if approve is None:
                raise BudgetReached(
                    f"budget reached: {estimate}; {standing.words}",
                    hint=f"{standing.remedy}; another --long or another model (-m) may cost less",
                )
            if not await approve(f"{estimate}; {standing.words}. Begin?"):
                raise BudgetReached("not sent: it would exceed the budget", hint=standing.remedy)


class Charge:
    """The charge of one request: ``admission`` before it is sent, ``book`` once its cost is known, then ``close``."""

    def __init__(self, cashier: Cashier, order: Order) -> None:
        self._cashier = cashier
        self._order = order
        self._budget = cashier.budget
        self._spending = cashier.budget.account.spending
        self.answer_tokens: int | None = None
        """The length of answer that is paid for, ``None`` if nothing limits it."""
        self.capped_by: Standing | None = None
        """The limit of the budget that caps the answer, ``None`` if none does."""
        self.unwritten: LocalIOError | None = None
        self._admitted: list[Admission] = []
        self._spending.reserved[self] = self._reserved_usd

    def close(self) -> None:
        """Release what is reserved."""
        del self._spending.reserved[self]
        for admission in self._admitted:
            if not self._spending.keeps(admission):
                admission.release()

    @property
    def _asks(self) -> bool:
        return self._budget.account.approve is not None

    @cached_property
    def _allowed_tokens(self) -> int | None:
        return self._order.answer_tokens()

    @cached_property
    def _need(self) -> Need | None:
        allowed = self._allowed_tokens
        longest = LONGEST_ANSWER_TOKENS if allowed is None else max(0, allowed)
        return self._cashier.need(self._order, most_tokens=longest, least_tokens=SMALLEST_ANSWER_TOKENS)

    @cached_property
    def _estimate_usd(self) -> Decimal | None:
        """The likely cost, in words for the person."""
        if self._need is None:
            return None
        allowed = self._allowed_tokens
        return self._need.usd(TYPICAL_ANSWER_TOKENS if allowed is None else allowed)

    @property
    def _estimate(self) -> str:
        """The likely cost in words, with the length of answer that is assumed."""
        if self._estimate_usd is None:
            return "this question costs an unknown price"
        is_assumed = self._allowed_tokens is None
        assumed = f" with a {TYPICAL_ANSWER_TOKENS:,}-token answer" if is_assumed else ""
        return f"this question costs about {dollars(self._estimate_usd)}{assumed}"

    def _reserved_usd(self) -> Decimal | None:
        if self._admitted:
            return sum((admission.reserved_usd or Decimal(0) for admission in self._admitted), Decimal(0))
        # Not admitted yet, or of a conversation without a budget.
        return Decimal(0) if self._budget.limits else self._estimate_usd

    async def admission(self, *, is_patient: bool = True) -> AsyncGenerator[Notice | Waiting]:
        """Reserve the cost; yield notices for the person, and ``Waiting`` while requests in flight leave no room.

        Raise ``BudgetReached`` if the request must not be sent. ``is_patient``: wait, and ask the person.
        """
        if not self._budget.limits or self._estimate_usd == 0:
            return
        async with self._spending.asking:
            began_s = told_s = self._cashier.clock()
            while isinstance(outcome := await self._cashier.attempt(self._need), Refusal):
                waited_s = self._cashier.clock() - began_s
                if is_patient and outcome.may_pass and waited_s < self._patience_s:
                    if self._cashier.clock() - told_s >= _TOLD_EVERY_S:
                        told_s = self._cashier.clock()
                        yield Waiting(
                            waited_s, "waiting for the budget: other requests are in flight", is_held=True
                        )
                    await self._cashier.sleep(_LOOK_AGAIN_S)
                    continue
                if not is_patient or not await self._is_approved(outcome.standing):
                    refused = is_patient and self._asks
                    raise _reached(self._estimate, outcome.standing, refused=refused)
                outcome = await self._cashier.attempt(self._approved_need, is_approved=True)
                break
            if isinstance(outcome, Admission):
                self._admitted.append(outcome)
                self.answer_tokens, self.capped_by = outcome.answer_tokens, outcome.capped_by
        if self._need is None:
            self._check_price()
        for notice in self._notices():
            yield notice

    @property
    def _patience_s(self) -> float:
        has_company = len(self._spending.reserved) > 1
        return _PATIENCE_S if has_company or not self._asks else _PATIENCE_OF_PERSON_S

    @property
    def _approved_need(self) -> Need | None:
        if self._need is None or self._allowed_tokens is not None:
            return self._need
        return replace(self._need, most_tokens=RESERVED_ANSWER_TOKENS)

    async def extend(self, answer_tokens: int) -> bool:
        """Reserve so many more tokens for an answer that turns out longer; return whether they are left."""
        if self._need is None:
            return True
        more = Need(Decimal(0), self._need.token_usd, answer_tokens, answer_tokens)
        outcome = await self._cashier.attempt(more)
        if isinstance(outcome, Refusal):
            return False
        self._admitted.append(outcome)
        self.answer_tokens = (self.answer_tokens or 0) + answer_tokens
        return True

    def _check_price(self) -> None:
        if self._cashier.requires_price and not self._asks:
            model = self._order.model
            raise BudgetReached(
                f"the price of {model} at {self._cashier.pricing.host} is unknown, so --max-cost cannot be enforced",
                hint=_set_price(model) + ", or leave out --max-cost",
                code="price_unknown",
            )

    def _notices(self) -> list[Notice]:
        notices = []
        if (count := self._budget.unreadable_lines) and self._spending.is_first_report("spending_damaged"):
            notices.append(Notice("spending_damaged", unreadable_lines(self._budget.ledger.path, count)))
        model = self._order.model
        if self._need is None and self._spending.is_first_report(f"price_unknown {model}"):
            message = f"price of {model} unknown, so the budget is not enforced; {_set_price(model)}"
            notices.append(Notice("price_unknown", message))
        return notices

    async def _is_approved(self, standing: Standing) -> bool:
        """Ask the person, except for another attempt at an approved request: the failed one has cost nothing."""
        content = self._order.content
        if self._cashier.approved == (content, self._spending.run_usd):
            return True
        approve = self._budget.account.approve
        if approve is None or not await approve(f"{self._estimate}; {standing.words}. Send it?"):
            return False
        self._cashier.approved = content, self._spending.run_usd
        return True

    def doubted(self, doubt: Doubt | None, cost_usd: Decimal | None) -> tuple[Notice, ...]:
        """Return the notice about ``doubt``, once for each model of an endpoint; none where nothing costs anything."""
        host, model = self._cashier.pricing.host, self._order.model
        is_of_no_use = cost_usd == 0 if doubt and doubt.is_high else not cost_usd
        if doubt is None or is_of_no_use or not self._spending.is_first_report(f"usage {host} {model}"):
            return ()
        message = f"{host} reports {doubt.words} for {model}"
        if not doubt.is_high:
            return (Notice("usage_doubted", f"{message}; the higher figure is booked ({_set_price(model)})"),)
        if cost_usd is None:
            return (Notice("usage_doubted", f"{message}; its cost is booked as unknown"),)
        booked = f"{dollars(cost_usd)} is booked; if it was less, lower cost_usd in the last line of"
        return (Notice("usage_doubted", f"{message}; {booked} {self._budget.ledger.path}"),)

    def book(self, answered: str | None, cost_usd: Decimal | None) -> tuple[Notice, ...]:
        """Book the cost of a request that the model ``answered``; return notices for the person.

        If a limit is kept by the ledger, and it cannot be written, ``unwritten`` is the error.
        """
        ledger = self._budget.ledger
        expense = Expense(
            ledger.clock(),
            answered or self._order.model,
            self._cashier.pricing.host,
            cost_usd,
            self._budget.account.payer().name,
        )
        if self._budget.account.is_ahead:
            self._spending.ahead_usd += cost_usd or 0
        error = self._spending.book(expense, ledger, self._admitted)
        if error is not None and self._budget.is_recorded:
            self.unwritten = self._budget.not_recorded(error, cost_usd)
            return ()
        # A run that saves nothing has no need of the ledger, apart from its limits.
        if error is None or ledger.is_private or not self._spending.is_first_report("spending_unwritten"):
            return ()
        failure = f"cannot write {ledger.path}: {error.strerror or error}"
        return (Notice("spending_unwritten", f"{failure}; spending is counted in memory until you leave"),)


class EmbeddingCharges:
    """Charges requests for embeddings by ``model``; ``notify`` is given the notices.

    Nobody is asked and nothing waited for: embeddings can be done without.
    """

    def __init__(
        self, cashier: Cashier, model: str, count: Callable[[str], int], notify: Callable[[Notice], object]
    ) -> None:
        self._cashier = cashier
        self._model = model
        self._count = count
        self._notify = notify

    @asynccontextmanager
    async def __call__(self, texts: Sequence[str]) -> AsyncGenerator[Callable[[int | None], None]]:
        """Charge one request; the function it yields takes the tokens that the endpoint reports."""
        counted = Usage(sum(map(self._count, texts)), 0, estimated=True)
        price, budget = self._cashier.pricing, self._cashier.budget
        if budget.limits and price.cost_of(counted, self._model) is None:
            raise BudgetReached(
                f"the price of {self._model} is unknown, and a budget is set",
                hint=_set_price(self._model),
                code="price_unknown",
            )
        order = Order(self._model, lambda: counted.input_tokens or 0, lambda: 0)
        with closing(self._cashier.charge(order)) as charge:
            async with aclosing(charge.admission(is_patient=False)) as notices:
                async for notice in notices:
                    if isinstance(notice, Notice):
                        self._notify(notice)
            # A request that is cancelled is answered all the same.
            usage: Usage | None = counted

            def settle(reported_tokens: int | None) -> None:
                nonlocal usage
                usage = counted if reported_tokens is None else Usage(reported_tokens, 0)

            try:
                yield settle
            except Exception:
                usage = None if usage is counted else usage
                raise
            finally:
                if usage is not None:
                    believed = believed_usage(usage, Counted(counted.input_tokens or 0, 0, 0))
                    cost_usd = price.cost_of(believed.usage, self._model)
                    for notice in (*charge.doubted(believed.doubt, cost_usd), *charge.book(None, cost_usd)):
                        self._notify(notice)


def _release(work: asyncio.Future[Admission | Refusal]) -> None:
    if not work.cancelled() and work.exception() is None:
        outcome = work.result()
        if isinstance(outcome, Admission):
            outcome.release()


def _reached(estimate: str, standing: Standing, *, refused: bool) -> BudgetReached:
    if refused:
        return BudgetReached("not sent: it would exceed the budget", hint=standing.remedy)
    return BudgetReached(
        f"budget reached: {estimate}; {standing.words}",
        hint=f"{standing.remedy}; --max-tokens or another model (-m) may cost less",
    )


def _set_price(model: str) -> str:
    return f'[prices."{model}"] in config.toml sets it'
