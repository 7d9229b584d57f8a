"""Retries before any of an answer was shown: the same model, then fallbacks."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import tenacity
from tenacity import (
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from chatcli.core.errors import ChatcliError, EndpointError, NetworkError, RateLimited, ServerFailed
from chatcli.core.event_log import WARNING
from chatcli.core.events import Completion, Notice, ReasoningDelta, Retrying, TextDelta
from chatcli.core.frozen import frozen
from chatcli.core.whole_answers import asker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit


_LONGEST_WAIT_S = 30.0


class RetryingModel:
    """A ``ChatModel`` that asks ``inner`` up to ``retries`` more times.

    It waits as long as the server asks, else with exponential backoff and jitter; every wait is announced
    before it begins. From the first failure on it takes at most ``budget_s`` seconds: a longer delay is not
    waited for, and the error names the time the server asked for. ``clock`` counts seconds.
    """

    def __init__(
        self,
        inner: ChatModel,
        *,
        retries: int,
        budget_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._sleep = sleep
        self._clock = clock
        self._retries = retries
        self._budget_s = budget_s

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        shown, attempts = False, None
        while True:
            try:
                async with aclosing(self._inner.stream(request)) as events:
                    async for event in events:
                        shown = shown or isinstance(event, _SHOWN)
                        yield event
            except EndpointError as error:
                if shown:
                    raise
                attempts, failure = attempts or self._attempts(), error
                retrying = attempts.after(error)
            else:
                return
            yield retrying
            await self._pause(retrying, request, failure)

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        shown, attempts = False, None

        def show(event: ModelEvent) -> None:
            nonlocal shown
            shown = shown or isinstance(event, _SHOWN)
            emit(event)

        while True:
            try:
                await asker(self._inner)(request, show)
            except EndpointError as error:
                if shown:
                    raise
                attempts, failure = attempts or self._attempts(), error
                retrying = attempts.after(error)
            else:
                return
            emit(retrying)
            await self._pause(retrying, request, failure)

    async def _pause(self, retrying: Retrying, request: Request, failure: EndpointError) -> None:
        began_s = self._clock()
        if request.trace is not None:
            request.trace.note(
                WARNING,
                "retry",
                attempt=retrying.attempt,
                wait_s=round(retrying.wait_s, 3),
                code=failure.code,
                status=failure.status,
                request_id=failure.request_id,
            )
        try:
            await self._sleep(retrying.wait_s)
        finally:
            if request.trace is not None:
                request.trace.retry_wait_s += self._clock() - began_s

    def _attempts(self) -> _Attempts:
        return _Attempts(self._retries, self._budget_s, self._clock)


_SHOWN: Final = (TextDelta, ReasoningDelta)


class _Attempts:
    """The attempts at one request, from the first failure on: most requests need none."""

    def __init__(self, retries: int, budget_s: float, clock: Callable[[], float]) -> None:
        self._policy = tenacity.Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, EndpointError) and error.retryable),
            wait=_WaitAsRequested(wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT_S)),
            stop=stop_after_attempt(retries + 1) | _StopOverBudget(budget_s, clock),
            reraise=True,
        )
        self._policy.begin()
        self._state = RetryCallState(self._policy, None, (), {})

    def after(self, failure: EndpointError) -> Retrying:
        """Return the announcement of the attempt after ``failure``; raise that if there is none."""
        self._state.set_exception((type(failure), failure, failure.__traceback__))
        wait: Any = self._policy.iter(self._state)
        self._state.prepare_for_next_attempt()
        return Retrying(self._state.attempt_number, float(wait), failure.message)


class _WaitAsRequested(wait_base):
    """Wait as long as the server asked, else as ``otherwise`` says; zero or a past date is ignored."""

    def __init__(self, otherwise: wait_base) -> None:
        self._otherwise = otherwise

    def __call__(self, retry_state: RetryCallState) -> float:
        return _requested_s(retry_state) or self._otherwise(retry_state)


class _StopOverBudget(stop_base):
    """Stop if the next wait would exceed the budget since the first failure."""

    def __init__(self, budget_s: float, clock: Callable[[], float]) -> None:
        self._budget_s = budget_s
        self._clock = clock
        self._first_failure_s: float | None = None

    def __call__(self, retry_state: RetryCallState) -> bool:
        if self._first_failure_s is None:
            self._first_failure_s = self._clock()
        # If the clock is unreliable, as after a suspension or a shortened wait, the waits themselves count.
        spent_s = max(self._clock() - self._first_failure_s, retry_state.idle_for)
        return spent_s + retry_state.upcoming_sleep > self._budget_s


def _requested_s(retry_state: RetryCallState) -> float | None:
    error = retry_state.outcome.exception() if retry_state.outcome else None
    return error.retry_after_s if isinstance(error, EndpointError) else None


@frozen
class Fallback:
    """A fallback model. ``open`` returns the model and its name there; it is called when needed."""

    name: str
    open: Callable[[], Awaitable[tuple[ChatModel, str]]]


class FallbackModel:
    """A ``ChatModel`` that asks ``first``, then each of ``others`` if the one before failed without any output.

    It falls back where another model may succeed: no connection, a time-out, a server error, overload, a rate
    limit. If all fail, the last failure is raised with the failures of the others. Every question begins with
    ``first`` again.
    """

    def __init__(self, first: ChatModel, others: Sequence[Fallback]) -> None:
        self._first = first
        self._others = others

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        model, to_send = self._first, request
        others = list(self._others)
        earlier: list[str] = []
        follows = ""
        while True:
            has_emitted = False
            try:
                async with aclosing(model.stream(to_send)) as events:
                    async for event in events:
                        has_emitted = has_emitted or isinstance(event, TextDelta | ReasoningDelta)
                        yield _named(event, to_send)
            except EndpointError as error:
                if has_emitted or not others or not _may_fail_over(error):
                    if not earlier:
                        raise
                    raise _after(earlier, error) from error
                failure: ChatcliError = error
                follows = error.call_id
            else:
                return
            opened = None
            while opened is None:
                fallback = others.pop(0)
                earlier.append(failure.clause)
                yield Notice("fallback", f"{failure.clause}; asking {fallback.name} instead")
                try:
                    opened = await fallback.open()
                except ChatcliError as error:
                    if not others:
                        raise _after(earlier, error) from error
                    failure = error
            model, to_send = opened[0], replace(request, model=opened[1], follows=follows)


def _may_fail_over(error: EndpointError) -> bool:
    return error.retryable or isinstance(error, NetworkError | RateLimited | ServerFailed)


def _after(earlier: Sequence[str], error: ChatcliError) -> ChatcliError:
    """Return the last failure, with the failures before it."""
    return error.reworded(f"{error.clause} (before that: {'; '.join(earlier)})")


def _named(event: ModelEvent, to_send: Request) -> ModelEvent:
    """Name the answering model if the endpoint does not."""
    if isinstance(event, Completion) and event.model is None:
        return replace(event, model=to_send.model)
    return event


class InterruptibleSleep:
    """A sleep like ``asyncio.sleep`` that ``cut_short`` ends early."""

    def __init__(self) -> None:
        self._sleeping: set[asyncio.Event] = set()

    async def sleep(self, time_s: float) -> None:
        over = asyncio.Event()
        self._sleeping.add(over)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(time_s):
                    await over.wait()
        finally:
            self._sleeping.discard(over)

    def cut_short(self) -> bool:
        """End every sleep now; return whether there was one."""
        for over in self._sleeping:
            over.set()
        return bool(self._sleeping)
