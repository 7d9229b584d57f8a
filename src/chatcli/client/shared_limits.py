"""Rate limits that hold for all running chatclis together, whatever conversation or batch they belong to.

The state of one endpoint and key is a small JSON object, changed by one process at a time:

- ``sent``: requests and tokens in each tenth of a second of the last minute, counted when the server has answered
  that a request arrived, so that no minute at the server has more than the limit;
- ``waiting``: who waits, by priority, then by order of arrival; an entry of a process that died is dropped;
- ``reports``: what the server's headers have said about each model, less what was sent since.
"""

from __future__ import annotations

import asyncio
import math
import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from chatcli.client.rate_limit import OTHERS_FIRST, Report, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.client.rate_limit import Claim
    from chatcli.storage.shared_state import SharedState

_Result = TypeVar("_Result")
_MINUTE_S: Final = 60.0
_SLOTS_PER_S: Final = 10
_DEAD_AFTER_S: Final = 5.0
_LONGEST_SLEEP_S: Final = 1.0
_SHORTEST_SLEEP_S: Final = 0.02
_PATIENCE_S: Final = 8.0
"""How long one change of the store may take; a locked file fails by itself before that."""


class Ticket(NamedTuple):
    """A request for admission since ``since_s``: its ``model`` and ``tokens``, and the limits it respects.

    A lower ``priority`` goes first. Reported limits that leave room only after ``longest_wait_s`` are ignored.
    """

    id: str
    since_s: float
    model: str
    tokens: int
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    longest_wait_s: float = math.inf
    priority: int = 1
    process: str = ""

    @classmethod
    def of(cls, claim: Claim, process: str) -> Ticket:
        own = claim.own
        limits = own.requests_per_minute, own.tokens_per_minute, own.longest_wait_s
        return cls(_new_id(), math.inf, claim.model, claim.tokens(), *limits, own.priority, process)


_REFUSAL: Final = "refusal"
_NO_WAIT: Final = Wait(0.0, "")


