"""How an endpoint does now: its last calls, and what is left of its rate limits."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Final

from chatcli.core.call_records import CANCELLED, OK
from chatcli.render.charts import sparkline
from chatcli.render.statistics_words import time_in_words
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.times import age

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from chatcli.core.call_records import CallRecord
    from chatcli.core.ports import LimitLeft

MOST_CALLS: Final = 20


def call_rows(
    calls: Sequence[CallRecord], now: datetime, *, is_spoken: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield what the last calls of an endpoint came to, oldest first, as labels and values; ``is_spoken``: without a picture."""
    if not calls:
        yield "last calls", "none yet"
        return
    outcomes = Counter(call.outcome for call in calls)
    failed = {code: number for code, number in outcomes.items() if code not in {OK, CANCELLED}}
    came = [f"{outcomes[OK]} of {len(calls)} succeeded"]
    came += [f"{outcomes[CANCELLED]} stopped"] if outcomes[CANCELLED] else []
    came += [f"{number} {sanitize_line(code)}" for code, number in sorted(failed.items())]
    yield "last calls", " · ".join(came)
    succeeded = [call for call in calls if call.outcome == OK and call.latency_s is not None]
    if succeeded:
        times = sorted(call.latency_s or 0.0 for call in succeeded)
        first = sorted(call.ttft_s for call in succeeded if call.ttft_s is not None)
        parts = [f"{time_in_words(_median(times))} in the median", f"{time_in_words(times[-1])} at most"]
        parts += [f"first text after {time_in_words(_median(first))}"] if first else []
        yield "response time", " · ".join(parts)
    if not is_spoken:
        drawn = [call.latency_s if call.outcome == OK else None for call in calls]
        dots = " or ".join(["failed"] * bool(failed) + ["stopped"] * bool(outcomes[CANCELLED]))
        yield "", f"{sparkline(drawn, MOST_CALLS)}  oldest to newest{dots and f', · {dots}'}"
    last = calls[-1]
    yield "last call", f"{age(_moment(last.at_s, now), now)}, {last.operation}, {sanitize_line(last.outcome)}"


def limit_rows(limits: Sequence[LimitLeft]) -> Iterator[tuple[str, str]]:
    """Yield what is left of the rate limits, as labels and values."""
    for limit in limits:
        left = f"{limit.remaining:,.0f}" + ("" if limit.limit is None else f" of {limit.limit:,.0f}")
        again = f", full again in {ceil(limit.resets_in_s):,} s" if limit.resets_in_s > 0 else ""
        yield f"{sanitize_line(limit.kind)} left", left + again


def _median(times_s: Sequence[float]) -> float:
    """Return the nearest rank of one half of sorted times."""
    return times_s[(len(times_s) - 1) // 2]


def _moment(at_s: float, now: datetime) -> datetime:
    return now.fromtimestamp(at_s, now.tzinfo)
