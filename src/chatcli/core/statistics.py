"""The figures of a number of calls, as ``chatcli stats`` prints them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Percentiles(NamedTuple):
    """Times in seconds that half, 95% and 99% of calls did not exceed: the nearest rank, of whole milliseconds."""

    p50_s: float
    p95_s: float
    p99_s: float


@frozen
class Figures:
    """The figures of calls.

    ``calls`` are those that reached for an endpoint; ``cache_hits`` are not among them. ``succeeded``, ``cancelled`` and the
    ``errors``, by code, add up to them. ``attempts`` are their requests, ``retries`` those after the first of each. ``latency`` and ``ttft``
    are those of calls that succeeded, ``None`` if there are none. ``tokens_per_s`` is the output of these in the time after
    their first deltas. ``unpriced`` is the number of calls whose cost is unknown, ``cost_usd`` the sum of the others.
    """

    calls: int = 0
    succeeded: int = 0
    cancelled: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 0
    retries: int = 0
    retry_wait_s: float = 0.0
    limit_wait_s: float = 0.0
    latency: Percentiles | None = None
    ttft: Percentiles | None = None
    tokens_per_s: float | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    cache_hits: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    findings: int = 0

    @property
    def success_rate(self) -> float | None:
        """The share that succeeded, of those nobody stopped; from 0 to 1, ``None`` without any."""
        ended = self.calls - self.cancelled
        return self.succeeded / ended if ended else None


class Group(NamedTuple):
    """The figures of one model, endpoint, day, hour, profile, outcome or operation."""

    name: str
    figures: Figures


class TimeSlot(NamedTuple):
    """The figures of calls that began at ``start`` or up to the next slot; ``start`` is aware, in the person's time zone."""

    start: datetime
    figures: Figures


class HistogramBar(NamedTuple):
    """The number of calls whose latency is from ``lower_s`` to less than ``upper_s`` (``None`` without an end)."""

    lower_s: float
    upper_s: float | None
    calls: int


@frozen
class StatisticsReport:
    """The statistics of a period.

    ``groups`` are ordered by time where ``grouped_by`` is ``day`` or ``hour``, else by their calls, most first. ``slots`` are all
    hours or days of the period, those without calls too, in order. ``unreadable`` is the reason why older figures are
    missing, ``None`` if they are complete.
    """

    since: datetime
    until: datetime
    grouped_by: str
    total: Figures
    groups: tuple[Group, ...]
    slots: tuple[TimeSlot, ...]
    latencies: tuple[HistogramBar, ...]
    is_hourly: bool = False
    unreadable: str | None = None


GROUPINGS: Final = ("model", "endpoint", "day", "hour", "profile", "outcome", "operation")
