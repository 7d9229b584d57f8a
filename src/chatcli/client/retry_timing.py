"""How long a server asks to wait, wherever it says so: in a header or in the words of its error."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_UNIT: Final = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)(?![a-z])"
_LONGEST_SPAN: Final = 100
_MINUTE_S: Final = 60
_WORTH_TELLING_S: Final = 2
_SPAN: Final = re.compile(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)\s*({_UNIT})", re.IGNORECASE)
# "Please try again in 6m0s" (OpenAI, Groq), "retry in 34.07s" (Gemini), "retry after 20 seconds" (Azure), "will reset
# after 51s" (Google's Code Assist).
_ASKED: Final = re.compile(
    r"\b(?:(?:try(?:ing)? again|retry(?:ing)?|wait)(?: in| after| for)?|resets? (?:in|after))"
    r"(?: (?:at least|about|approximately|another))? "
    rf"((?:\d{{1,9}}(?:\.\d{{1,9}})?\s*{_UNIT}[ ,]*(?:and )?)+)",
    re.IGNORECASE,
)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the headers ask to wait, in seconds, ``None`` where they do not say.

    ``retry-after-ms`` comes before ``retry-after``: seconds, or a date that is read against the server's own clock.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    asked = headers.get("retry-after")
    if (seconds := _number(asked)) is not None:
        return max(0.0, seconds)
    if (until := _date(asked)) is not None:
        return max(0.0, (until - server_time(headers)).total_seconds())
    return None


def until_s(resets_at_s: float, headers: Mapping[str, str]) -> float:
    """Return how long it is until a moment in seconds since 1970, by the clock of the server that sent ``headers``."""
    return max(0.0, resets_at_s - server_time(headers).timestamp())


def said_s(message: str) -> float | None:
    """Return the seconds in words like "try again in 1m30s", ``None`` where there are none."""
    asked = _ASKED.search(message)
    if asked is None:
        return None
    return sum(_seconds(span) for span in _SPAN.finditer(asked[1]))


def span_in(text: str) -> float | None:
    """Return the seconds of a text that is a span of time and nothing else: ``34s``, ``1m2.5s``, ``20``."""
    if (seconds := _number(text)) is not None:
        return seconds
    is_span = len(text) <= _LONGEST_SPAN and re.fullmatch(rf"(?:{_SPAN.pattern}\s*)+", text, re.IGNORECASE)
    return sum(_seconds(span) for span in _SPAN.finditer(text)) if is_span else None


def server_time(
    headers: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> datetime:
    """Return the time of the server that sent ``headers``, ``now`` where they do not tell.

    A date that a server names is read against its own clock: the one here may be wrong.
    """
    return _date(headers.get("date")) or now()


def _seconds(span: re.Match[str]) -> float:
    unit = span[2].lower()
    factor = _UNITS_S["ms"] if unit.startswith(("ms", "milli")) else _UNITS_S[unit[0]]
    return float(span[1]) * factor


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what ``x-should-retry`` says, ``None`` where it does not."""
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


def wait_hint(asked_s: float | None, now: datetime) -> str | None:
    """Return until when a server asks to wait, ``now`` being the person's own time; ``None`` for hardly a wait."""
    if asked_s is None or asked_s < _WORTH_TELLING_S:
        return None
    return f"the server asks to wait {in_words(asked_s)}: try again after {_time_of_day(now, asked_s)}"


def in_words(time_s: float) -> str:
    """Return a span of time as a person says it: ``20 s``, ``6 min``, ``1 h 5 min``."""
    whole_s = math.ceil(time_s)
    if whole_s < _MINUTE_S:
        return f"{whole_s} s"
    minutes = math.ceil(whole_s / _MINUTE_S)
    hours, minutes = divmod(minutes, 60)
    return " ".join(part for part in (hours and f"{hours} h", minutes and f"{minutes} min") if part)


def _time_of_day(now: datetime, wait_s: float) -> str:
    try:
        then = now + timedelta(seconds=math.ceil(wait_s))
    except OverflowError:
        return "a very long time"
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"
