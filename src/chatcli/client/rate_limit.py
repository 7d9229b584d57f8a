"""Rate limits, set by the person or reported by a server, and the delays servers ask for.

Waiting for a limit avoids a 429. A server states a delay in a header or in the message of its error.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.times import in_hours

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping


_MINUTE_S: Final = 60.0
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RESET_SPAN: Final = lazy_pattern(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])")
_RESET_SPANS: Final = lazy_pattern(rf"(?:{_RESET_SPAN.pattern})+")
_KINDS: Final = ("requests", "tokens")
# OpenAI and compatible servers; Anthropic.
_HEADERS: Final = ("x-ratelimit-{}-{}", "anthropic-ratelimit-{1}-{0}")


class OwnLimits(NamedTuple):
    """The person's limits: requests and tokens per minute, ``None`` for no limit.

    A limit reported by the server is ignored if it leaves room only after ``longest_wait_s``: the request is
    sent, and the server states the delay itself.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    longest_wait_s: float = math.inf


NO_LIMITS: Final = OwnLimits()


class Claim(NamedTuple):
    """The claim of a request on the limits: about ``tokens()`` of ``model``, by ``own`` limits and the server's.

    Tokens are counted only if a token limit is known.
    """

    tokens: Callable[[], int]
    model: str = ""
    own: OwnLimits = NO_LIMITS


class _Wait(NamedTuple):
    """The wait for a limit; the longest compares as the greatest."""

    time_s: float
    reason: str


class _Limit(Protocol):
    reason: str

    def wait_s(self, amount: float, now_s: float) -> float:
        """Return how long to wait for ``amount``."""
        ...

    def take(self, amount: float, now_s: float) -> None:
        """Take ``amount``; a negative one is returned."""
        ...


class _Bucket:
    """A limit that refills evenly; a full one may be spent at once.

    More than its size is admitted when it is full, and then owed.
    """

    def __init__(self, kind: str, limit: float, level: float, *, refill_per_s: float, now_s: float) -> None:
        self.reason = f"rate limit of {limit:.0f} {kind}"
        self._limit = limit
        self._level = level
        self._refill_per_s = refill_per_s
        self._at_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        self._refill(now_s)
        missing = min(amount, self._limit) - self._level
        # A level is a sum of many small parts; without the tolerance a rounding error would cause a wait.
        return missing / self._refill_per_s if missing > 1e-6 else 0.0  # noqa: PLR2004

    def take(self, amount: float, now_s: float) -> None:
        self._refill(now_s)
        self._level = min(self._level - amount, self._limit)

    def _refill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._at_s)
        self._level = min(self._level + passed_s * self._refill_per_s, self._limit)
        self._at_s = now_s


class _Remainder:
    """A limit of unknown size: the remaining amount until it is reset."""

    def __init__(self, kind: str, remaining: float, *, reset_at_s: float) -> None:
        self.reason = f"rate limit of {kind}"
        self._remaining = remaining
        self._reset_at_s = reset_at_s

    def wait_s(self, amount: float, now_s: float) -> float:
        return max(0.0, self._reset_at_s - now_s) if amount > self._remaining else 0.0

    def take(self, amount: float, now_s: float) -> None:
        if now_s < self._reset_at_s:
            self._remaining = max(0.0, self._remaining - amount)


