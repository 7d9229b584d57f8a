"""Budgets: the spending and the limits of a run, a session, a day and a month."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import field
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import BudgetReached, LocalIOError
from chatcli.core.frozen import frozen, mutable
from chatcli.cost.ledger import Expense, Total, total
from chatcli.cost.price import limit_of
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
    from datetime import date, datetime
    from typing import TypeAlias, TypeVar

    from chatcli.cost.ledger import Ledger
    from chatcli.cost.reservations import Reservation, Reservations

    Spent = TypeVar("Spent", Decimal, Total)

    Approve: TypeAlias = Callable[[str], Awaitable[bool | None]]
    """Asks the person whether something may cost the stated amount; ``None`` is a no that stops the turn as well."""


class Payer(NamedTuple):
    """The conversation that pays: its name, if it is saved, the cost of its answers so far, and when it began."""

    name: str | None = None
    cost_usd: float | None = None
    since: datetime | None = None


@mutable
class Spending:
    """The spending of one run over all models; shared by every conversation of the run."""

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a request is admitted: one question to the person at a time."""
    run_usd: Decimal = Decimal(0)
    ahead_usd: Decimal = Decimal(0)
    """What of it was spent on questions that nobody had asked yet."""
    reserved: dict[object, Callable[[], Decimal | None]] = field(default_factory=dict)
    """The reserved or estimated cost of each charge in flight, computed when a budget asks for it."""
    unwritten: list[Expense] = field(default_factory=list)
    """Expenses missing from the ledger, which could not be written, or wait for others to be written with."""
    expenses_at_once: int = 1
    """How many expenses are written together, where no limit is set; what is left needs ``catch_up`` at the end."""
    _kept: list[Admission] = field(default_factory=list)
    _reported: set[str] = field(default_factory=set)
    _before: dict[str | None, Decimal] = field(default_factory=dict)
    _in_run: dict[str | None, Decimal] = field(default_factory=dict)

    def of_session(self, payer: Payer, ledger: Ledger) -> Decimal:
        """Return the cost of a conversation: what it spent before this run, and its requests since.

        The ledger also has what its answers do not show: those that broke off, titles, questions aside. It may
        have been deleted, so the higher figure counts. Raise ``OSError`` if it cannot be read.
        """
        name, cost_usd, since = payer
        in_run = self._in_run.get(name, Decimal(0))
        if name not in self._before:
            answers_usd, recorded_usd = Decimal(str(cost_usd or 0)), Decimal(0)
            if name is not None and since is not None:
                unwritten = (each for each in self.unwritten if each.session == name)
                recorded_usd = ledger.of_session(name, since) + total(unwritten).usd
            self._before[name] = max(Decimal(0), answers_usd - in_run, recorded_usd - in_run)
        return self._before[name] + in_run

    @property
    def reserved_usd(self) -> Decimal:
        """The amount set aside for requests of this run in flight."""
        return sum((estimate_usd() or Decimal(0) for estimate_usd in self.reserved.values()), Decimal(0))

    def book(self, expense: Expense, ledger: Ledger, admissions: Iterable[Admission] = ()) -> OSError | None:
        """Add an expense to this run and to ``ledger``; return the error if the ledger cannot be written.

        Then the ``admissions`` of the request stay reserved, so that other processes count the expense as long
        as this one runs. The ledger does not record free requests, a private one only amounts.
        """
        if expense.cost_usd == 0 or (expense.cost_usd is None and ledger.is_private):
            return None
        self.run_usd += expense.cost_usd or 0
        self._in_run[expense.session] = self._in_run.get(expense.session, Decimal(0)) + (
            expense.cost_usd or 0
        )
        self.unwritten.append(expense)
        admitted = tuple(admissions)
        # Where limits are set, other processes need to see it at once.
        if len(self.unwritten) < self.expenses_at_once and not admitted:
            return None
        try:
            self.catch_up(ledger)
        except OSError as error:
            self._kept += admitted
            return error
        return None

    def catch_up(self, ledger: Ledger) -> None:
        """Write the expenses that the ledger lacks. Raise ``OSError``."""
        if self.unwritten:
            ledger.append(*self.unwritten)
            self.unwritten.clear()
        while self._kept:
            self._kept.pop().release()

    def keeps(self, admission: Admission) -> bool:
        """Return whether ``admission`` stands for an expense that the ledger lacks."""
        return any(admission is kept for kept in self._kept)

    def is_first_report(self, what: str) -> bool:
        """Return whether ``what`` has not been reported in this run yet, and mark it as reported."""
        is_first_report = what not in self._reported
        self._reported.add(what)
        return is_first_report


class Account(NamedTuple):
    """The account a model's requests are charged to: ``payer`` returns the conversation that pays, by its current name.

    ``approve`` asks the person at the limit of a budget, ``None`` if nobody can be asked. ``is_ahead``: for questions
    that nobody has asked yet.
    """

    spending: Spending
    payer: Callable[[], Payer] = Payer
    approve: Approve | None = None
    is_ahead: bool = False


