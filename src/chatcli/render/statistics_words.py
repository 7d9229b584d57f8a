"""The figures of calls in words and numbers, as every view of statistics shows them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from chatcli.core.call_records import CANCELLED
from chatcli.text.wording import counted, dollars, more_than

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.core.statistics import Figures, HistogramBar, Percentiles

_PERCENT: Final = 100
_WHOLE_SECONDS_FROM_S: Final = 100
_WHOLE_CENTS_FROM_USD: Final = 0.1
_THOUSAND, _MILLION = 1_000, 1_000_000


def time_in_words(time_s: float) -> str:
    """Return a measured time: ``240 ms``, ``1.2 s``, ``1,200 s``."""
    if round(time_s, 3) < 1:
        return f"{time_s * 1000:.0f} ms"
    return f"{time_s:.1f} s" if time_s < _WHOLE_SECONDS_FROM_S else f"{time_s:,.0f} s"


def round_time(time_s: float) -> str:
    """Return a time that is a round number: ``0``, ``250 ms``, ``2.5 s``, ``10 s``."""
    if not time_s:
        return "0"
    return f"{time_s * 1000:g} ms" if time_s < 1 else f"{time_s:,.10g} s"


def rate_in_words(rate: float) -> str:
    """Return a share in percent, of which only all are 100% and only none 0%."""
    if rate in {0, 1}:
        return f"{rate:.0%}"
    # Rounding down keeps one failure of many thousands in sight. Floats are a little beside what they stand for.
    tenths = min(999, max(1, math.floor(rate * _PERCENT * 10 + 1e-9)))
    return f"{tenths / 10:.1f}%"


def group_name(name: str, grouped_by: str) -> str:
    """Return the name of a group as a person reads it, empty for those without one."""
    return "stopped" if (grouped_by, name) == ("outcome", CANCELLED) else name


def amount(usd: float) -> str:
    """Return an amount of money, of which nothing is not called free."""
    return dollars(usd) if usd else "$0"


def cost_in_words(figures: Figures) -> str:
    """Return the known cost, ``over`` it if there are calls at an unknown price."""
    if figures.unpriced and not figures.cost_usd:
        return "unknown"
    return (more_than if figures.unpriced else dollars)(figures.cost_usd)


def brief_cost(figures: Figures) -> str:
    """Return the known cost for a narrow column, in cents where there are any."""
    if figures.unpriced and not figures.cost_usd:
        return "?"
    usd = figures.cost_usd
    shown = f"${usd:,.2f}" if usd >= _WHOLE_CENTS_FROM_USD else cost_in_words(figures).removeprefix("over ")
    return f"{'>' if figures.unpriced else ''}{shown}"


def range_in_words(bar: HistogramBar) -> str:
    """Return the latencies of a bar: ``under 100 ms``, ``1 to 2.5 s``, ``60 s or more``."""
    lower = round_time(bar.lower_s)
    if bar.upper_s is None:
        return f"{lower} or more"
    upper = round_time(bar.upper_s)
    if not bar.lower_s:
        return f"under {upper}"
    unit = f" {upper.rpartition(' ')[2]}"
    return f"{lower.removesuffix(unit)} to {upper}"


def facts(figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield what is known of all calls, as labels and values."""
    yield "calls", joined(f"{figures.calls:,}", *failures(figures))
    if (rate := figures.success_rate) is not None:
        yield "success rate", rate_in_words(rate)
    for label, percentiles in (("latency", figures.latency), ("first token", figures.ttft)):
        if percentiles is not None:
            yield label, joined(*_named(percentiles))
    if figures.tokens_per_s is not None:
        yield "speed", f"{figures.tokens_per_s:,.1f} tokens/s"
    if figures.input_tokens or figures.output_tokens:
        cached = f" ({figures.cached_tokens:,} cached)" if figures.cached_tokens else ""
        yield "tokens", joined(f"{figures.input_tokens:,} in{cached}", f"{figures.output_tokens:,} out")
    if figures.calls:
        unpriced = f"{counted(figures.unpriced, 'call')} at an unknown price" if figures.unpriced else ""
        yield "cost", joined(cost_in_words(figures), unpriced)
    yield from _rare_facts(figures)


def _rare_facts(figures: Figures) -> Iterator[tuple[str, str]]:
    """Yield what many periods have nothing of."""
    if figures.retries or figures.retry_wait_s:
        waited = f"{time_in_words(figures.retry_wait_s)} waited" if figures.retry_wait_s else ""
        yield "retries", joined(f"{figures.retries:,}", waited)
    if figures.limit_wait_s:
        yield "rate limits", f"{time_in_words(figures.limit_wait_s)} waited"
    if figures.cache_hits:
        yield "cache", f"{counted(figures.cache_hits, 'answer')} without a call"
    if figures.sent_bytes or figures.received_bytes:
        yield (
            "traffic",
            joined(f"{_size(figures.sent_bytes)} sent", f"{_size(figures.received_bytes)} received"),
        )
    if figures.findings:
        yield "warnings", f"{counted(figures.findings, 'text')} with orders to the model"


def failures(figures: Figures) -> Iterator[str]:
    """Yield how many calls failed, and how many the person stopped, if any."""
    if failed := sum(figures.errors.values()):
        yield f"{failed:,} failed"
    if figures.cancelled:
        yield f"{figures.cancelled:,} stopped"


def errors_by_count(figures: Figures) -> list[tuple[str, int]]:
    """Return the codes of errors and their counts, the most frequent first."""
    return sorted(figures.errors.items(), key=lambda item: (-item[1], item[0]))


def joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _named(percentiles: Percentiles) -> Iterator[str]:
    for name, time_s in zip(("p50", "p95", "p99"), percentiles, strict=True):
        yield f"{name} {time_in_words(time_s)}"


def _size(size_bytes: int) -> str:
    if size_bytes < _THOUSAND:
        return f"{size_bytes} B"
    if size_bytes < _MILLION:
        return f"{size_bytes / _THOUSAND:,.0f} kB"
    return f"{size_bytes / _MILLION:,.1f} MB"
