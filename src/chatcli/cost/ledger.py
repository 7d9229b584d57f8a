"""The ledger: what was spent and when, over all runs."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from chatcli.storage import private_files
from chatcli.storage.file_lock import lock
from chatcli.storage.private_files import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

FILE_NAME: Final = "spending.jsonl"

KEPT: Final = timedelta(days=400)
"""How long each request has a line of its own: a month can be compared with the same one a year ago."""

_AT: Final = b'{"at":"'

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
"""Until then a time has a day in every time zone."""
_MOST_BYTES: Final = 1 << 30
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

    ``at`` is RFC 3339 in UTC. Whoever writes holds the lock beside it; readers need none. Lines that cannot be read
    are skipped, and counted. Days are those of the person's own time, which ``clock`` tells. A file of more than
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
        self._lock_path = path.with_suffix(".lock")
        self._month = Month(date.min)
        self._identity: tuple[int, int] | None = None
        self._read_up_to = 0
        self._unreadable_lines = 0
        self._ends_unreadable = False

    @property
    def unreadable_lines(self) -> int:
        """How many lines ``month`` passed over because nobody can say what they record, or when it was."""
        return self._unreadable_lines + self._ends_unreadable

    def month(self) -> Month:
        """Return what was spent this month; only what came since the last call is read."""
        now = self.clock()
        if (now.year, now.month) != (self._month.first.year, self._month.first.month):
            self._start_over(None)
        try:
            with open_regular(self.path) as file:
                self._follow(file, now)
        except (FileNotFoundError, NotADirectoryError):
            self._start_over(None)
        return self._month

    def expenses(self) -> list[Expense]:
        """Return all there is, which takes a while where it is much."""
        try:
            lines = read_regular(self.path, most_bytes=_MOST_BYTES).split(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return []
        # The last one is torn, or nothing.
        return [expense for line in lines[:-1] if (expense := _expense(line)) is not None]

    def append(self, expense: Expense) -> None:
        """Add an expense."""
        private_files.make_folder(self.path.parent)
        with self._locked():
            # A link here is the person's own: nobody else can write in this folder.
            descriptor = private_files.open_for_append(self.path, follow_link=True)
            try:
                before = os.fstat(descriptor)
                _write(descriptor, _line(expense))
            finally:
                os.close(descriptor)
            if before.st_size > self._large_bytes and self._is_of_another_day(before.st_mtime):
                # A file that stays large costs its readers a moment: another time may have more luck.
                with suppress(OSError):
                    self._compact()

    def _is_of_another_day(self, mtime_s: float) -> bool:
        now = self.clock()
        return datetime.fromtimestamp(mtime_s, now.tzinfo).date() != now.date()

    def _compact(self) -> None:
        """Put the requests of each day long ago together, by model, where there are any to put together."""
        expenses = self.expenses()
        compacted = together(expenses, before=self.clock() - KEPT)
        if len(compacted) < len(expenses):
            private_files.replace(self.path.resolve(), b"".join(map(_line, compacted)))

    def _follow(self, file: BinaryIO, now: datetime) -> None:
        status = os.fstat(file.fileno())
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity or status.st_size < self._read_up_to:
            self._start_over(identity)
        file.seek(self._read_up_to)
        whole, newline, end = file.read().rpartition(b"\n")
        self._read_up_to += len(whole) + len(newline)
        # A last line may still be on its way to the file: it is looked at again the next time.
        self._ends_unreadable = bool(end.strip()) and _expense(end) is None
        # Most of a year's lines are older, and are told by their beginning, without being parsed.
        oldest = _beginning(datetime.combine(self._month.first, time(), now.tzinfo))
        for line in whole.split(b"\n"):
            if line.startswith(_AT) and line < oldest and len(line) > len(oldest):
                continue
            if (expense := _expense(line)) is not None:
                self._month.add(expense, expense.at.astimezone(now.tzinfo).date())
            elif line.strip():
                self._unreadable_lines += 1

    def _start_over(self, identity: tuple[int, int] | None) -> None:
        self._month = Month(self.clock().date().replace(day=1))
        self._identity = identity
        self._read_up_to = 0
        self._unreadable_lines = 0
        self._ends_unreadable = False

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = private_files.open_for_append(self._lock_path)
        try:
            lock(descriptor)
            yield
        finally:
            os.close(descriptor)


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
    line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate becomes its JSON escape.
    return line.encode("utf-8", "backslashreplace") + b"\n"


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


def _write(descriptor: int, line: bytes) -> None:
    """Write ``line`` at the end; what a full disk leaves of it is taken back."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    # A line torn when its writer died gets its end, so that it stays alone in being unreadable.
    content = b"\n" + line if _ends_torn(descriptor, size) else line
    if os.write(descriptor, content) < len(content):
        os.ftruncate(descriptor, size)
        raise OSError("the disk is full")


def _ends_torn(descriptor: int, size: int) -> bool:
    if not size:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"