class RateLimits:
    """The limits of one endpoint and key, shared by all its users.

    Limits in the server's headers are learned for each model; the person's own limits hold for all models
    together. Requests are admitted in order, whatever their size.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._own: dict[tuple[str, int], _Limit] = {}
        self._learned: dict[str, dict[str, _Limit]] = {}
        self._queues: dict[str, _Queue] = {}

    def try_admit(self, claim: Claim) -> bool:
        """Admit a request if it need not wait; return whether it is admitted."""
        if self._queue(claim).length or self._wait(claim).time_s > 0:
            return False
        self._take(claim, 1)
        return True

    async def admit(self, claim: Claim) -> None:
        """Return when the request is admitted."""
        queue = self._queue(claim)
        queue.length += 1
        try:
            # asyncio's lock is fair: waiters get it in order.
            async with queue.turn:
                while (wait := self._wait(claim)).time_s > 0:
                    queue.reason, queue.until_s = wait.reason, self._clock() + wait.time_s
                    await self._sleep(wait.time_s)
                self._take(claim, 1)
        finally:
            queue.length -= 1

    def reason(self, claim: Claim) -> str:
        """Return the reason of the first wait, and how long it still takes."""
        queue = self._queue(claim)
        return f"{queue.reason} ({max(0, math.ceil(queue.until_s - self._clock()))} s left)"

    def settle(self, claim: Claim, tokens: int) -> None:
        """Replace the claim of a request by its actual usage; the server has counted that itself."""
        for (kind, _), limit in self._own.items():
            if kind == "tokens":
                limit.take(tokens - claim.tokens(), self._clock())

    def give_back(self, claim: Claim) -> None:
        """Return the claim of a request that was never sent."""
        self._take(claim, -1)

    def learn(self, headers: Mapping[str, str], model: str = "") -> None:
        """Learn from response headers the size of a limit, its remaining amount and its reset."""
        for kind in _KINDS:
            for header in _HEADERS:
                remaining = _amount(headers.get(header.format("remaining", kind)))
                reset_s = span_s(
                    headers.get(header.format("reset", kind), ""), server_time(headers, self._now)
                )
                if remaining is not None and reset_s is not None:
                    limit = _amount(headers.get(header.format("limit", kind)))
                    learned = _reported_limit(kind, limit, remaining, reset_s, self._clock())
                    self._learned.setdefault(model, {})[kind] = learned

    def _queue(self, claim: Claim) -> _Queue:
        # Each model has its own queue: a limit of one model must not hold up the others.
        return self._queues.setdefault(claim.model, _Queue())

    def _wait(self, claim: Claim) -> _Wait:
        """Return the longest wait among the limits."""
        own = (self._wait_of(kind, limit, claim) for kind, limit in self._own_limits(claim.own))
        learned = (
            self._wait_of(kind, limit, claim) for kind, limit in self._learned.get(claim.model, {}).items()
        )
        bearable = (wait for wait in learned if wait.time_s <= claim.own.longest_wait_s)
        return max([*own, *bearable], default=_Wait(0.0, ""))

    def _own_limits(self, own: OwnLimits) -> Iterator[tuple[str, _Limit]]:
        for kind, limit in zip(_KINDS, own[: len(_KINDS)], strict=True):
            if limit:
                key = kind, int(limit)
                if key not in self._own:
                    self._own[key] = _a_minute(kind, limit, self._clock())
                yield kind, self._own[key]

    def _wait_of(self, kind: str, limit: _Limit, claim: Claim) -> _Wait:
        amount = 1 if kind == "requests" else claim.tokens()
        return _Wait(limit.wait_s(amount, self._clock()), limit.reason)

    def _take(self, claim: Claim, times: int) -> None:
        """Take ``claim`` from every limit: all users are counted, whichever limits they respect."""
        limits = [(kind, limit) for (kind, _), limit in self._own.items()]
        for kind, limit in [*limits, *self._learned.get(claim.model, {}).items()]:
            limit.take(times if kind == "requests" else times * claim.tokens(), self._clock())


class _Queue:
    """The requests waiting for one model, and the reason the first of them waits."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0
        self.reason = ""
        self.until_s = 0.0


def _a_minute(kind: str, limit: float, now_s: float) -> _Limit:
    return _Bucket(kind, limit, limit, refill_per_s=limit / _MINUTE_S, now_s=now_s)


def _reported_limit(kind: str, limit: float | None, remaining: float, reset_s: float, now_s: float) -> _Limit:
    """Return a limit reported by a server: ``remaining`` of ``limit``, full again after ``reset_s``.

    https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits: both
    refill evenly until then.
    """
    if limit is None or limit <= remaining or not reset_s:
        return _Remainder(kind, remaining, reset_at_s=now_s + reset_s)
    return _Bucket(kind, limit, remaining, refill_per_s=(limit - remaining) / reset_s, now_s=now_s)


def _amount(text: str | None) -> float | None:
    return float(text[:15]) if text is not None and text.isdecimal() else None


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
_SHORTEST_REPORTED_S: Final = 2
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


def wait_hint(requested_s: float | None, now: datetime) -> str | None:
    """Return the time until which a server asks to wait, ``now`` being local time; ``None`` for a very short wait."""
    if requested_s is None or requested_s < _SHORTEST_REPORTED_S:
        return None
    return (
        f"the server asks to wait {in_hours(requested_s)}: try again after {_time_of_day(now, requested_s)}"
    )


def _time_of_day(now: datetime, wait_s: float) -> str:
    try:
        then = now + timedelta(seconds=math.ceil(wait_s))
    except OverflowError:
        return "a very long time"
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"
