"""Keeping to rate limits: the layer that waits for its turn instead of running into a 429."""

from __future__ import annotations

import asyncio
import math
import re
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.client.retry_timing import server_time
from chatcli.core.events import Completion, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request

_MINUTE_S: Final = 60.0
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])")
_SPANS: Final = re.compile(rf"(?:{_SPAN.pattern})+")
_KINDS: Final = ("requests", "tokens")
# OpenAI and those who follow it; Anthropic.
_HEADERS: Final = ("x-ratelimit-{}-{}", "anthropic-ratelimit-{1}-{0}")


@dataclass(frozen=True, slots=True)
class Place:
    """What a request took of the limits."""

    tokens: int


class _Wait(NamedTuple):
    """How long a limit is waited for; the longest compares as the greatest."""

    time_s: float
    reason: str


class _Limit(Protocol):
    reason: str

    def wait_s(self, amount: float, now_s: float) -> float:
        """Return how long it is until ``amount`` may be taken."""
        ...

    def take(self, amount: float, now_s: float) -> None:
        """Take ``amount``; a negative one gives back."""
        ...


class _Bucket:
    """A limit that refills evenly; a full one may be spent at once.

    More than the whole of it is given out when it is full, and then owed.
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
        # A level is a sum of many small parts; without the tolerance a rounding error would be waited for.
        return missing / self._refill_per_s if missing > 1e-6 else 0.0  # noqa: PLR2004

    def take(self, amount: float, now_s: float) -> None:
        self._refill(now_s)
        self._level = min(self._level - amount, self._limit)

    def _refill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._at_s)
        self._level = min(self._level + passed_s * self._refill_per_s, self._limit)
        self._at_s = now_s


class _Remainder:
    """A limit whose size nobody told: so much remains until it is reset."""

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
    """The limits of one model at one endpoint, shared by all who ask it.

    ``requests_per_minute`` and ``tokens_per_minute`` are the person's own, ``None`` for none; what the server tells
    in its headers is learned. Whoever comes first is served first, however much it asks for. A server whose limit
    leaves room only after ``longest_wait_s`` is asked all the same: it says itself how long it wants to be left alone.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        longest_wait_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._longest_wait_s = longest_wait_s
        own = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._own = {kind: _a_minute(kind, limit, clock()) for kind, limit in own.items() if limit}
        self._told: dict[str, _Limit] = {}
        self._reason = ""
        self._until_s = 0.0
        # asyncio's lock is fair: it is given out in the order it was asked for.
        self._turn = asyncio.Lock()

    async def admit(self, tokens: int) -> Place:
        """Return when a request of about ``tokens`` may go out."""
        async with self._turn:
            while (wait := self._wait(tokens)).time_s > 0:
                self._reason, self._until_s = wait.reason, self._clock() + wait.time_s
                await self._sleep(wait.time_s)
            self._take(1, tokens)
            return Place(tokens)

    def reason(self) -> str:
        """Return what the next in line waits for, and for how long still."""
        return f"{self._reason} ({max(0, math.ceil(self._until_s - self._clock()))} s left)"

    def settle(self, place: Place, tokens: int) -> None:
        """Correct what a request took by what it really used; a server has counted that itself."""
        if "tokens" in self._own:
            self._own["tokens"].take(tokens - place.tokens, self._clock())

    def give_back(self, place: Place) -> None:
        """Take back a request that was never sent."""
        self._take(-1, -place.tokens)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Learn from the headers of a response what a limit is, what remains of it and when it is whole again."""
        for kind in _KINDS:
            for header in _HEADERS:
                remaining = _amount(headers.get(header.format("remaining", kind)))
                reset_s = span_s(
                    headers.get(header.format("reset", kind), ""), server_time(headers, self._now)
                )
                if remaining is not None and reset_s is not None:
                    limit = _amount(headers.get(header.format("limit", kind)))
                    self._told[kind] = _as_told(kind, limit, remaining, reset_s, self._clock())

    def _wait(self, tokens: int) -> _Wait:
        """Return the longest wait that a limit asks for."""
        told = (wait for wait in self._waits(self._told, tokens) if wait.time_s <= self._longest_wait_s)
        return max([*self._waits(self._own, tokens), *told], default=_Wait(0.0, ""))

    def _waits(self, limits: Mapping[str, _Limit], tokens: int) -> list[_Wait]:
        amounts = {"requests": 1, "tokens": tokens}
        return [
            _Wait(limit.wait_s(amounts[kind], self._clock()), limit.reason) for kind, limit in limits.items()
        ]

    def _take(self, requests: int, tokens: int) -> None:
        amounts = {"requests": requests, "tokens": tokens}
        for kind, limit in [*self._own.items(), *self._told.items()]:
            limit.take(amounts[kind], self._clock())


class RateLimitedModel:
    """A ``ChatModel`` that asks ``inner`` when its turn has come, and says what it waits for until then.

    ``tokens`` estimates what a request will use.
    """

    def __init__(
        self,
        inner: ChatModel,
        limits: RateLimits,
        *,
        tokens: Callable[[Request], int],
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._tokens = tokens
        self._interval_s = interval_s
        self._clock = clock

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        began_s = self._clock()
        admission = asyncio.ensure_future(self._limits.admit(self._tokens(request)))
        try:
            while not (await asyncio.wait({admission}, timeout=self._interval_s))[0]:
                yield Waiting(self._clock() - began_s, self._limits.reason())
        except BaseException:
            self._leave(admission)
            raise
        place = admission.result()
        async with aclosing(self._inner.stream(request)) as events:
            async for event in events:
                if isinstance(event, Completion) and (used := _used(event)) is not None:
                    self._limits.settle(place, used)
                yield event

    def _leave(self, admission: asyncio.Task[Place]) -> None:
        """Give up the turn, also where it has come in this very moment."""
        if admission.done() and not admission.cancelled():
            self._limits.give_back(admission.result())
        admission.cancel()


def _a_minute(kind: str, limit: int, now_s: float) -> _Limit:
    return _Bucket(kind, limit, limit, refill_per_s=limit / _MINUTE_S, now_s=now_s)


def _as_told(kind: str, limit: float | None, remaining: float, reset_s: float, now_s: float) -> _Limit:
    """Return the limit a server told of: ``remaining`` of ``limit``, which is whole again after ``reset_s``.

    https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits: both refill
    evenly until then.
    """
    if limit is None or limit <= remaining or not reset_s:
        return _Remainder(kind, remaining, reset_at_s=now_s + reset_s)
    return _Bucket(kind, limit, remaining, refill_per_s=(limit - remaining) / reset_s, now_s=now_s)


def _amount(text: str | None) -> float | None:
    return float(text[:15]) if text is not None and text.isdecimal() else None


def span_s(text: str, now: datetime) -> float | None:
    """Return a span of time in seconds: ``6m0s``, ``120ms``, ``1.5``, or the time until a date of RFC 3339."""
    text = text.strip()
    if _SPANS.fullmatch(text):
        return sum(float(number) * _UNITS_S[unit] for number, unit in _SPAN.findall(text))
    try:
        return max(0.0, min(float(text), 1e9)) if math.isfinite(float(text)) else None
    except ValueError:
        pass
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, (until - now).total_seconds()) if until.tzinfo else None


def _used(completion: Completion) -> int | None:
    usage = completion.usage
    if usage is None or usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.output_tokens or 0)
