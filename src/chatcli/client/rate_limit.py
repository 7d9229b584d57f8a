"""Rate limits, set by the person or reported by a server. Waiting for a limit avoids a 429."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chatcli.client.stated_delays import retry_after_s, server_time, span_s
from chatcli.core.ports import LimitLeft

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

_MINUTE_S: Final = 60.0
_KINDS: Final = ("requests", "tokens")
_REFUSALS: Final = ("retry-after", "retry-after-ms")
_ACTIVE_S: Final = 120.0
_FEW: Final = 20
_LITTLE: Final = 0.2
_PARTS: Final = ("remaining", "reset", "limit")
_HEADERS: Final = tuple(
    (kind, *(pattern.format(part, kind) for part in _PARTS))
    for kind in _KINDS
    # OpenAI and compatible servers; Anthropic.
    for pattern in ("x-ratelimit-{}-{}", "anthropic-ratelimit-{1}-{0}")
)
_LOOK_EVERY_S: Final = 0.1


class SharedPlace(Protocol):
    """The place of a request among those of all processes."""

    def arrived(self) -> None:
        """Count the request from now on: it has certainly reached the server."""
        ...

    def settle(self, tokens: int) -> None:
        """Replace the estimated tokens by those really used."""
        ...

    def give_back(self) -> None:
        """Free the place of a request that was never sent."""
        ...


class LimitsOfAll(Protocol):
    """Limits that hold for several processes together; ``failure`` says why they no longer do."""

    @property
    def failure(self) -> str | None: ...

    def new_failure(self) -> str | None:
        """Return ``failure`` the first time it is asked for."""
        ...

    async def admit(self, claim: Claim, on_wait: Callable[[Wait], None]) -> SharedPlace | None:
        """Return when the claim is admitted, ``None`` after a failure. ``on_wait`` is given each wait."""
        ...

    def learn(self, model: str, reports: Sequence[Report]) -> None:
        """Tell all processes what a server has said about ``model``."""
        ...

    def refused(self, model: str, wait_s: float) -> None:
        """Tell all other processes that a server asks to wait."""
        ...


class Sharing:
    """Where limits are shared with other processes: ``place``, a file or the URL of a Redis server.

    ``open`` opens it; most requests need not. ``clock`` counts seconds.
    """

    def __init__(
        self, place: str, opening: Callable[[], LimitsOfAll], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.place = place
        self.open = opening
        self._clock = clock
        self._was_active = "://" in place
        self._look_at_s = math.inf if self._was_active else -math.inf

    @property
    def is_active(self) -> bool:
        """Whether another process may have something to say; a file is looked at ten times a second at most."""
        now_s = self._clock()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_EVERY_S
            try:
                self._was_active = abs(time.time() - Path(self.place).stat().st_mtime) <= _ACTIVE_S
            except OSError:
                self._was_active = False
        return self._was_active


class OwnLimits(NamedTuple):
    """The person's limits: requests and tokens per minute, ``None`` for no limit.

    A limit reported by the server is ignored if it leaves room only after ``longest_wait_s``: the request is
    sent, and the server states the delay itself. All limits hold for all processes with the same ``sharing``,
    of which those with a lower ``priority`` go first.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    longest_wait_s: float = math.inf
    sharing: Sharing | None = None
    priority: int = 1

    @property
    def is_limited(self) -> bool:
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def new_failure(self) -> str | None:
        """Return why limits that should hold for other processes hold for this one only; once."""
        return self.sharing.open().new_failure() if self.sharing and self.is_limited else None

    def shared(self) -> LimitsOfAll | None:
        """Return the limits shared with other processes, ``None`` if there is nothing to share or it cannot be."""
        if self.sharing is None or not (self.is_limited or self.sharing.is_active):
            return None
        shared = self.sharing.open()
        return None if shared.failure else shared

    def share(self, model: str, reports: Sequence[Report], headers: Mapping[str, str]) -> None:
        """Tell other processes what a server has said, if it is about to refuse requests or does so already."""
        if self.sharing is None:
            return
        is_refused = any(name in headers for name in _REFUSALS)
        if is_refused and (refused_s := retry_after_s(headers)) is not None:
            # This process waits for it before it tries again, unless the person says otherwise.
            self.sharing.open().refused(model, refused_s)
        if any(report.is_tight for report in reports):
            self.sharing.open().learn(model, reports)
        elif reports and (shared := self.shared()) is not None:
            shared.learn(model, reports)


