"""Stores of model answers by key, with a lifetime, a size cap, and claims on answers that are being asked for.

A content is bytes that only its reader understands. A claim belongs to its ``owner`` until it is released or its
lease ends, so that one owner asks for an answer while others wait. A ``scope`` groups the answers that can stand for
each other; in a scope, each has a vector.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MOST_COMPARED = 1_000
"""The number of answers of a scope whose vectors are compared, those used last."""

_HIGHEST_COUNT = 10**15


class StoreUnavailable(Exception):
    """The store cannot be used; the message says why."""


class StoreBusy(StoreUnavailable):
    """Another process has the store for the moment."""


class StoreLimits(NamedTuple):
    """Answers live for ``ttl_s`` seconds; together they have at most ``most_bytes``."""

    ttl_s: float
    most_bytes: int


class StoredAnswer(NamedTuple):
    key: str
    content: bytes
    scope: str = ""
    vector: bytes = b""

    @property
    def size_bytes(self) -> int:
        return len(self.key) + len(self.content) + len(self.vector)


class StoreStatistics(NamedTuple):
    """``counters`` are sums of what every user of the store has counted."""

    answers: int
    size_bytes: int
    counters: Mapping[str, float]


def sound_counters(listed: Iterable[tuple[object, object]]) -> dict[str, float]:
    """Return the counters among names and amounts of a store in which others may have written anything."""
    return {
        name: amount
        for name, amount in listed
        if isinstance(name, str) and isinstance(amount, int | float) and 0 <= amount <= _HIGHEST_COUNT
    }


class AnswerStore(Protocol):
    """A store. Every method raises ``StoreUnavailable`` if it cannot be used, and blocks only briefly otherwise."""

    def look_up(self, key: str, owner: str, lease_s: float) -> bytes | str:
        """Return the content, which becomes the most recently used, else the owner who has the claim on it now.

        That is ``owner``, for ``lease_s`` seconds, unless somebody else had it before.
        """
        ...

    def get(self, key: str) -> bytes | None:
        """Return the content like ``look_up``, without claiming anything."""
        ...

    def renew(self, key: str, owner: str, lease_s: float) -> None:
        """Extend the claim of ``owner``, if it still has it."""
        ...

    def release(self, key: str, owner: str) -> None:
        """End the claim of ``owner``, if it still has it."""
        ...

    def put(self, answer: StoredAnswer) -> None:
        """Store an answer in place of an earlier one, and evict the least recently used ones beyond the size cap.

        One that is larger than the cap alone is not stored.
        """
        ...

    def vectors(self, scope: str) -> Sequence[tuple[str, bytes]]:
        """Return keys and vectors of the scope, of at most ``MOST_COMPARED`` answers."""
        ...

    def count(self, amounts: Mapping[str, float]) -> None:
        """Add to the counters."""
        ...

    def statistics(self) -> StoreStatistics: ...

    def clear(self) -> int:
        """Delete everything, and return how many answers there were."""
        ...

    def close(self) -> None: ...


class _MemoryEntry(NamedTuple):
    answer: StoredAnswer
    expires_s: float


class MemoryAnswers:
    """An ``AnswerStore`` that ends with the process. ``clock_s`` counts seconds."""

    def __init__(self, limits: StoreLimits, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock_s = clock_s
        self._lock = Lock()
        self._kept: OrderedDict[str, _MemoryEntry] = OrderedDict()
        self._size_bytes = 0
        self._claims: dict[str, tuple[str, float]] = {}
        self._counters: Counter[str] = Counter()

    def look_up(self, key: str, owner: str, lease_s: float) -> bytes | str:
        with self._lock:
            content = self._get(key)
            if content is not None:
                return content
            holder, expires_s = self._claims.get(key, (owner, 0.0))
            now_s = self._clock_s()
            if holder != owner and expires_s > now_s:
                return holder
            self._claims[key] = owner, now_s + lease_s
            return owner

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._get(key)

    def renew(self, key: str, owner: str, lease_s: float) -> None:
        with self._lock:
            if self._claims.get(key, ("", 0.0))[0] == owner:
                self._claims[key] = owner, self._clock_s() + lease_s

    def release(self, key: str, owner: str) -> None:
        with self._lock:
            if self._claims.get(key, ("", 0.0))[0] == owner:
                del self._claims[key]

    def put(self, answer: StoredAnswer) -> None:
        with self._lock:
            self._drop(answer.key)
            if answer.size_bytes > self._limits.most_bytes:
                return
            self._drop_expired()
            self._kept[answer.key] = _MemoryEntry(answer, self._clock_s() + self._limits.ttl_s)
            self._size_bytes += answer.size_bytes
            while self._size_bytes > self._limits.most_bytes:
                self._drop(next(iter(self._kept)))

    def vectors(self, scope: str) -> Sequence[tuple[str, bytes]]:
        with self._lock:
            self._drop_expired()
            found = [
                (key, kept.answer.vector)
                for key, kept in reversed(self._kept.items())
                if kept.answer.scope == scope and kept.answer.vector
            ]
        return found[:MOST_COMPARED]

    def count(self, amounts: Mapping[str, float]) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._counters[name] += amount  # type: ignore[assignment]  # a Counter adds any numbers

    def statistics(self) -> StoreStatistics:
        with self._lock:
            self._drop_expired()
            return StoreStatistics(len(self._kept), self._size_bytes, dict(self._counters))

    def clear(self) -> int:
        with self._lock:
            self._drop_expired()
            cleared = len(self._kept)
            self._kept.clear()
            self._claims.clear()
            self._counters.clear()
            self._size_bytes = 0
            return cleared

    def close(self) -> None:
        return

    def _get(self, key: str) -> bytes | None:
        kept = self._kept.get(key)
        if kept is None or kept.expires_s <= self._clock_s():
            return None
        self._kept.move_to_end(key)
        return kept.answer.content

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size_bytes -= kept.answer.size_bytes

    def _drop_expired(self) -> None:
        now_s = self._clock_s()
        for key in [key for key, kept in self._kept.items() if kept.expires_s <= now_s]:
            self._drop(key)