PREFETCH: Final = "prefetch"
RUN: Final = "run"
SESSION: Final = "session"
DAY: Final = "day"
MONTH: Final = "month"

_WHOSE: Final = {
    PREFETCH: "the prefetch budget of",
    RUN: "this run's",
    SESSION: "this session's",
    DAY: "today's",
    MONTH: "this month's",
}
_SHARED: Final = {DAY, MONTH}
"""The limits that other processes spend from as well."""
_PATIENCE_S: Final = 5.0


@frozen
class Standing:
    """The state of one limit in US dollars: ``spent`` of ``limit``, and ``reserved`` for requests in flight.

    ``period`` names the limit.
    """

    period: str
    limit: Decimal
    spent: Decimal
    reserved: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        return self.limit - self.spent - self.reserved

    @property
    def whole(self) -> str:
        return f"{_WHOSE[self.period]} {limit_of(self.limit)}"

    @property
    def words(self) -> str:
        spent = (
            f"{dollars(self.spent)} of {self.whole} spent"
            if self.spent
            else f"none of {self.whole} has been spent"
        )
        return (
            f"{spent}, {dollars(self.reserved)} set aside for requests in flight" if self.reserved else spent
        )

    @property
    def remedy(self) -> str:
        """The hint that says how to raise the limit."""
        if self.period == RUN:
            return "--max-cost changes the limit"
        return f"[budget] {self.period} in config.toml changes the limit"


@frozen
class Need:
    """The cost of a request: of its input, and of each token of its answer.

    The answer may have ``most_tokens``; an answer of ``least_tokens`` is worth sending the request.
    """

    input_usd: Decimal
    token_usd: Decimal
    least_tokens: int
    most_tokens: int

    def usd(self, answer_tokens: int) -> Decimal:
        return self.input_usd + self.token_usd * answer_tokens

    def tokens_for(self, usd: Decimal) -> int:
        """Return the length of the longest answer that costs at most ``usd`` with its input."""
        if not self.token_usd:
            return self.most_tokens
        return min(self.most_tokens, int((usd - self.input_usd) / self.token_usd))


@frozen
class Admission:
    """A request that may be sent: ``reserved_usd`` are set aside for it, an answer of ``answer_tokens`` included.

    ``answer_tokens`` is ``None`` if the person approved an answer of any length, ``capped_by`` the limit that
    leaves no more for it, if one does. Other processes see the ``reservation``.
    """

    reserved_usd: Decimal | None
    answer_tokens: int | None = None
    capped_by: Standing | None = None
    reservation: Reservation | None = None

    def release(self) -> None:
        if self.reservation is not None:
            self.reservation.release()


class Refusal(NamedTuple):
    """A request that may not be sent, by the limit ``standing``.

    ``may_pass``: it would fit if the requests in flight cost nothing.
    """

    standing: Standing
    may_pass: bool