NO_LIMITS: Final = OwnLimits()


class Claim(NamedTuple):
    """The claim of a request on the limits: about ``tokens()`` of ``model``, by ``own`` limits and the server's.

    Tokens are counted only if a token limit is known.
    """

    tokens: Callable[[], int]
    model: str = ""
    own: OwnLimits = NO_LIMITS


class Wait(NamedTuple):
    """The wait for a limit; the longest compares as the greatest."""

    time_s: float
    reason: str


OTHERS_FIRST: Final = "others go first"
"""The reason given while a request waits only for its turn; nobody knows how long that takes."""

_NO_WAIT: Final = Wait(0.0, "")


class Report(NamedTuple):
    """What a server says about requests or tokens: ``remaining`` of ``limit``, all of it after ``reset_s``."""

    kind: str
    limit: float | None
    remaining: float
    reset_s: float

    @property
    def is_tight(self) -> bool:
        """Whether so little is left that other processes should know."""
        return self.remaining <= (_FEW if self.limit is None else max(self.limit * _LITTLE, _FEW))


class _Limit(Protocol):
    reason: str

    def wait_s(self, amount: float, now_s: float) -> float:
        """Return how long to wait for ``amount``."""
        ...

    def take(self, amount: float, now_s: float) -> None:
        """Take ``amount``; a negative one is returned."""
        ...

    def spare_share(self, amount: float, now_s: float) -> float:
        """Return the share that is left without ``amount``."""
        ...

    def left(self, kind: str, now_s: float) -> LimitLeft: ...


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

    def spare_share(self, amount: float, now_s: float) -> float:
        self._refill(now_s)
        return max(0.0, (self._level - amount) / self._limit)

    def left(self, kind: str, now_s: float) -> LimitLeft:
        self._refill(now_s)
        missing = max(0.0, self._limit - self._level)
        return LimitLeft(kind, max(0.0, self._level), self._limit, missing / self._refill_per_s)

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

    def spare_share(self, amount: float, now_s: float) -> float:
        # Of an unknown size: the last few requests are kept, and as many tokens again.
        is_plenty = self._remaining - amount >= max(_FEW, amount)
        return 1.0 if is_plenty or now_s >= self._reset_at_s else 0.0

    def left(self, kind: str, now_s: float) -> LimitLeft:
        return LimitLeft(kind, self._remaining, None, max(0.0, self._reset_at_s - now_s))


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
        """Admit a request if it need not wait, nor ask other processes; return whether it is admitted."""
        if self._queue(claim).length or claim.own.shared() or self._wait(claim).time_s > 0:
            return False
        self._take(claim, 1)
        return True

    async def admit(self, claim: Claim) -> SharedPlace | None:
        """Return when the request is admitted: its place among those of other processes, if they share limits."""
        queue = self._queue(claim)
        queue.length += 1
        try:
            # asyncio's lock is fair: waiters get it in order.
            async with queue.turn:
                admission = None
                if (shared := claim.own.shared()) is not None:
                    admission = await shared.admit(claim, partial(self._tell, queue))
                if admission is None:
                    while (wait := self._wait(claim)).time_s > 0:
                        self._tell(queue, wait)
                        await self._sleep(wait.time_s)
                self._take(claim, 1)
                return admission
        finally:
            queue.length -= 1

    def _tell(self, queue: _Queue, wait: Wait) -> None:
        queue.reason, queue.until_s = wait.reason, self._clock() + wait.time_s

    def reason(self, claim: Claim) -> str:
        """Return the reason of the first wait, and how long it still takes."""
        queue = self._queue(claim)
        if not queue.reason:
            return "the rate limits of all programs are looked up"
        if queue.reason == OTHERS_FIRST:
            return queue.reason
        return f"{queue.reason} ({max(0, math.ceil(queue.until_s - self._clock()))} s left)"

    def held_s(self, claim: Claim, waited_s: float) -> float:
        """Return how much of a wait that ends now is due to the limits, and not to looking them up."""
        return max(0.0, waited_s - max(0.0, self._clock() - self._queue(claim).until_s))

    def settle(self, claim: Claim, tokens: int) -> None:
        """Replace the claim of a request by its actual usage; the server has counted that itself."""
        for (kind, _), limit in self._own.items():
            if kind == "tokens":
                limit.take(tokens - claim.tokens(), self._clock())

    def give_back(self, claim: Claim) -> None:
        """Return the claim of a request that was never sent."""
        self._take(claim, -1)

    def learn(self, headers: Mapping[str, str], model: str = "", own: OwnLimits = NO_LIMITS) -> None:
        """Learn from response headers the size of a limit, its remaining amount and its reset, and share it."""
        reports = list(self._reports(headers))
        for report in reports:
            self._learned.setdefault(model, {})[report.kind] = _reported_limit(report, self._clock())
        own.share(model, reports, headers)

    def spare_share(self, model: str, tokens: int) -> float:
        """Return the share that a request would leave of the tightest limit in the server's headers, 1 without any."""
        left = (
            limit.spare_share(1 if kind == "requests" else tokens, self._clock())
            for kind, limit in self._learned.get(model, {}).items()
        )
        return min(left, default=1.0)

    def left(self, model: str) -> list[LimitLeft]:
        """Return what is left of the limits in the server's headers."""
        now_s = self._clock()
        return [limit.left(kind, now_s) for kind, limit in self._learned.get(model, {}).items()]

    def _reports(self, headers: Mapping[str, str]) -> Iterator[Report]:
        for kind, *names in _HEADERS:
            remaining, reset, limit = map(headers.get, names)
            remaining_amount = _amount(remaining)
            if remaining_amount is None:
                continue
            reset_s = span_s(reset or "", server_time(headers, self._now))
            if reset_s is not None:
                yield Report(kind, _amount(limit), remaining_amount, reset_s)

    def _queue(self, claim: Claim) -> _Queue:
        # Each model has its own queue: a limit of one model must not hold up the others.
        queue = self._queues.get(claim.model)
        if queue is None:
            queue = self._queues[claim.model] = _Queue()
        return queue

    def _wait(self, claim: Claim) -> Wait:
        """Return the longest wait among the limits."""
        if not (claim.own.is_limited or self._learned.get(claim.model)):
            return _NO_WAIT
        own = (self._wait_of(kind, limit, claim) for kind, limit in self._own_limits(claim.own))
        learned = (
            self._wait_of(kind, limit, claim) for kind, limit in self._learned.get(claim.model, {}).items()
        )
        bearable = (wait for wait in learned if wait.time_s <= claim.own.longest_wait_s)
        return max([*own, *bearable], default=_NO_WAIT)

    def _own_limits(self, own: OwnLimits) -> Iterator[tuple[str, _Limit]]:
        for kind, limit in zip(_KINDS, (own.requests_per_minute, own.tokens_per_minute), strict=True):
            if limit:
                key = kind, int(limit)
                if key not in self._own:
                    self._own[key] = _a_minute(kind, limit, self._clock())
                yield kind, self._own[key]

    def _wait_of(self, kind: str, limit: _Limit, claim: Claim) -> Wait:
        amount = 1 if kind == "requests" else claim.tokens()
        return Wait(limit.wait_s(amount, self._clock()), limit.reason)

    def _take(self, claim: Claim, times: int) -> None:
        """Take ``claim`` from every limit: all users are counted, whichever limits they respect."""
        learned = self._learned.get(claim.model)
        if not (self._own or learned):
            return
        limits = [(kind, limit) for (kind, _), limit in self._own.items()]
        for kind, limit in [*limits, *(learned or {}).items()]:
            limit.take(times if kind == "requests" else times * claim.tokens(), self._clock())


class _Queue:
    """The requests waiting for one model, and the reason the first of them waits."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0
        self.reason = ""
        self.until_s = -math.inf


def _a_minute(kind: str, limit: float, now_s: float) -> _Limit:
    return _Bucket(kind, limit, limit, refill_per_s=limit / _MINUTE_S, now_s=now_s)


def _reported_limit(report: Report, now_s: float) -> _Limit:
    """Return a limit reported by a server: ``remaining`` of ``limit``, full again after ``reset_s``.

    https://platform.openai.com/docs/guides/rate-limits, https://docs.anthropic.com/en/api/rate-limits: both
    refill evenly until then.
    """
    kind, limit, remaining, reset_s = report
    if limit is None or limit <= remaining or not reset_s:
        return _Remainder(kind, remaining, reset_at_s=now_s + reset_s)
    return _Bucket(kind, limit, remaining, refill_per_s=(limit - remaining) / reset_s, now_s=now_s)


def _amount(text: str | None) -> float | None:
    return float(text[:15]) if text is not None and text.isdecimal() else None
