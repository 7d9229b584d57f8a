"""Budgets: how much may be spent in a run, a session, a day and a month, and how much of it is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Final

from chatcli.cost.amounts import dollars, limit_of
from chatcli.cost.ledger import Total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from chatcli.cost.ledger import Expense, Ledger
    from chatcli.cost.spending import Account

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
        self._limits = {period: Decimal(str(usd)) for period, usd in limits.items()}

    @property
    def is_set(self) -> bool:
        return bool(self._limits)

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
