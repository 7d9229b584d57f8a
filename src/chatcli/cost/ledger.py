"""The ledger: amounts spent, with their times, over all runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import KW_ONLY, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.frozen import frozen, mutable
from chatcli.core.json_values import required_text
from chatcli.storage.json_lines import LineFollower, SharedJsonLines, encode_line
from chatcli.storage.private_files import open_existing
from chatcli.text.times import local_now, timestamp
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FILE_NAME: Final = "spending.jsonl"

KEPT: Final = timedelta(days=400)
"""How long each request keeps a line of its own: a month can be compared with the same one a year before."""

_AT: Final = b'{"at":"'

_NOON: Final = time(12)

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
"""The latest time that has a date in every time zone."""
_LARGEST_USD: Final = Decimal(10**12)
_MOST_REQUESTS: Final = 10**12
_LARGE_BYTES: Final = 1_000_000
"""A smaller file is read quickly and left as it is."""


@frozen
class Expense:
    """An expense at ``at``, an aware time; ``cost_usd`` is ``None`` if the price is unknown.

    ``requests`` is the number of requests: those older than ``KEPT`` are merged by day. ``session`` is
    ``None`` if the conversation is not saved, ``model`` and ``endpoint`` are empty if the run saves nothing.
    """

    at: datetime
    model: str
    endpoint: str
    cost_usd: Decimal | None
    session: str | None = None
    requests: int = 1


class Total(NamedTuple):
    """US dollars, and the number of further requests at an unknown price."""

    usd: Decimal
    unknown: int

    def plus(self, expense: Expense) -> Total:
        if expense.cost_usd is None:
            return Total(self.usd, self.unknown + expense.requests)
        return Total(self.usd + expense.cost_usd, self.unknown)


NOTHING: Final = Total(Decimal(0), 0)


def total(expenses: Iterable[Expense]) -> Total:
    return reduce(Total.plus, expenses, NOTHING)


def unreadable_lines(path: Path, count: int) -> str:
    """Return the message about a ledger with ``count`` unreadable lines."""
    return f"{counted(count, 'line')} of {path} cannot be read; budgets do not count what was recorded there"


class Month:
    """The expenses of one month, which begins on the day ``first``, summed up as they are added."""

    def __init__(self, first: date) -> None:
        self.first = first
        self.expenses: list[Expense] = []
        self._days: dict[date, Total] = {}

    def add(self, expense: Expense, day: date) -> None:
        """Add an expense on ``day``, unless it is in another month."""
        if (day.year, day.month) == (self.first.year, self.first.month):
            self.expenses.append(expense)
            self._days[day] = self.of(day).plus(expense)

    def of(self, day: date) -> Total:
        return self._days.get(day, NOTHING)

    @property
    def total(self) -> Total:
        return Total(
            sum((spent.usd for spent in self._days.values()), Decimal(0)),
            sum(spent.unknown for spent in self._days.values()),
        )


_NO_MONTH: Final = Month(date.min)
"""Before the first look."""


@mutable
class Ledger:
    """A file with one JSON object a line, ``{"at", "model", "endpoint", "session", "cost_usd"}``, that any run appends to.

    ``at`` is RFC 3339 in UTC. Unreadable lines are skipped and counted. Days are those of the person's time
    zone, which ``clock`` gives. A file of more than ``large_bytes`` is compacted at most once a day. Methods
    raise ``OSError``.

    If ``is_private``, amounts are written and nothing else: of the time only the day, and no model, endpoint
    and session.
    """

    path: Path
    _: KW_ONLY
    is_private: bool = False
    clock: Callable[[], datetime] = local_now
    large_bytes: int = _LARGE_BYTES
    _lines: LineFollower | None = field(default=None, init=False)
    _month: Month = field(default=_NO_MONTH, init=False)
    _unreadable_lines: int = field(default=0, init=False)

    @property
    def unreadable_lines(self) -> int:
        """The number of lines that ``month`` skipped, because their content or time cannot be read."""
        # The last line may still be incomplete: it is read again next time.
        end = b"" if self._lines is None else self._lines.unfinished
        return self._unreadable_lines + (bool(end.strip()) and _expense(end) is None)

    def month(self) -> Month:
        """Return the spending of this month; only lines added since the last call are read."""
        now = self.clock()
        lines = self._lines = self._lines or LineFollower(self.path, self._start_over)
        if (now.year, now.month) != (self._month.first.year, self._month.first.month):
            lines.rewind()
        # Most lines of a year are older, which their beginning shows without parsing.
        oldest = _beginning(datetime.combine(self._month.first, time(), now.tzinfo))
        try:
            for line in lines.new_lines():
                if line.startswith(_AT) and line < oldest and len(line) > len(oldest):
                    continue
                if (expense := _expense(line)) is not None:
                    self._month.add(expense, expense.at.astimezone(now.tzinfo).date())
                elif line.strip():
                    self._unreadable_lines += 1
        except NotADirectoryError:
            lines.rewind()
        return self._month

    def expenses(self) -> list[Expense]:
        """Return all expenses; slow for a large ledger."""
        try:
            lines = LineFollower(self.path).new_lines()
            return [expense for line in lines if (expense := _expense(line)) is not None]
        except NotADirectoryError:
            return []

    def of_session(self, name: str, since: datetime) -> Decimal:
        """Return the known costs of the session ``name`` since a time: an older session may have had its name."""
        mark = encode_line({"session": name})[1:-2]
        try:
            lines = [line for line in LineFollower(self.path).new_lines() if mark in line]
        except NotADirectoryError:
            return Decimal(0)
        found = (expense for line in lines if (expense := _expense(line)) is not None)
        return total(each for each in found if each.session == name and each.at >= since).usd

    def append(self, *expenses: Expense) -> None:
        """Append expenses: all of them, or none and an ``OSError``."""
        if self.is_private:
            expenses = tuple(_amount_alone(expense, self.clock()) for expense in expenses)
        has_much_of_another_day = self._has_much_of_another_day()
        file = SharedJsonLines(self.path)
        file.append(b"".join(map(_line, expenses)))
        if has_much_of_another_day:
            # A large file costs its readers a moment; a later attempt may succeed.
            with suppress(OSError):
                file.compact(self._compacted)

    def check_writable(self) -> None:
        """Raise ``OSError`` if the file exists and cannot be appended to."""
        with suppress(FileNotFoundError):
            os.close(open_existing(self.path, follow_link=True))

    def _has_much_of_another_day(self) -> bool:
        try:
            status = self.path.stat()
        except OSError:
            return False
        now = self.clock()
        day = datetime.fromtimestamp(status.st_mtime, now.tzinfo).date()
        return status.st_size > self.large_bytes and day != now.date()

    def _compacted(self) -> Iterable[bytes] | None:
        """Merge the requests of each old day by model, if there are any to merge."""
        expenses = self.expenses()
        compacted = together(expenses, before=self.clock() - KEPT)
        return map(_line, compacted) if len(compacted) < len(expenses) else None

    def _start_over(self) -> None:
        self._month = Month(self.clock().date().replace(day=1))
        self._unreadable_lines = 0


def together(expenses: Iterable[Expense], *, before: datetime) -> list[Expense]:
    """Return ``expenses`` with those before ``before`` merged by day, model and endpoint; no total changes.

    Days are those of the time zone of ``before``.
    """
    days: dict[tuple[date, str, str, bool], Expense] = {}
    recent = []
    for expense in expenses:
        if expense.at >= before:
            recent.append(expense)
            continue
        key = (
            expense.at.astimezone(before.tzinfo).date(),
            expense.model,
            expense.endpoint,
            expense.cost_usd is None,
        )
        days[key] = _sum(days[key], expense) if key in days else replace(expense, session=None)
    return [*days.values(), *recent]


def _amount_alone(expense: Expense, now: datetime) -> Expense:
    """Return the amount of ``expense`` and its day in the time zone of ``now``.

    At noon, so that it is the same day and month after a change to or from summer time.
    """
    day = expense.at.astimezone(now.tzinfo).date()
    return replace(expense, at=datetime.combine(day, _NOON, now.tzinfo), model="", endpoint="", session=None)


def _sum(one: Expense, other: Expense) -> Expense:
    cost_usd = None if one.cost_usd is None or other.cost_usd is None else one.cost_usd + other.cost_usd
    return replace(one, cost_usd=cost_usd, requests=one.requests + other.requests)


def _beginning(at: datetime) -> bytes:
    """Return the beginning of lines written at that time: lines sort like their times."""
    return _AT + timestamp(at).encode()


def _line(expense: Expense) -> bytes:
    fields: dict[str, Any] = {
        "at": timestamp(expense.at),
        "model": expense.model,
        "endpoint": expense.endpoint,
        "session": expense.session,
        "cost_usd": None if expense.cost_usd is None else float(expense.cost_usd),
    }
    if expense.requests > 1:
        fields["requests"] = expense.requests
    return encode_line(fields)


def _expense(line: bytes) -> Expense | None:
    try:
        fields = json.loads(line, parse_float=Decimal)
        cost_usd, requests = fields["cost_usd"], fields.get("requests", 1)
        expense = Expense(
            datetime.fromisoformat(fields["at"]),
            required_text(fields, "model"),
            required_text(fields, "endpoint"),
            None if cost_usd is None else _decimal(cost_usd),
            None if fields["session"] is None else required_text(fields, "session"),
            int(requests),
        )
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return None
    is_sound = (
        (expense.cost_usd is None or 0 <= expense.cost_usd <= _LARGEST_USD)
        and expense.at.tzinfo is not None
        and _FIRST_YEAR <= expense.at.year <= _LAST_YEAR
        and 0 < expense.requests <= _MOST_REQUESTS
    )
    return expense if is_sound else None


def _decimal(value: Any) -> Decimal:
    if type(value) not in {int, float, Decimal}:
        raise TypeError("no amount")
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError("no amount")
    return amount
