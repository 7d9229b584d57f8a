"""Statistics over the stored calls of a period, in groups and over time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from chatcli.core.statistics import Group, HistogramBar, StatisticsReport, TimeSlot
from chatcli.telemetry.call_store import LATE_US
from chatcli.telemetry.call_tables import microseconds
from chatcli.telemetry.local_periods import local, pieces
from chatcli.telemetry.tallies import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo
    from typing import TypeAlias

    from chatcli.core.statistics import Figures
    from chatcli.telemetry.call_store import CallStore, Period
    from chatcli.telemetry.tallies import CallKind, CallSlice, Times

    _Calls: TypeAlias = "list[tuple[CallKind, CallSlice]]"

_DAY_US: Final = 24 * 3600 * 10**6
_HOURLY_US: Final = 3 * _DAY_US
"""Periods up to this have a slot for each hour."""

_LONG_US: Final = 400 * _DAY_US
_EARLIEST_US: Final = 10 * _DAY_US
"""Windows knows no local time of the first days after the epoch."""

_STEPS: Final = (10, 15, 20, 30, 50, 75)
"""The bars of a histogram end at these times a power of ten, in milliseconds."""
_MOST_BARS: Final = 24


def report(
    store: CallStore,
    since: datetime,
    until: datetime,
    *,
    grouped_by: str = "model",
    model: str | None = None,
    endpoint: str | None = None,
    operation: str | None = None,
    profile: str | None = None,
    zone: tzinfo | None = None,
    now: datetime | None = None,
) -> StatisticsReport:
    """Return the statistics of the calls that began from ``since`` to before ``until``, both aware.

    ``grouped_by`` is one of ``GROUPINGS``. Only calls of the given names count. Days are those of ``zone``, by default of the machine.
    Raise ``LocalIOError`` if the store cannot be used.
    """
    names = {"model": model, "endpoint": endpoint, "operation": operation, "profile": profile}
    now_us = microseconds((now or datetime.now(UTC)).timestamp())
    since_us, until_us = _bounds(store, since, until, now_us)
    is_hourly = until_us - since_us <= _HOURLY_US
    grouping = _Grouping(grouped_by, zone)
    slots = _Timeline()
    total = Tally()
    gaps = _Gaps(store)
    parts = pieces(
        since_us,
        until_us,
        zone,
        closed_before_us=now_us - LATE_US,
        is_hourly=is_hourly or grouped_by == "hour",
        # Only where each hour has a slot do those of a day without calls count.
        is_empty=(lambda _day: False) if is_hourly else gaps.have,
    )
    reader = _CallReader(store, {name: wanted for name, wanted in names.items() if wanted is not None})
    for period, day_us, hour_us in parts:
        slot = slots.at(hour_us if is_hourly else day_us)
        if gaps.have(period):
            continue
        by_kind, by_outcome = reader.calls(period, has_names=grouping.has_names)
        for kind, calls in by_outcome:
            total.add(kind, calls)
            slot.add(kind, calls)
        for kind, calls in by_kind:
            grouping.tally(kind, day_us, hour_us).add(kind, calls)
    return StatisticsReport(
        since=since,
        until=until,
        grouped_by=grouped_by,
        total=total.figures(),
        groups=tuple(grouping.groups()),
        slots=tuple(TimeSlot(local(start_us, zone), figures) for start_us, figures in slots.figures()),
        latencies=tuple(_bars(total.latencies)),
        is_hourly=is_hourly,
        unreadable=_unreadable(store, since),
    )


def keep_sums(store: CallStore, now: datetime, *, days: int = 8, zone: tzinfo | None = None) -> None:
    """Add up the days and hours that have closed, if nobody has yet, so that the next report finds them."""
    now_us = microseconds(now.timestamp())
    since_us = max(_EARLIEST_US, now_us - days * _DAY_US)
    for is_hourly in (True, False):
        for period, _, _ in pieces(
            since_us, now_us, zone, closed_before_us=now_us - LATE_US, is_hourly=is_hourly
        ):
            if period.is_closed:
                store.keep(period)


class _Gaps:
    """The times without calls, for periods in order: a call of decades ago leaves many days that need not be read."""

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self._known_from_us = 0
        self._next_us: int | None = -1

    def have(self, period: Period) -> bool:
        """Return whether a period has no calls."""
        is_past = self._next_us is not None and self._next_us < period.start_us
        if is_past or period.start_us < self._known_from_us:
            self._known_from_us = period.start_us
            self._next_us = self._store.next_us(period.start_us)
        return self._next_us is None or self._next_us >= period.end_us


class _CallReader:
    """Reads calls of the names in ``wanted``, by field of their kinds, all if there are none."""

    def __init__(self, store: CallStore, wanted: Mapping[str, str]) -> None:
        self._store = store
        self._wanted = wanted
        self._kinds: Mapping[int, CallKind] = {}

    def calls(self, period: Period, *, has_names: bool) -> tuple[_Calls, _Calls]:
        """Return the calls by kind and by outcome. Without ``has_names``, the names of kinds are not needed either."""
        if self._wanted:
            found = self._named(self._store.slices(period))
            return found, found
        if not has_names:
            found = self._named(self._store.outcomes(period))
            return found, found
        slices, outcomes = self._store.slices_and_outcomes(period)
        return self._named(slices), self._named(outcomes)

    def _named(self, slices: Sequence[CallSlice]) -> _Calls:
        if any(calls.kind not in self._kinds for calls in slices):
            self._kinds = self._store.kinds()
        # Those of a kind that is not known have just been deleted.
        found = [(self._kinds[calls.kind], calls) for calls in slices if calls.kind in self._kinds]
        if not self._wanted:
            return found
        return [
            pair
            for pair in found
            if all(getattr(pair[0], name) == wanted for name, wanted in self._wanted.items())
        ]


class _Timeline:
    """Figures of days or hours, in order: only those of the last one are not complete yet."""

    def __init__(self) -> None:
        self._complete: list[tuple[int, Figures]] = []
        self._start_us = -1
        self._tally = Tally()

    def at(self, start_us: int) -> Tally:
        if start_us != self._start_us:
            self._finish()
            self._start_us, self._tally = start_us, Tally()
        return self._tally

    def figures(self) -> list[tuple[int, Figures]]:
        self._finish()
        self._start_us = -1
        return self._complete

    def _finish(self) -> None:
        if self._start_us >= 0:
            self._complete.append((self._start_us, self._tally.figures()))


class _Grouping:
    """The groups of a report."""

    def __init__(self, grouped_by: str, zone: tzinfo | None) -> None:
        self._grouped_by = grouped_by
        self._zone = zone
        self._times = _Timeline()
        self._named: dict[str, Tally] = {}

    @property
    def has_names(self) -> bool:
        return self._grouped_by not in ("day", "hour", "outcome")

    def tally(self, kind: CallKind, day_us: int, hour_us: int) -> Tally:
        if self._grouped_by == "hour":
            return self._times.at(hour_us)
        if self._grouped_by == "day":
            return self._times.at(day_us)
        name = getattr(kind, self._grouped_by)
        if name not in self._named:
            self._named[name] = Tally()
        return self._named[name]

    def groups(self) -> Iterator[Group]:
        groups = [Group(name, tally.figures()) for name, tally in self._named.items()]
        yield from sorted(
            groups, key=lambda group: (-group.figures.calls, -group.figures.cache_hits, group.name)
        )
        last = ""
        for start_us, figures in self._times.figures():
            start = local(start_us, self._zone)
            name = f"{start:%Y-%m-%d}" if self._grouped_by == "day" else f"{start:%Y-%m-%d %H:%M}"
            # When clocks are set back, an hour comes twice.
            yield Group(name if name != last else f"{start:%Y-%m-%d %H:%M %z}", figures)
            last = name


def _bounds(store: CallStore, since: datetime, until: datetime, now_us: int) -> tuple[int, int]:
    """Return a period in microseconds; a long one only from the first call to the last, so that its days can be counted."""
    since_us = max(_EARLIEST_US, microseconds(since.timestamp()))
    # No call of a clock that was decades ahead makes a report of as many empty days.
    until_us = min(microseconds(until.timestamp()), now_us + _LONG_US)
    if until_us - since_us > _LONG_US:
        first_s, last_s = store.first_and_last_s() or (until.timestamp(), since.timestamp())
        since_us = max(since_us, microseconds(first_s))
        until_us = min(until_us, microseconds(last_s) + 1)
    return since_us, until_us


def _bars(times: Times) -> list[HistogramBar]:
    """Return how many times are between round ones: an equal share of a power of ten, the longest few together."""
    if not times.count:
        return []
    lowest, highest = times.of_rank(1), times.of_rank(times.count)
    ends = [0, *(step * 10**power // 10 for power in range(10) for step in _STEPS)]
    ends = sorted(set(ends))
    first = max(index for index, end in enumerate(ends) if end <= lowest)
    last = min((index for index, end in enumerate(ends) if end > highest), default=len(ends) - 1)
    ends = ends[first : last + 1]
    counted = [times.count_below(end) for end in ends]
    bars = [
        HistogramBar(low / 1000, high / 1000, above - below)
        for (low, high), (below, above) in zip(pairwise(ends), pairwise(counted), strict=True)
    ]
    if len(bars) <= _MOST_BARS:
        return bars
    kept = bars[: _MOST_BARS - 1]
    return [*kept, HistogramBar(kept[-1].upper_s or 0.0, None, times.count - sum(bar.calls for bar in kept))]


def _unreadable(store: CallStore, since: datetime) -> str | None:
    damaged_at_s = store.damaged_at_s()
    if damaged_at_s is None or damaged_at_s <= since.timestamp():
        return None
    return "the file with older calls was damaged and has been moved aside"
