"""The store of finished calls in the data folder, shared by all processes of one person."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.errors import LocalIOError
from chatcli.telemetry.call_database import CallDatabase, transaction
from chatcli.telemetry.call_tables import (
    LATEST_US,
    ROWS_AT_ONCE,
    insert,
    insert_at_once,
    kind_number,
    kind_of,
    kinds,
    microseconds,
    packed,
    recent,
    slices_of_calls,
    unpacked,
    values_of,
)
from chatcli.telemetry.tallies import Tally, by_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from chatcli.core.call_records import CallRecord
    from chatcli.core.statistics import Figures
    from chatcli.telemetry.tallies import CallKind, CallSlice

FILE_NAME: Final = "telemetry-1.sqlite"
"""The number is that of the tables: another version of them is another file."""

BUSY_TIMEOUT_S: Final = 1.0

LATE_US: Final = 15 * 60 * 10**6
"""A call is stored when it ends, under the time it began. Few take longer than this."""

_HOUR_US: Final = 3600 * 10**6
_LONGEST_PERIOD_US: Final = 48 * _HOUR_US
_DELETED_AT_ONCE: Final = 20_000
_FEWEST_KEPT: Final = 100
"""Fewer calls are added up nearly as quickly as their sums are read."""
_TIMES_FEWEST: Final = 20
"""Up to so many times that, calls of several hours are added up at once."""


class Period(NamedTuple):
    """Calls from ``start_us`` to before ``end_us``; one that ``is_closed`` gets no more calls, as far as is known."""

    start_us: int
    end_us: int
    is_closed: bool = False


class CallStore:
    """The calls in the file ``path``, readable only by its owner.

    Every method raises ``LocalIOError`` if the database cannot be used: it is busy for ``busy_timeout_s``, the disk is full, the
    file is damaged. A damaged file is moved aside (``telemetry-1.sqlite.damaged``), which ``on_damage`` is told in a line. Reading
    makes no file. Used by one thread at a time.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        on_damage: Callable[[str], None] = lambda _message: None,
        fewest_kept: int = _FEWEST_KEPT,
    ) -> None:
        self._database = CallDatabase(path, busy_timeout_s, on_damage)
        self._fewest_kept = fewest_kept
        self._generation = (-1, -1)
        self._numbers: dict[CallKind, int] = {}
        self._kinds: dict[int, CallKind] = {}
        self._last_conflict = (-1, -1)
        self._is_hindered = False

    def append(self, calls: Sequence[CallRecord]) -> None:
        """Store all of ``calls`` or none."""
        if not calls:
            return
        try:
            with self._database.writing() as connection:
                self._begin(connection)
                times_us = self._insert(connection, calls)
                _delete_sums(connection, min(times_us), max(times_us))
            self._is_hindered = False
        except BaseException:
            # The numbers that kinds got in this transaction are not theirs.
            self._numbers.clear()
            raise

    def figures(
        self, since_s: float, until_s: float, *, model: str | None = None, endpoint: str | None = None
    ) -> Figures:
        """Return the figures of calls that began from ``since_s`` to before ``until_s``, in seconds since the epoch."""
        tally = Tally()
        bounds_us = microseconds(since_s), microseconds(until_s)
        is_filtered = (model, endpoint) != (None, None)
        with self._database.reading() as connection:
            for period in _covering(connection, *bounds_us, _TIMES_FEWEST * self._fewest_kept):
                (slices,) = self._sums(connection, period, "slices" if is_filtered else "outcomes")
                for calls in slices:
                    kind = self._kinds.get(calls.kind)
                    if kind and model in (None, kind.model) and endpoint in (None, kind.endpoint):
                        tally.add(kind, calls)
        return tally.figures()

    def recent(self, most: int, *, before_s: float | None = None) -> list[CallRecord]:
        """Return the last calls, at most so many, newest last; of those that began before ``before_s``, if it is given."""
        before_us = LATEST_US + 1 if before_s is None else microseconds(before_s)
        with self._database.reading() as connection:
            return recent(connection, before_us, most)[::-1]

    def first_and_last_s(self) -> tuple[float, float] | None:
        """Return when the first and the last call began, ``None`` if there is none."""
        with self._database.reading() as connection:
            first, last = connection.execute(
                "SELECT (SELECT min(at_us) FROM calls), (SELECT max(at_us) FROM calls)"
            ).fetchone()
        return (
            None if first is None else tuple(min(max(at_us, 0), LATEST_US) / 1e6 for at_us in (first, last))
        )

    def next_us(self, from_us: int) -> int | None:
        """Return when the first call from ``from_us`` on began, in microseconds; ``None`` if there is none."""
        with self._database.reading() as connection:
            (at_us,) = connection.execute(
                "SELECT min(at_us) FROM calls WHERE at_us >= ?", (from_us,)
            ).fetchone()
        return None if at_us is None else int(at_us)

    def kinds(self) -> Mapping[int, CallKind]:
        """Return the kinds of calls by their numbers."""
        with self._database.reading() as connection:
            return kinds(connection)

    def slices(self, period: Period) -> list[CallSlice]:
        """Return what the calls of a period come to, of each kind. That of a closed period is kept, if it can be."""
        with self._database.reading() as connection:
            return self._sums(connection, period, "slices")[0]

    def outcomes(self, period: Period) -> list[CallSlice]:
        """Return the same in fewer slices: only ``outcome`` and ``is_cache_hit`` of their kinds are to be relied on."""
        with self._database.reading() as connection:
            return self._sums(connection, period, "outcomes")[0]

    def slices_and_outcomes(self, period: Period) -> tuple[list[CallSlice], list[CallSlice]]:
        with self._database.reading() as connection:
            slices, outcomes = self._sums(connection, period, "slices", "outcomes")
        return slices, outcomes

    def keep(self, period: Period) -> None:
        """Add up the calls of a period that is closed, if that is worth it and nobody has."""
        with self._database.reading() as connection:
            is_kept = connection.execute(
                "SELECT 1 FROM periods WHERE start_us = ? AND end_us = ?", period[:2]
            ).fetchone()
            if not is_kept and _count(connection, period) >= self._fewest_kept:
                self._sums(connection, period._replace(is_closed=True), "outcomes")

    def forget(self, before_s: float) -> None:
        """Delete the calls that began before ``before_s``."""
        before_us = microseconds(before_s)
        with self._database.reading() as connection:
            is_any = connection.execute(
                "SELECT 1 FROM calls WHERE at_us < ? LIMIT 1", (before_us,)
            ).fetchone()
        deleted = _DELETED_AT_ONCE if is_any else 0
        while deleted == _DELETED_AT_ONCE:
            # Others can write in between.
            with self._database.writing() as connection:
                deleted = connection.execute(
                    "DELETE FROM calls WHERE at_us IN (SELECT at_us FROM calls WHERE at_us < ? ORDER BY at_us LIMIT ?)",
                    (before_us, _DELETED_AT_ONCE),
                ).rowcount
                connection.execute("DELETE FROM periods WHERE start_us < ?", (before_us,))
                if deleted < _DELETED_AT_ONCE:
                    connection.execute("DELETE FROM kinds WHERE id NOT IN (SELECT DISTINCT kind FROM calls)")
                _begin_generation(connection)

    def clear(self) -> None:
        """Delete all calls."""
        if not self._database.exists:
            return
        with self._database.writing() as connection:
            for table in ("calls", "periods", "kinds"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of these names
            _begin_generation(connection)
        # Deleted rows stay in the file until it is written anew.
        with suppress(LocalIOError), self._database.using() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def damaged_at_s(self) -> float | None:
        """Return when a damaged file that was moved aside was last written, ``None`` if there is none."""
        return self._database.damaged_at_s()

    def close(self) -> None:
        self._database.close()

    def _insert(self, connection: sqlite3.Connection, calls: Sequence[CallRecord]) -> list[int]:
        """Store calls, and return at which microseconds."""
        times_us: list[int] = []
        rows = [(microseconds(call.at_s), self._values(connection, call)) for call in calls]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            together = rows[start : start + ROWS_AT_ONCE]
            if len(together) == ROWS_AT_ONCE and insert_at_once(connection, together):
                times_us += [at_us for at_us, _ in together]
            else:
                times_us += [self._insert_one(connection, *row) for row in together]
        return times_us

    def _insert_one(
        self, connection: sqlite3.Connection, wanted_us: int, values: tuple[int | None, ...]
    ) -> int:
        # Many calls of one microsecond come from a clock that stands: the search goes on where it ended.
        asked, used = self._last_conflict
        at_us = insert(connection, used + 1 if asked == wanted_us else wanted_us, values)
        if at_us != wanted_us:
            self._last_conflict = (wanted_us, at_us)
        return at_us

    def _values(self, connection: sqlite3.Connection, call: CallRecord) -> tuple[int | None, ...]:
        kind = kind_of(call)
        number = self._numbers.get(kind)
        if number is None:
            number = self._numbers[kind] = kind_number(connection, kind)
        return values_of(call, number)

    def _sums(self, connection: sqlite3.Connection, period: Period, *columns: str) -> list[list[CallSlice]]:
        """Return the slices in each of ``columns``; those of calls that are not added up yet are in all of them."""
        self._begin(connection)
        kept = connection.execute(
            f"SELECT {', '.join(columns)} FROM periods WHERE start_us = ? AND end_us = ?",  # noqa: S608 - known names
            period[:2],
        ).fetchone()
        if kept is not None:
            with suppress(ValueError):
                unpacked_columns = [unpacked(blob) for blob in kept]
                for slices in unpacked_columns:
                    self._know(connection, slices)
                return unpacked_columns
        self._kinds = self._kinds or kinds(connection)
        slices = slices_of_calls(connection, period.start_us, period.end_us, self._kinds)
        self._know(connection, slices)
        is_worth_it = period.is_closed and sum(each.sums.calls for each in slices) >= self._fewest_kept
        if is_worth_it and not self._is_hindered:
            try:
                self._keep(connection, period, slices)
            except sqlite3.Error:
                # The disk may be full or write-protected. Others may be writing for long, whom one wait is enough for.
                self._is_hindered = True
        return [slices] * len(columns)

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Forget what is known of kinds if calls have been deleted: their numbers may be those of others now."""
        generation = (self._database.openings, _generation(connection))
        if generation != self._generation:
            self._numbers.clear()
            self._kinds = {}
            self._generation = generation

    def _know(self, connection: sqlite3.Connection, slices: Sequence[CallSlice]) -> None:
        if any(each.kind not in self._kinds for each in slices):
            self._kinds = kinds(connection)

    def _keep(self, connection: sqlite3.Connection, period: Period, slices: Sequence[CallSlice]) -> None:
        """Keep the sums of a period, unless its calls have changed meanwhile."""
        if any(each.kind not in self._kinds for each in slices):
            return
        blobs = packed(by_outcome(slices, self._kinds)), packed(slices)
        with transaction(connection):
            calls = sum(each.sums.calls for each in slices)
            if _count(connection, period) == calls and _generation(connection) == self._generation[1]:
                connection.execute(
                    "INSERT OR REPLACE INTO periods VALUES (?, ?, ?, ?)", (*period[:2], *blobs)
                )


def _count(connection: sqlite3.Connection, period: Period) -> int:
    counted = connection.execute("SELECT count(*) FROM calls WHERE at_us >= ? AND at_us < ?", period[:2])
    return int(counted.fetchone()[0])


def _generation(connection: sqlite3.Connection) -> int:
    """Return how often calls were deleted."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _begin_generation(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {(_generation(connection) + 1) % 2**31}")


