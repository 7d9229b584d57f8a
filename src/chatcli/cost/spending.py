"""What this run spends, and whom to ask where a budget ends."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import TypeAlias

    from chatcli.cost.ledger import Expense, Ledger

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
        self.reserved_usd = Decimal(0)
        """What the requests on their way are about to cost."""
        self.unwritten: list[Expense] = []
        """What is not in the ledger: it would not take it, or is to know nothing of this run."""
        self._told: set[str] = set()
        self._before: dict[str | None, Decimal] = {}
        self._in_run: dict[str | None, Decimal] = {}

    def of_session(self, payer: Payer) -> Decimal:
        """Return what a conversation has cost: what its answers did before this run, and all it asked since."""
        name, cost_usd = payer
        before = self._before.setdefault(name, Decimal(str(cost_usd or 0)) - self._in_run.get(name, 0))
        return max(Decimal(0), before) + self._in_run.get(name, 0)

    @contextmanager
    def reserved(self, usd: Decimal) -> Iterator[None]:
        """Set ``usd`` aside for a request while it is on its way, as others may be beside it."""
        self.reserved_usd += usd
        try:
            yield
        finally:
            self.reserved_usd -= usd

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
        is_news = what not in self._told
        self._told.add(what)
        return is_news


class Account(NamedTuple):
    """Whose money a model spends: ``payer`` tells which conversation pays, by the name it has by then.

    ``approve`` asks the person where a budget ends, ``None`` where nobody can be asked.
    """

    spending: Spending
    payer: Callable[[], Payer] = Payer
    approve: Approve | None = None
