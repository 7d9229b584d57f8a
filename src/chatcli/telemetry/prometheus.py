"""What calls came to as metrics of Prometheus, in its text format 0.0.4.

The format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, time
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.call_records import OK
from chatcli.telemetry.call_store import LATE_US
from chatcli.telemetry.call_tables import microseconds
from chatcli.telemetry.local_periods import pieces
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from chatcli.core.call_records import CallContent, CallRecord
    from chatcli.telemetry.call_store import CallStore
    from chatcli.telemetry.tallies import CallKind, CallSlice, Distribution

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds of the buckets of times, in seconds."""

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
_HISTOGRAM: Final = "histogram"
_MOST_SERIES: Final = 500
"""Names of models come from servers: past so many different series, further ones are counted as ``other``."""
_LONGEST_VALUE: Final = 200
_OTHER: Final = "other"
_NANODOLLARS: Final = 10**9

_CALLS: Final = ("model", "endpoint", "operation")


class Sample(NamedTuple):
    """A value of a metric, and its labels; ``suffix`` is added to the name of the metric."""

    labels: tuple[tuple[str, str], ...]
    value: float
    suffix: str = ""


class MetricFamily(NamedTuple):
    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


def exposition(metrics: Iterable[MetricFamily]) -> Iterator[str]:
    """Yield the lines of ``metrics``, each with its end. A metric without samples is left out."""
    for metric in metrics:
        samples = list(metric.samples)
        if not samples:
            continue
        yield f"# HELP {metric.name} {_escaped(metric.help)}\n"
        yield f"# TYPE {metric.name} {metric.kind}\n"
        for sample in samples:
            labels = ",".join(f'{name}="{_label(value)}"' for name, value in sample.labels)
            yield f"{metric.name}{sample.suffix}{labels and f'{{{labels}}}'} {_number(sample.value)}\n"


class CallCounters:
    """Counts calls, as a ``CallRecorder``. The counters only grow."""

    def __init__(self, calls: Iterable[CallRecord] = ()) -> None:
        self._series: dict[tuple[str, str, str], _Series] = {}
        for call in calls:
            self.record(call)

    def record(self, call: CallRecord, _content: CallContent | None = None) -> None:
        self._of(call.asked_model, call.endpoint, call.operation).add(call)

    def know(self, kind: CallKind) -> None:
        """Have a series for calls of a kind, although there may be none yet."""
        series = self._of(kind.model, kind.endpoint, kind.operation)
        if not kind.is_cache_hit:
            series.outcomes.setdefault(kind.outcome, 0)

    def add(self, kind: CallKind, calls: CallSlice) -> None:
        """Add the sums of calls of a kind."""
        self._of(kind.model, kind.endpoint, kind.operation).add_sums(kind, calls)

    def _of(self, *names: str) -> _Series:
        # Cleaned first: two names that look the same would be one series twice.
        model, endpoint, operation = (sanitize_line(name[:_LONGEST_VALUE]) for name in names)
        key = model, endpoint, operation
        if key not in self._series and len(self._series) >= _MOST_SERIES:
            key = _OTHER, _OTHER, _OTHER
        return self._series.setdefault(key, _Series())

    def metrics(self) -> Iterator[MetricFamily]:
        every = [
            (tuple(zip(_CALLS, key, strict=True)), series) for key, series in sorted(self._series.items())
        ]

        def counter(name: str, help_: str) -> MetricFamily:
            return MetricFamily(
                f"chatcli_{name}_total",
                COUNTER,
                help_,
                [Sample(labels, series.sums[name]) for labels, series in every],
            )

        yield MetricFamily(
            "chatcli_calls_total",
            COUNTER,
            "Calls that reached for an endpoint, by how they ended.",
            [
                Sample((*labels, ("outcome", outcome)), count)
                for labels, series in every
                for outcome, count in sorted(series.outcomes.items())
            ],
        )
        yield MetricFamily(
            "chatcli_call_duration_seconds",
            _HISTOGRAM,
            "Time to the end of calls that succeeded, with all their attempts.",
            [sample for labels, series in every for sample in series.durations.samples(labels)],
        )
        yield MetricFamily(
            "chatcli_time_to_first_token_seconds",
            _HISTOGRAM,
            "Time to the first token of calls that succeeded.",
            [sample for labels, series in every for sample in series.first_tokens.samples(labels)],
        )
        yield MetricFamily(
            "chatcli_tokens_total",
            COUNTER,
            "Tokens sent (input) and received (output).",
            [
                Sample((*labels, ("type", kind)), series.sums[f"{kind}_tokens"])
                for labels, series in every
                for kind in ("input", "output")
            ],
        )
        for name, help_ in _SUMS.items():
            yield counter(name, help_)


