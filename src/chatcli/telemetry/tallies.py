"""Sums of calls, and exact percentiles of their times from any number of distributions."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import accumulate, chain, repeat
from operator import add, getitem, sub
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.call_records import CANCELLED, OK
from chatcli.core.statistics import Figures, Percentiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SMALL: Final = 256
"""So many distributions of fewer values are joined into one: looking into each of them would take longer."""

_NANODOLLARS: Final = 10**9


class CallKind(NamedTuple):
    """What calls have in common. An ``is_cache_hit`` reached no endpoint."""

    endpoint: str
    model: str
    operation: str
    outcome: str
    profile: str
    is_cache_hit: bool = False


class CallSums(NamedTuple):
    """Sums of a number of calls: times in whole milliseconds, the cost in billionths of a dollar.

    ``streamed_tokens`` came in the ``streamed_ms`` after the first deltas.
    """

    calls: int
    attempts: int
    retries: int
    retry_wait_ms: int
    limit_wait_ms: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int
    unpriced: int
    sent_bytes: int
    received_bytes: int
    findings: int
    streamed_tokens: int
    streamed_ms: int


class Distribution(NamedTuple):
    """Values in ascending order: ``counts_up_to[i]`` of them are before ``values[i]``, the last one is the number of all.

    A value that occurs often is there once, one that hardly ever occurs twice may be repeated.
    """

    values: array[int]
    counts_up_to: Sequence[int]

    @classmethod
    def of(cls, values: Iterable[int]) -> Distribution:
        ordered = array("I", sorted(values))
        if 2 * len(set(ordered)) >= len(ordered):
            return cls(ordered, range(len(ordered) + 1))
        return cls.counted(Counter(ordered))

    @classmethod
    def counted(cls, counts: Counter[int]) -> Distribution:
        values = sorted(counts)
        return cls(array("I", values), array("I", accumulate(map(counts.__getitem__, values), initial=0)))

    @classmethod
    def joined(cls, distributions: Iterable[Distribution]) -> Distribution:
        ordered: list[array[int]] = []
        counted: list[Distribution] = []
        for each in distributions:
            if isinstance(each.counts_up_to, range):
                ordered.append(each.values)
            else:
                counted.append(each)
        if not counted:
            return cls.of(chain.from_iterable(ordered))
        counts = Counter(chain.from_iterable(ordered))
        for each in counted:
            up_to = each.counts_up_to
            for value, count in zip(each.values, map(sub, up_to[1:], up_to), strict=True):
                counts[value] += count
        return cls.counted(counts)

    @property
    def total(self) -> int:
        return self.counts_up_to[-1]


NOTHING: Final = Distribution(array("I"), range(1))


class CallSlice(NamedTuple):
    """The calls of one kind, by its number, in a period."""

    kind: int
    sums: CallSums
    latencies: Distribution
    ttfts: Distribution


class Times:
    """Times of calls in whole milliseconds."""

    def __init__(self) -> None:
        self._small: list[Distribution] = []
        self._large: list[Distribution] = []

    def add(self, times: Distribution) -> None:
        if len(times.values) >= _SMALL:
            self._large.append(times)
        elif times.values:
            self._small.append(times)
            if len(self._small) >= _SMALL:
                self._join()

    def count_below(self, value: int) -> int:
        """Return the number of times that are less than ``value``."""
        return _counted_up_to(value - 1, *self._distributions())

    def percentiles(self) -> Percentiles | None:
        calls = self.count
        if not calls:
            return None
        p50, p95, p99 = (self.of_rank(-(-calls * percent // 100)) / 1000 for percent in (50, 95, 99))
        return Percentiles(p50, p95, p99)

    @property
    def count(self) -> int:
        return sum(each.total for each in (*self._small, *self._large))

    def of_rank(self, rank: int) -> int:
        """Return the time of ``rank``, counted from 1, without merging: by halving the interval it is in."""
        values, counts = self._distributions()
        if len(values) == 1:
            return values[0][bisect_left(counts[0], rank) - 1]
        low, high = min(each[0] for each in values), max(each[-1] for each in values)
        while low < high:
            middle = (low + high) // 2
            if _counted_up_to(middle, values, counts) >= rank:
                high = middle
            else:
                low = middle + 1
        return low

    def _distributions(self) -> tuple[list[array[int]], list[Sequence[int]]]:
        if len(self._small) > 1:
            self._join()
        together = (*self._small, *self._large)
        return [each.values for each in together], [each.counts_up_to for each in together]

    def _join(self) -> None:
        small, self._small = self._small, []
        self.add(Distribution.joined(small))


class Tally:
    """The calls that were added to it."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._cache_hits = 0
        self._sums: list[int] = [0] * len(CallSums._fields)
        self._streamed_tokens = 0
        self._streamed_ms = 0
        self.latencies = Times()
        self.ttfts = Times()

    def add(self, kind: CallKind, calls: CallSlice) -> None:
        sums = calls.sums
        if kind.is_cache_hit:
            self._cache_hits += sums.calls
            return
        self._outcomes[kind.outcome] += sums.calls
        self._sums = list(map(add, self._sums, sums))
        if kind.outcome == OK:
            self._streamed_tokens += sums.streamed_tokens
            self._streamed_ms += sums.streamed_ms
            self.latencies.add(calls.latencies)
            self.ttfts.add(calls.ttfts)

    def figures(self) -> Figures:
        sums = CallSums._make(self._sums)
        errors = {code: calls for code, calls in self._outcomes.most_common() if code not in (OK, CANCELLED)}
        return Figures(
            calls=sums.calls,
            succeeded=self._outcomes[OK],
            cancelled=self._outcomes[CANCELLED],
            errors=errors,
            attempts=sums.attempts,
            retries=sums.retries,
            retry_wait_s=sums.retry_wait_ms / 1000,
            limit_wait_s=sums.limit_wait_ms / 1000,
            latency=self.latencies.percentiles(),
            ttft=self.ttfts.percentiles(),
            tokens_per_s=self._streamed_tokens * 1000 / self._streamed_ms if self._streamed_ms else None,
            input_tokens=sums.input_tokens,
            cached_tokens=sums.cached_tokens,
            output_tokens=sums.output_tokens,
            cost_usd=sums.cost / _NANODOLLARS,
            unpriced=sums.unpriced,
            cache_hits=self._cache_hits,
            sent_bytes=sums.sent_bytes,
            received_bytes=sums.received_bytes,
            findings=sums.findings,
        )


def _counted_up_to(value: int, values: Sequence[array[int]], counts: Sequence[Sequence[int]]) -> int:
    return sum(map(getitem, counts, map(bisect_right, values, repeat(value))))


def by_outcome(slices: Sequence[CallSlice], kinds: Mapping[int, CallKind]) -> list[CallSlice]:
    """Join the slices whose kinds differ by names only; the kind of each is the first of them."""
    alike: dict[tuple[str, bool], list[CallSlice]] = {}
    for each in slices:
        kind = kinds[each.kind]
        alike.setdefault((kind.outcome, kind.is_cache_hit), []).append(each)
    return [
        CallSlice(
            group[0].kind,
            CallSums._make(map(sum, zip(*(each.sums for each in group), strict=True))),
            Distribution.joined(each.latencies for each in group),
            Distribution.joined(each.ttfts for each in group),
        )
        for group in alike.values()
    ]
