"""The ledger: what was spent and when, over all runs."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.storage.json_lines import LineFollower, SharedJsonLines, encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FILE_NAME: Final = "spending.jsonl"

KEPT: Final = timedelta(days=400)
"""How long each request has a line of its own: a month can be compared with the same one a year ago."""

_AT: Final = b'{"at":"'

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
"""Until then a time has a day in every time zone."""
_LARGEST_USD: Final = Decimal(10**12)
_MOST_REQUESTS: Final = 10**12
_LARGE_BYTES: Final = 1_000_000
"""A smaller file is read in no time, and is left as it is."""


@dataclass(frozen=True, slots=True)
class Expense:
    """What was spent at ``at``, an aware time; ``cost_usd`` is ``None`` where the price is not known.

    ``requests`` is how many there were: after ``KEPT``, those of a day are put together. ``session`` is ``None``
    where nothing of the conversation is kept.
    """

    at: datetime
    model: str
    endpoint: str
    cost_usd: Decimal | None
    session: str | None = None
    requests: int = 1


class Total(NamedTuple):
    """US dollars, and how many requests of unknown price come on top."""

    usd: Decimal
    unknown: int

    def plus(self, expense: Expense) -> Total:
        if expense.cost_usd is None:
            return Total(self.usd, self.unknown + expense.requests)
        return Total(self.usd + expense.cost_usd, self.unknown)


NOTHING: Final = Total(Decimal(0), 0)


def total(expenses: Iterable[Expense]) -> Total:
    return reduce(Total.plus, expenses, NOTHING)


def local_now() -> datetime:
    return datetime.now().astimezone()


def unreadable_lines(path: Path, count: int) -> str:
    """Return what is wrong with a ledger of which ``count`` lines cannot be read."""
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return f"{lines} of {path} cannot be read; budgets do not count what was recorded there"


class Month:
    """What was spent in one month, which begins on the day ``first``; sums are at hand, however much there was."""

    def __init__(self, first: date) -> None:
        self.first = first
        self.expenses: list[Expense] = []
        self._days: dict[date, Total] = {}

    def add(self, expense: Expense, day: date) -> None:
        """Add what was spent on ``day``, unless that is in another month."""
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


class Ledger:
    """A file with one JSON object a line, ``{"at", "model", "endpoint", "session", "cost_usd"}``, that any run adds to.

    ``at`` is RFC 3339 in UTC. Lines that cannot be read are skipped, and counted. Days are those of the person's own time, which ``clock`` tells. A file of more than
    ``large_bytes`` is looked through once a day for what can be put together. Methods raise ``OSError``.

    Of a run that leaves no trace, which ``is_kept`` denies, nothing is to be written here.
    """

    def __init__(
        self,
        path: Path,
        *,
        is_kept: bool = True,
        clock: Callable[[], datetime] = local_now,
        large_bytes: int = _LARGE_BYTES,
    ) -> None:
        self.path = path
        self.is_kept = is_kept
        self.clock = clock
        self._large_bytes = large_bytes
        self._lines: LineFollower | None = None
        self._start_over()

    @property
    def unreadable_lines(self) -> int:
        """How many lines ``month`` passed over because nobody can say what they record, or when it was."""
        # A last line may still be on its way to the file: it is looked at again the next time.
        end = b"" if self._lines is None else self._lines.unfinished
        return self._unreadable_lines + (bool(end.strip()) and _expense(end) is None)

    def month(self) -> Month:
        """Return what was spent this month; only what came since the last call is read."""
        now = self.clock()
        lines = self._lines = self._lines or LineFollower(self.path, self._start_over)
        if (now.year, now.month) != (self._month.first.year, self._month.first.month):
            lines.rewind()
        # Most of a year's lines are older, and are told by their beginning, without being parsed.
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
        """Return all there is, which takes a while where it is much."""
        try:
            lines = LineFollower(self.path).new_lines()
            return [expense for line in lines if (expense := _expense(line)) is not None]
        except NotADirectoryError:
            return []

    def append(self, expense: Expense) -> None:
        """Add an expense."""
        has_much_of_another_day = self._has_much_of_another_day()
        file = SharedJsonLines(self.path)
        file.append(_line(expense))
        if has_much_of_another_day:
            # A file that stays large costs its readers a moment: another time may have more luck.
            with suppress(OSError):
                file.compact(self._compacted)

    def _has_much_of_another_day(self) -> bool:
        try:
            status = self.path.stat()
        except OSError:
            return False
        now = self.clock()
        day = datetime.fromtimestamp(status.st_mtime, now.tzinfo).date()
        return status.st_size > self._large_bytes and day != now.date()

    def _compacted(self) -> Iterable[bytes] | None:
        """Put the requests of each day long ago together, by model, where there are any to put together."""
        expenses = self.expenses()
        compacted = together(expenses, before=self.clock() - KEPT)
        return map(_line, compacted) if len(compacted) < len(expenses) else None

    def _start_over(self) -> None:
        self._month = Month(self.clock().date().replace(day=1))
        self._unreadable_lines = 0


def together(expenses: Iterable[Expense], *, before: datetime) -> list[Expense]:
    """Return ``expenses``, those ``before`` put together by day, model and endpoint; no total changes.

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


def _sum(one: Expense, other: Expense) -> Expense:
    cost_usd = None if one.cost_usd is None or other.cost_usd is None else one.cost_usd + other.cost_usd
    return replace(one, cost_usd=cost_usd, requests=one.requests + other.requests)


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _beginning(at: datetime) -> bytes:
    """Return how a line of that time begins: lines compare as their times do."""
    return _AT + _timestamp(at).encode()


def _line(expense: Expense) -> bytes:
    fields: dict[str, Any] = {
        "at": _timestamp(expense.at),
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
            _text(fields["model"]),
            _text(fields["endpoint"]),
            None if cost_usd is None else _decimal(cost_usd),
            None if fields["session"] is None else _text(fields["session"]),
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


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
