"""Keeping to rate limits: the layer that waits for its turn instead of running into a 429."""

from __future__ import annotations

import asyncio
import math
import re
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

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
# OpenAI and those who follow it; Anthropic.
_PREFIXES: Final = ("x-ratelimit-{}-{}", "anthropic-ratelimit-{1}-{0}")


@dataclass(frozen=True, slots=True)
class Place:
    """What a request took of the limits."""

    tokens: int


class _Bucket:
    """A limit of so much a minute, which refills evenly; a full one may be spent at once.

    More than the whole of it is given out when it is full, and then owed.
    """

    def __init__(self, a_minute: int, now_s: float) -> None:
        self._a_minute = a_minute
        self._level = float(a_minute)
        self._at_s = now_s

    def wait_s(self, amount: float, now_s: float) -> float:
        self._refill(now_s)
        missing = min(amount, self._a_minute) - self._level
        # A level is a sum of many small parts; without the tolerance a rounding error would be waited for.
        return missing * _MINUTE_S / self._a_minute if missing > 1e-6 else 0.0  # noqa: PLR2004

    def take(self, amount: float, now_s: float) -> None:
        """Take ``amount``; a negative one gives back."""
        self._refill(now_s)
        self._level = min(self._level - amount, float(self._a_minute))

    def _refill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._at_s)
        self._level = min(self._level + passed_s * self._a_minute / _MINUTE_S, float(self._a_minute))
        self._at_s = now_s


class _Told:
    """What a server told of one of its own limits: how much remains until it is reset."""

    def __init__(self) -> None:
        self._remaining: float | None = None
        self._reset_at_s = 0.0

    def tell(self, remaining: float, reset_s: float, now_s: float) -> None:
        self._remaining = remaining
        self._reset_at_s = now_s + reset_s

    def wait_s(self, amount: float, now_s: float) -> float:
        if self._remaining is None or self._remaining >= amount or now_s >= self._reset_at_s:
            return 0.0
        return self._reset_at_s - now_s

    def take(self, amount: float, now_s: float) -> None:
        if self._remaining is not None and now_s < self._reset_at_s:
            self._remaining = max(0.0, self._remaining - amount)


class RateLimits:
    """The limits of one model at one endpoint, shared by all who ask it.

    ``requests_per_minute`` and ``tokens_per_minute`` are the person's own, ``None`` for none; what the server tells
    in its headers is learned. Whoever comes first is served first, however much it asks for. A server whose limit is
    reset only after ``longest_wait_s`` is asked all the same: it says itself how long it wants to be left alone.
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
        self._requests = _Bucket(requests_per_minute, clock()) if requests_per_minute else None
        self._tokens = _Bucket(tokens_per_minute, clock()) if tokens_per_minute else None
        self._told_requests = _Told()
        self._told_tokens = _Told()
        # asyncio's lock is fair: it is given out in the order it was asked for.
        self._turn = asyncio.Lock()

    async def admit(self, tokens: int) -> Place:
        """Return when a request of about ``tokens`` may go out."""
        async with self._turn:
            while (wait_s := self._wait_s(tokens)) > 0:
                await self._sleep(wait_s)
            self._take(1, tokens)
            return Place(tokens)

    def settle(self, place: Place, tokens: int) -> None:
        """Correct what a request took by what it really used."""
        self._take(0, tokens - place.tokens)

    def give_back(self, place: Place) -> None:
        """Take back a request that was never sent."""
        self._take(-1, -place.tokens)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Learn from the headers of a response what remains and when it is reset."""
        self._learn(self._told_requests, "requests", headers)
        self._learn(self._told_tokens, "tokens", headers)

    def _wait_s(self, tokens: int) -> float:
        now_s = self._clock()
        own = [
            limit.wait_s(amount, now_s)
            for limit, amount in ((self._requests, 1), (self._tokens, tokens))
            if limit
        ]
        told = [self._told_requests.wait_s(1, now_s), self._told_tokens.wait_s(tokens, now_s)]
        return max([*own, *(wait_s for wait_s in told if wait_s <= self._longest_wait_s)], default=0.0)

    def _take(self, requests: int, tokens: int) -> None:
        now_s = self._clock()
        for limit, amount in (
            (self._requests, requests),
            (self._told_requests, requests),
            (self._tokens, tokens),
            (self._told_tokens, tokens),
        ):
            if limit:
                limit.take(amount, now_s)

    def _learn(self, limit: _Told, kind: str, headers: Mapping[str, str]) -> None:
        for prefix in _PREFIXES:
            remaining = headers.get(prefix.format("remaining", kind), "")
            reset_s = span_s(headers.get(prefix.format("reset", kind), ""), self._now())
            if remaining.isdecimal() and reset_s is not None:
                limit.tell(float(remaining[:15]), reset_s, self._clock())


class RateLimitedModel:
    """A ``ChatModel`` that asks ``inner`` when its turn has come, and says how long it has been waiting.

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
                yield Waiting(self._clock() - began_s, "waiting for the rate limit")
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
