"""The delays servers ask for, in headers and in the messages of their errors."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RESET_SPAN: Final = lazy_pattern(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])")
_RESET_SPANS: Final = lazy_pattern(rf"(?:{_RESET_SPAN.pattern})+")


def span_s(text: str, now: datetime) -> float | None:
    """Return a span of time in seconds: ``6m0s``, ``120ms``, ``1.5``, or the time until a date of RFC 3339."""
    text = text.strip()
    if _RESET_SPANS.fullmatch(text):
        return sum(float(number) * _UNITS_S[unit] for number, unit in _RESET_SPAN.findall(text))
    try:
        return max(0.0, min(float(text), 1e9)) if math.isfinite(float(text)) else None
    except ValueError:
        pass
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, (until - now).total_seconds()) if until.tzinfo else None


_UNIT: Final = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)(?![a-z])"
_LONGEST_SPAN: Final = 100
_SPAN: Final = lazy_pattern(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)\s*({_UNIT})", re.IGNORECASE)
# "Please try again in 6m0s" (OpenAI, Groq), "retry in 34.07s" (Gemini), "retry after 20 seconds" (Azure), "will reset
# after 51s" (Google's Code Assist).
_STATED_DELAY: Final = lazy_pattern(
    r"\b(?:(?:try(?:ing)? again|retry(?:ing)?|wait)(?: in| after| for)?|resets? (?:in|after))"
    r"(?: (?:at least|about|approximately|another))? "
    rf"((?:\d{{1,9}}(?:\.\d{{1,9}})?\s*{_UNIT}[ ,]*(?:and )?)+)",
    re.IGNORECASE,
)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the delay in the headers in seconds, ``None`` without one.

    ``retry-after-ms`` precedes ``retry-after``: seconds, or a date read against the server's own clock.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    stated = headers.get("retry-after")
    if (seconds := _number(stated)) is not None:
        return max(0.0, seconds)
    if (until := _date(stated)) is not None:
        return max(0.0, (until - server_time(headers)).total_seconds())
    return None


def until_s(resets_at_s: float, headers: Mapping[str, str]) -> float:
    """Return the time until a moment in seconds since 1970, by the clock of the server that sent ``headers``."""
    return max(0.0, resets_at_s - server_time(headers).timestamp())


def stated_s(message: str) -> float | None:
    """Return the seconds in a text like "try again in 1m30s", ``None`` without any."""
    stated = _STATED_DELAY.search(message)
    if stated is None:
        return None
    return sum(_seconds(span) for span in _SPAN.finditer(stated[1]))


def span_in(text: str) -> float | None:
    """Return the seconds of a text that is only a span of time: ``34s``, ``1m2.5s``, ``20``."""
    if (seconds := _number(text)) is not None:
        return seconds
    is_span = len(text) <= _LONGEST_SPAN and re.fullmatch(rf"(?:{_SPAN.pattern}\s*)+", text, re.IGNORECASE)
    return sum(_seconds(span) for span in _SPAN.finditer(text)) if is_span else None


def server_time(
    headers: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> datetime:
    """Return the time of the server that sent ``headers``, else ``now``.

    A date named by a server is read against its own clock: ours may be wrong.
    """
    return _date(headers.get("date")) or now()


def _seconds(span: re.Match[str]) -> float:
    unit = span[2].lower()
    factor = _UNITS_S["ms"] if unit.startswith(("ms", "milli")) else _UNITS_S[unit[0]]
    return float(span[1]) * factor


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return the value of ``x-should-retry``, ``None`` without one."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return date if date is None or date.tzinfo else date.replace(tzinfo=UTC)