class SharedLimits:
    """The limits of one endpoint and key, ``scope``, over all processes that use ``store``.

    Where the store fails or takes longer than ``patience_s``, ``failure`` says why from then on, and nobody is held up. ``sleep`` is asyncio's.
    """

    def __init__(
        self,
        store: SharedState,
        scope: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._store = store
        self._patience_s = patience_s
        self._scope = scope
        self._sleep = sleep
        # One thread: changes happen in order. What is still to be written is written at the end of the process.
        self._thread = ThreadPoolExecutor(1, "rate-limits")
        self._process = _new_id()
        self.failure: str | None = None
        self._is_reported = False

    def new_failure(self) -> str | None:
        """Return ``failure`` the first time it is asked for."""
        failure = None if self._is_reported else self.failure
        self._is_reported = self._is_reported or failure is not None
        return failure

    async def admit(self, claim: Claim, on_wait: Callable[[Wait], None]) -> SharedAdmission | None:
        """Return when the claim is admitted, ``None`` if the store fails. ``on_wait`` is given each wait."""
        admission = SharedAdmission(self, Ticket.of(claim, self._process))
        turn_s = _SHORTEST_SLEEP_S
        try:
            while self.failure is None:
                wait = await self._changed(admission.attempt)
                if wait is None:
                    break
                if wait.time_s <= 0:
                    return admission
                if wait.reason == OTHERS_FIRST:
                    # They may wait for a limit that is not one's own, for minutes, and each look changes the store.
                    wait, turn_s = wait._replace(time_s=turn_s), min(turn_s * 1.5, _LONGEST_SLEEP_S)
                on_wait(wait)
                await self._sleep(min(wait.time_s, _LONGEST_SLEEP_S))
        except BaseException:
            self.later(admission.withdraw)
            raise
        return None

    def learn(self, model: str, reports: Sequence[Report]) -> None:
        """Tell all processes what a server has said about ``model``."""
        for reported in reports:
            self.later(partial(report, model=model, reported=reported))

    def refused(self, model: str, wait_s: float) -> None:
        """Tell all other processes that a server asks to wait."""
        self.later(partial(refuse, model=model, wait_s=wait_s, process=self._process))

    def later(self, change: Callable[[dict[str, Any], float], object]) -> None:
        """Apply a change without waiting for it."""
        self._begin(change)

    def close(self) -> None:
        """Finish all changes and close the store."""
        self._thread.shutdown()
        self._store.close()

    async def _changed(self, change: Callable[[dict[str, Any], float], _Result]) -> _Result | None:
        changed = asyncio.wrap_future(self._begin(change))
        # A server that sends a byte now and then never fails by itself.
        done, _ = await asyncio.wait({changed}, timeout=self._patience_s)
        if done:
            return changed.result()
        self.failure = f"no answer within {self._patience_s:g} seconds"
        Thread(target=self._store.close, daemon=True).start()  # it may have to wait for the change
        return None

    def _begin(self, change: Callable[[dict[str, Any], float], _Result]) -> Future[_Result | None]:
        try:
            return self._thread.submit(self._apply, change)
        except RuntimeError:  # once the main thread has ended, no executor takes anything
            done: Future[_Result | None] = Future()
            done.set_result(self._apply(change))
            return done

    def _apply(self, change: Callable[[dict[str, Any], float], _Result]) -> _Result | None:
        if self.failure is not None:
            return None
        try:
            return self._store.change(self._scope, change)
        except OSError as error:
            self.failure = self.failure or str(error.strerror or error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the store, it fails no request
            self.failure = self.failure or f"{type(error).__name__}: {error}"
        return None


class SharedAdmission:
    """A request that was admitted ``sent_at_s``, or waits."""

    def __init__(self, limits: SharedLimits, ticket: Ticket) -> None:
        self._limits = limits
        self._ticket = ticket
        self.sent_at_s: float | None = None
        self._tokens = ticket.tokens

    def attempt(self, state: dict[str, Any], now_s: float) -> Wait:
        if self._ticket.since_s == math.inf:
            self._ticket = self._ticket._replace(since_s=now_s)
        wait = admit(state, now_s, self._ticket)
        self.sent_at_s = now_s if wait.time_s <= 0 else None
        return wait

    def withdraw(self, state: dict[str, Any], now_s: float) -> None:
        leave(state, now_s, self._ticket)
        if self.sent_at_s is not None:
            count(state, now_s, requests=-1, tokens=-self._tokens, at_s=self.sent_at_s)
            self.sent_at_s = None

    def give_back(self) -> None:
        """Free the place of a request that was never sent."""
        self._limits.later(self.withdraw)

    def arrived(self) -> None:
        """Count the request from now on: it has certainly reached the server."""
        self._limits.later(partial(self._move, tokens=None))

    def settle(self, tokens: int) -> None:
        """Replace the estimated tokens by those really used."""
        self._limits.later(partial(self._move, tokens=tokens))

    def _move(self, state: dict[str, Any], now_s: float, *, tokens: int | None) -> None:
        if self.sent_at_s is None:
            return
        count(state, now_s, requests=-1, tokens=-self._tokens, at_s=self.sent_at_s)
        if tokens is None:
            self.sent_at_s = now_s
        else:
            self._tokens = tokens
        count(state, now_s, requests=1, tokens=self._tokens, at_s=self.sent_at_s)


_opened: dict[tuple[str, str], SharedLimits] = {}
_of_the_parent: list[SharedLimits] = []
"""Kept, as closing the connections of a process from its child would disturb it."""


def shared_limits(place: str, scope: str) -> SharedLimits:
    """Return the limits of ``scope`` in a file, or on a Redis server if ``place`` is a URL."""
    from chatcli.storage.shared_state import RedisState, SQLiteState  # noqa: PLC0415 - sqlite3 takes a while

    if (place, scope) not in _opened:
        state = RedisState(place) if "://" in place else SQLiteState(Path(place))
        _opened.setdefault((place, scope), SharedLimits(state, scope))
    return _opened[place, scope]


def _leave_to_the_parent() -> None:
    """Forget all limits in a child of a fork, which does not have their threads."""
    _of_the_parent.extend(_opened.values())
    _opened.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def admit(state: dict[str, Any], now_s: float, ticket: Ticket) -> Wait:
    """Admit ``ticket`` if it need not wait, else enter it among the waiting; return the wait."""
    _repair(state)
    _forget(state, now_s)
    others = [entry for entry in state["waiting"] if entry["id"] != ticket.id]
    ahead = [entry for entry in others if _precedes(entry, ticket)]
    requests = 1 + len(ahead)
    tokens = ticket.tokens + sum(entry["tokens"] for entry in ahead)
    wait = max(
        _window_wait(state, now_s, "requests", requests, ticket.requests_per_minute),
        _window_wait(state, now_s, "tokens", tokens, ticket.tokens_per_minute),
        *_reported_waits(state, now_s, ticket),
    )
    state["waiting"] = others
    if not ahead and wait.time_s <= 0:
        _take(state, now_s, ticket)
        return _NO_WAIT
    entry = {"id": ticket.id, "since": ticket.since_s, "priority": ticket.priority, "model": ticket.model}
    others.append(entry | {"tokens": ticket.tokens, "seen": now_s})
    return wait if wait.time_s > 0 else Wait(_SHORTEST_SLEEP_S, OTHERS_FIRST)


def leave(state: dict[str, Any], now_s: float, ticket: Ticket) -> None:
    """Forget a ticket that waits."""
    _repair(state)
    _forget(state, now_s)
    state["waiting"] = [entry for entry in state["waiting"] if entry["id"] != ticket.id]


def count(
    state: dict[str, Any], now_s: float, *, requests: int, tokens: int, at_s: float | None = None
) -> None:
    """Add requests and tokens, which may be negative, to those sent ``at_s``, by default now."""
    _repair(state)
    _forget(state, now_s)
    slot = _slot(now_s if at_s is None else at_s)
    if slot < _slot(now_s - _MINUTE_S):
        return
    sent = state["sent"].setdefault(str(slot), [0, 0])
    sent[0] = max(0, sent[0] + requests)
    sent[1] = max(0, sent[1] + tokens)


def report(state: dict[str, Any], now_s: float, model: str, reported: Report) -> None:
    """Keep what a server said about ``model``."""
    _repair(state)
    limit, remaining, reset_s = reported.limit, reported.remaining, reported.reset_s
    refills = limit is not None and limit > remaining and reset_s > 0
    state["reports"].setdefault(model, {})[reported.kind] = {
        "limit": limit if refills else None,
        "level": remaining,
        "per_s": (limit - remaining) / reset_s if refills and limit is not None else 0.0,
        "at": now_s,
        "until": now_s + reset_s,
    }


def refuse(state: dict[str, Any], now_s: float, *, model: str, wait_s: float, process: str) -> None:
    """Hold up all processes but ``process`` for ``wait_s``."""
    report(state, now_s, model, Report(_REFUSAL, None, 0, wait_s))
    state["reports"][model][_REFUSAL]["by"] = process


def _repair(state: dict[str, Any]) -> None:
    """Begin anew with a state that another version, or a damaged disk, has left."""
    is_sound = True
    try:
        for slot, (requests, tokens) in state["sent"].items():
            is_sound = is_sound and int(slot) + requests + tokens >= 0
        for entry in state["waiting"]:
            numbers = entry["priority"] + entry["since"] + entry["tokens"] + entry["seen"]
            is_sound = is_sound and numbers >= 0 and isinstance(entry["id"] + entry["model"], str)
        for kinds in state["reports"].values():
            for known in kinds.values():
                level = (
                    known["level"] + known["per_s"] * (known["at"] + known["until"]) + (known["limit"] or 0)
                )
                is_sound = is_sound and math.isfinite(level)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        is_sound = False
    if not is_sound:
        state.clear()
        state.update({"sent": {}, "waiting": [], "reports": {}})


def _forget(state: dict[str, Any], now_s: float) -> None:
    """Drop what is over. What lies in the future was written before the clock was set back."""
    oldest, newest = _slot(now_s - _MINUTE_S), _slot(now_s + _LONGEST_SLEEP_S)
    state["sent"] = {slot: sent for slot, sent in state["sent"].items() if oldest <= int(slot) <= newest}
    state["waiting"] = [entry for entry in state["waiting"] if abs(now_s - entry["seen"]) <= _DEAD_AFTER_S]
    for model, kinds in list(state["reports"].items()):
        current = {
            kind: known
            for kind, known in kinds.items()
            if known["at"] <= now_s + _LONGEST_SLEEP_S and now_s < known["until"]
        }
        if current:
            state["reports"][model] = current
        else:
            del state["reports"][model]


def _precedes(entry: dict[str, Any], ticket: Ticket) -> bool:
    # A limit of one model must not hold up the others; who is more urgent goes before all.
    is_before = (entry["priority"], entry["since"], entry["id"]) < (
        ticket.priority,
        ticket.since_s,
        ticket.id,
    )
    return is_before and (entry["model"] == ticket.model or entry["priority"] < ticket.priority)


def _window_wait(state: dict[str, Any], now_s: float, kind: str, amount: float, limit: int | None) -> Wait:
    """Return how long to wait until ``amount`` fits into the minute; more than the limit fits into an empty one."""
    if not limit:
        return _NO_WAIT
    column = 0 if kind == "requests" else 1
    slots = sorted((int(slot), sent[column]) for slot, sent in state["sent"].items())
    missing = sum(sent for _, sent in slots) + min(amount, limit) - limit
    if missing <= 0:
        return _NO_WAIT
    free_s = now_s
    for slot, sent in slots:
        missing -= sent
        free_s = (slot + 1) / _SLOTS_PER_S + _MINUTE_S
        if missing <= 0:
            break
    return Wait(max(free_s - now_s, _SHORTEST_SLEEP_S), f"rate limit of {limit} {kind} a minute")


def _reported_waits(state: dict[str, Any], now_s: float, ticket: Ticket) -> list[Wait]:
    waits = []
    for kind, known in state["reports"].get(ticket.model, {}).items():
        if known.get("by") == ticket.process:
            continue
        amount = ticket.tokens if kind == "tokens" else 1
        level, limit = _level(known, now_s), known["limit"]
        if limit is None:
            wait_s = known["until"] - now_s if amount > level else 0.0
            reason = "the server asked to wait" if kind == _REFUSAL else f"rate limit of {kind}"
        else:
            wait_s = (min(amount, limit) - level) / known["per_s"] if known["per_s"] > 0 else 0.0
            reason = f"rate limit of {limit:.0f} {kind}"
        if 0 < wait_s <= ticket.longest_wait_s:
            waits.append(Wait(wait_s, reason))
    return waits or [_NO_WAIT]


def _level(known: dict[str, Any], now_s: float) -> float:
    level: float = known["level"] + max(0.0, now_s - known["at"]) * known["per_s"]
    return level if known["limit"] is None else min(level, known["limit"])


def _take(state: dict[str, Any], now_s: float, ticket: Ticket) -> None:
    sent = state["sent"].setdefault(str(_slot(now_s)), [0, 0])
    sent[0] += 1
    sent[1] += ticket.tokens
    for kind, known in state["reports"].get(ticket.model, {}).items():
        known["level"] = _level(known, now_s) - (ticket.tokens if kind == "tokens" else 1)
        known["at"] = now_s


def _new_id() -> str:
    return os.urandom(8).hex()


def _slot(at_s: float) -> int:
    return int(at_s * _SLOTS_PER_S)