@mutable
class Budget:
    """The limits that are set, and the spending against each.

    ``limits`` are US dollars by period: ``run``, ``session``, ``day``, ``month``, in the person's time zone;
    ``prefetch`` is what the run may spend on questions that nobody has asked yet.
    Requests in flight count with what is reserved for them, whichever conversation pays for them; for a day
    and a month, also those of other processes.
    """

    limits: Mapping[str, float]
    account: Account
    ledger: Ledger
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False)
    _reservations: Reservations | None = field(default=None, init=False)

    @property
    def spending(self) -> Spending:
        return self.account.spending

    @property
    def limits_usd(self) -> dict[str, Decimal]:
        return {period: Decimal(str(usd)) for period, usd in self.limits.items()}

    @property
    def is_shared(self) -> bool:
        """Whether other processes spend from the same limits."""
        return not self.limits.keys().isdisjoint(_SHARED)

    def admit(self, need: Need | None, *, is_approved: bool = False) -> Admission | Refusal:
        """Reserve ``need``, or as much of its answer as every limit leaves; ``None`` is an unknown need.

        Only if a limit leaves less than the smallest answer, or nothing for an unknown need, the request is
        refused, unless it ``is_approved``: then all of it is reserved. With a limit that other processes spend
        from as well this reads and writes files; if it cannot, ``BudgetReached`` is raised.
        """
        with self._alone() as shared_usd:
            standings = list(self._standings(shared_usd))
            if not is_approved and (refused := _first_passed(standings, need)) is not None:
                return refused
            if need is None:
                return Admission(None)
            tightest = min(standings, key=lambda standing: standing.left)
            tokens = need.most_tokens if is_approved else need.tokens_for(tightest.left)
            reserved = need.usd(tokens)
            return Admission(
                reserved,
                None if is_approved else tokens,
                tightest if tokens < need.most_tokens else None,
                self._reserve(reserved),
            )

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

    def spent_in_session(self) -> Decimal:
        """Return the spending of the conversation over all runs. Raise ``OSError`` if the ledger cannot be read."""
        return self.spending.of_session(self.account.payer(), self.ledger)

    @property
    def is_recorded(self) -> bool:
        """Whether a limit is kept by the ledger, so that an expense it lacks could be spent again."""
        return self.is_shared or (SESSION in self.limits and self.account.payer().name is not None)

    @property
    def unreadable_lines(self) -> int:
        """The number of unreadable ledger lines that the standings lack."""
        return self.ledger.unreadable_lines if self.is_shared else 0

    @contextmanager
    def _alone(self) -> Iterator[Decimal]:
        """Yield the amount reserved over all processes, which does not grow until the end; 0 without a shared limit."""
        if not self.is_shared:
            try:
                if self.is_recorded:
                    self.spending.catch_up(self.ledger)
                yield Decimal(0)
            except OSError as error:
                raise self.not_kept(error) from error
            return
        reservations = self._shared()
        if not self._one_at_a_time.acquire(timeout=_PATIENCE_S):
            raise self.not_kept(OSError(None, "the disk does not answer"))
        try:
            with reservations.locked():
                self.spending.catch_up(self.ledger)
                yield max(reservations.total(), self.spending.reserved_usd)
        except OSError as error:
            raise self.not_kept(error) from error
        finally:
            self._one_at_a_time.release()

    def not_kept(self, error: OSError, *, reading: bool = False) -> BudgetReached:
        """Return the error of a limit that cannot be enforced: nothing is sent then."""
        verb, adjective = ("read", "readable") if reading else ("write", "writable")
        path = error.filename or self.ledger.path
        content = "is spent" if str(path) == str(self.ledger.path) else "requests in flight may cost"
        return BudgetReached(
            f"cannot {verb} {path}, which records what {content}: {error.strerror or error}",
            hint=f"make it {adjective}, or take the budget out of config.toml",
            code=f"spending_un{adjective}",
        )

    def not_recorded(self, error: OSError, usd: Decimal | None) -> LocalIOError:
        """Return the error of an expense that could not be recorded: later runs would spend it again."""
        cost = "the cost" if usd is None else dollars(usd)
        return LocalIOError(
            f"cannot write {self.ledger.path}: {error.strerror or error}; {cost} of this answer is not recorded",
            hint="make room on its disk, or make it writable; budgets do not count this answer once chatcli ends",
            code="spending_unwritten",
        )

    def _reserve(self, usd: Decimal) -> Reservation | None:
        if self.is_recorded:
            # What cannot be written afterwards must not be spent.
            self.ledger.check_writable()
        return self._shared().add(usd) if self.is_shared else None

    def _shared(self) -> Reservations:
        if self._reservations is None:
            # Without a budget that other processes share, nothing of this is loaded.
            from chatcli.cost.reservations import FOLDER_NAME, Reservations  # noqa: PLC0415

            self._reservations = Reservations(
                self.ledger.path.with_name(FOLDER_NAME), self.ledger.clock, patience_s=_PATIENCE_S
            )
        return self._reservations

    def _standings(self, shared_usd: Decimal) -> Iterator[Standing]:
        """Yield the state of each limit, the narrowest first; ``shared_usd`` is reserved over all processes."""
        limits = self.limits_usd
        for period in _WHOSE:
            if period in limits:
                reserved_usd = shared_usd if period in _SHARED else self.spending.reserved_usd
                yield Standing(period, limits[period], self._spent(period), reserved_usd)

    def _unwritten(self, since: date) -> Iterator[Expense]:
        zone = self.ledger.clock().tzinfo
        for expense in self.spending.unwritten:
            if expense.at.astimezone(zone).date() >= since:
                yield expense

    def _spent(self, period: str) -> Decimal:
        match period:
            case "session":
                return self._read(self.spent_in_session)
            case "prefetch":
                return self.spending.ahead_usd
            case "day" | "month":
                return self._read(self.spent_today if period == DAY else self.spent_this_month).usd
            case _:
                return self.spending.run_usd

    def _read(self, spent: Callable[[], Spent]) -> Spent:
        try:
            return spent()
        except OSError as error:
            raise self.not_kept(error, reading=True) from error


def _first_passed(standings: list[Standing], need: Need | None) -> Refusal | None:
    """Return the first limit that leaves less than ``need`` has at least."""
    least_usd = None if need is None else need.usd(need.least_tokens)
    passed = [
        standing
        for standing in standings
        if (standing.left <= 0 if least_usd is None else standing.left < least_usd)
    ]
    if not passed:
        return None
    freed = [standing.left + standing.reserved for standing in passed]
    return Refusal(passed[0], all(usd > 0 if least_usd is None else usd >= least_usd for usd in freed))