def _covering(connection: sqlite3.Connection, since_us: int, until_us: int, few: int) -> Iterator[Period]:
    """Yield periods from ``since_us`` to ``until_us``: those whose sums are kept, the longest first, and what is between them."""
    kept = connection.execute(
        "SELECT start_us, end_us FROM periods WHERE start_us >= ? AND end_us <= ? ORDER BY start_us, end_us DESC",
        (since_us, until_us),
    ).fetchall()
    closed_before_us = until_us - LATE_US
    reached_us = since_us
    for start_us, end_us in kept:
        if start_us < reached_us:
            continue
        yield from _hours(connection, reached_us, start_us, closed_before_us, few)
        yield Period(start_us, end_us)
        reached_us = end_us
    yield from _hours(connection, reached_us, until_us, closed_before_us, few)


def _hours(
    connection: sqlite3.Connection, start_us: int, end_us: int, closed_before_us: int, few: int
) -> Iterator[Period]:
    """Yield the hours between two times that have calls, each alone while they are closed; fewer than ``few`` all at once."""
    if start_us >= end_us:
        return
    (calls,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM calls WHERE at_us >= ? AND at_us < ? LIMIT ?)",
        (start_us, end_us, few),
    ).fetchone()
    if calls < few:
        yield Period(start_us, end_us)
        return
    while start_us < end_us:
        (next_us,) = connection.execute(
            "SELECT min(at_us) FROM calls WHERE at_us >= ? AND at_us < ?", (start_us, end_us)
        ).fetchone()
        if next_us is None:
            return
        hour_us = next_us - next_us % _HOUR_US
        start_us, next_us = max(start_us, hour_us), min(end_us, hour_us + _HOUR_US)
        is_whole = next_us - start_us == _HOUR_US
        if next_us > closed_before_us:
            next_us = end_us
        yield Period(start_us, next_us, is_closed=is_whole and next_us <= closed_before_us)
        start_us = next_us


def _delete_sums(connection: sqlite3.Connection, first_us: int, last_us: int) -> None:
    """Delete the sums of the periods that calls from ``first_us`` to ``last_us`` may be in."""
    connection.execute(
        "DELETE FROM periods WHERE start_us > ? AND start_us <= ? AND end_us > ?",
        (first_us - _LONGEST_PERIOD_US, last_us, first_us),
    )