def counters_of_today(store: CallStore, now: datetime, zone: tzinfo | None = None) -> CallCounters:
    """Return the calls since midnight. Raise ``LocalIOError`` if the store cannot be used.

    A counter of Prometheus grows or begins again at 0. That of all kept calls would shrink whenever old ones are deleted, which Prometheus
    would take for a new beginning and count twice. Every kind of call that is kept has its series from the first moment of a day,
    as the first value of a new one does not count as a growth.
    """
    counters = CallCounters()
    kinds = store.kinds()
    for kind in kinds.values():
        counters.know(kind)
    midnight = datetime.combine(now.astimezone(zone).date(), time.min, zone).astimezone(UTC)
    until_us = microseconds(now.timestamp()) + 1
    for period, _, _ in pieces(
        microseconds(midnight.timestamp()),
        until_us,
        zone,
        closed_before_us=until_us - LATE_US,
        is_hourly=False,
    ):
        for calls in store.slices(period):
            # Its kind may be newer than those read before.
            found = kinds.get(calls.kind) or store.kinds().get(calls.kind)
            if found is not None:
                counters.add(found, calls)
    return counters


_SUMS: Final = {
    "cached_tokens": "Input tokens that the provider read from its cache; they are among the tokens sent.",
    "cost_dollars": "Cost of calls in US dollars, where it is known.",
    "unpriced_calls": "Calls whose cost is unknown.",
    "cache_hits": "Answers from chatcli's own cache; these are no calls.",
    "retries": "Requests after the first one of a call.",
    "retry_wait_seconds": "Time spent waiting for the next request of a call.",
    "limit_wait_seconds": "Time spent waiting for rate limits.",
    "sent_bytes": "Bytes of the bodies of requests.",
    "received_bytes": "Bytes of the bodies of answers.",
    "injection_findings": "Texts in requests that seemed to give orders to the model.",
}


class _Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS_S, seconds)] += 1
        self._sum_s += seconds

    def add_all(self, times: Distribution) -> None:
        """Add times in whole milliseconds."""
        for time_ms, count in zip(
            times.values, map(sub, times.counts_up_to[1:], times.counts_up_to), strict=False
        ):
            self._counts[bisect_left(BUCKETS_S, time_ms / 1000)] += count
            self._sum_s += time_ms * count / 1000

    def samples(self, labels: tuple[tuple[str, str], ...]) -> Iterator[Sample]:
        up_to = list(accumulate(self._counts))
        for bound, count in zip((*map(_number, BUCKETS_S), "+Inf"), up_to, strict=True):
            yield Sample((*labels, ("le", bound)), count, "_bucket")
        yield Sample(labels, self._sum_s, "_sum")
        yield Sample(labels, up_to[-1], "_count")


class _Series:
    """The counters of one model, endpoint and operation."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.durations = _Histogram()
        self.first_tokens = _Histogram()
        self.sums = dict.fromkeys((*_SUMS, "input_tokens", "output_tokens"), 0.0)

    def add(self, call: CallRecord) -> None:
        sums = self.sums
        if call.is_cache_hit:
            sums["cache_hits"] += 1
            return
        self.outcomes[call.outcome] = self.outcomes.get(call.outcome, 0) + 1
        if call.outcome == OK:
            if call.latency_s is not None:
                self.durations.add(call.latency_s)
            if call.ttft_s is not None:
                self.first_tokens.add(call.ttft_s)
        sums["input_tokens"] += call.input_tokens or 0
        sums["output_tokens"] += call.output_tokens or 0
        sums["cached_tokens"] += call.cached_tokens or 0
        sums["cost_dollars"] += call.cost_usd or 0.0
        sums["unpriced_calls"] += call.cost_usd is None
        sums["retries"] += max(0, call.attempts - 1)
        sums["retry_wait_seconds"] += call.retry_wait_s
        sums["limit_wait_seconds"] += call.limit_wait_s
        sums["sent_bytes"] += call.sent_bytes
        sums["received_bytes"] += call.received_bytes
        sums["injection_findings"] += call.findings

    def add_sums(self, kind: CallKind, calls: CallSlice) -> None:
        sums, given = self.sums, calls.sums
        if kind.is_cache_hit:
            sums["cache_hits"] += given.calls
            return
        self.outcomes[kind.outcome] = self.outcomes.get(kind.outcome, 0) + given.calls
        if kind.outcome == OK:
            self.durations.add_all(calls.latencies)
            self.first_tokens.add_all(calls.ttfts)
        sums["input_tokens"] += given.input_tokens
        sums["output_tokens"] += given.output_tokens
        sums["cached_tokens"] += given.cached_tokens
        sums["cost_dollars"] += given.cost / _NANODOLLARS
        sums["unpriced_calls"] += given.unpriced
        sums["retries"] += given.retries
        sums["retry_wait_seconds"] += given.retry_wait_ms / 1000
        sums["limit_wait_seconds"] += given.limit_wait_ms / 1000
        sums["sent_bytes"] += given.sent_bytes
        sums["received_bytes"] += given.received_bytes
        sums["injection_findings"] += given.findings


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _label(value: str) -> str:
    """Return a value between its quotes, which no character of it can end."""
    return _escaped(value).replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
