"""The model that sends each request in a call of its own, as the limits of its endpoint allow."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from functools import cache, partial
from typing import TYPE_CHECKING, Final, Protocol

from chatcli.client.rate_limit import NO_LIMITS, Claim
from chatcli.core.event_log import INFO
from chatcli.core.events import Completion, Notice, Waiting
from chatcli.core.whole_answers import ask_by_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.client.pool import Call, Meter
    from chatcli.client.rate_limit import OwnLimits
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import TokenCounter
    from chatcli.core.request import Request
    from chatcli.core.whole_answers import Emit

_LEAST_WAIT_S: Final = 0.05
"""A shorter wait is not worth a line in the log."""


class Answering(Protocol):
    """Answers a request over one call."""

    def answer(self, request: Request, call: Call) -> AsyncGenerator[ModelEvent]:
        """Yield the events of ``ChatModel.stream``."""
        ...

    def is_whole(self, request: Request) -> bool:
        """Return whether ``ask`` can ask for the answer to ``request``."""
        ...

    async def ask(self, request: Request, call: Call, emit: Emit) -> None:
        """Emit the events of ``answer``."""
        ...


class MeteredModel:
    """A ``ChatModel`` that sends each request to ``inner`` in a call of its own.

    Until the call is admitted and the answer has its first event, it yields ``Waiting`` every ``interval_s``
    seconds: first with the reason of the rate limits, then with ``reason``. If that is ``None``, it only reports what is held by
    the limits, every ``held_s`` seconds, and once when it is sent. ``counter`` counts requests approximately.
    """

    def __init__(
        self,
        inner: Answering,
        meter: Meter,
        *,
        reason: str,
        counter: TokenCounter,
        own: OwnLimits | None = None,
        interval_s: float | None = 1.0,
        held_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held_s = held_s if interval_s is None else interval_s
        self._inner = inner
        self._meter = meter
        self._reason = reason
        self._counter = counter
        self._own = own or NO_LIMITS
        self._interval_s = interval_s
        self._clock = clock

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        claim = self._claim(request, cache(partial(self._about_tokens, request)))
        async with self._meter.call("answer", claim) as call:
            if not call.is_admitted:
                async with aclosing(self._queueing(request, call)) as waits:
                    async for wait in waits:
                        yield wait
                if failure := claim.own.new_failure():
                    yield Notice("limits_not_shared", _not_shared(failure))
            async with aclosing(self._answering(request, call)) as events:
                async for event in events:
                    if isinstance(event, Completion) and (used := _used(event)) is not None:
                        call.settle(used)
                    yield event

    async def ask(self, request: Request, emit: Emit) -> None:
        """See ``core.whole_answers``."""
        if self._interval_s is not None or not self._inner.is_whole(request):
            await ask_by_stream(self, request, emit)
            return
        claim = self._claim(request, partial(self._about_tokens, request))
        async with self._meter.call("answer", claim) as call:

            def settle(event: ModelEvent) -> None:
                if isinstance(event, Completion) and (used := _used(event)) is not None:
                    call.settle(used)
                emit(event)

            if not call.is_admitted:
                async with aclosing(self._queueing(request, call)) as waits:
                    async for wait in waits:
                        emit(wait)
                if failure := claim.own.new_failure():
                    emit(Notice("limits_not_shared", _not_shared(failure)))
            await self._inner.ask(request, call, settle)

    def _claim(self, request: Request, tokens: Callable[[], int]) -> Claim:
        return Claim(tokens, request.model, self._own)

    def _about_tokens(self, request: Request) -> int:
        """Return the approximate size of a request, as providers count it: input plus possible output."""
        sent = sum(self._counter.count(message.text) for message in request.messages)
        expected = None if request.is_capped else request.parameters.max_tokens
        return sent + (expected or 0)

    async def _queueing(self, request: Request, call: Call) -> AsyncGenerator[Waiting]:
        """Wait for the admission of ``call`` for ``request``, and report it."""
        began_s, was_held = self._clock(), False
        admission = asyncio.ensure_future(call.admission())
        try:
            while not (await asyncio.wait({admission}, timeout=self._held_s))[0]:
                was_held = True
                yield Waiting(self._clock() - began_s, call.reason, is_held=True)
            admission.result()
            if was_held and self._interval_s is None:
                yield Waiting(self._clock() - began_s, self._reason)
        finally:
            if request.trace is not None:
                waited_s = call.held_s(self._clock() - began_s)
                request.trace.limit_wait_s += waited_s
                if waited_s >= _LEAST_WAIT_S:
                    request.trace.note(INFO, "limit_wait", waited_s=round(waited_s, 3))
            admission.cancel()
            await asyncio.wait({admission})

    async def _answering(self, request: Request, call: Call) -> AsyncGenerator[ModelEvent]:
        """Wait for the first event of the answer, report it, and pass on the remaining events."""
        events = self._inner.answer(request, call)
        if self._interval_s is None:
            async with aclosing(events):
                async for event in events:
                    yield event
            return
        began_s = self._clock()
        first = asyncio.ensure_future(anext(events))
        try:
            while not (await asyncio.wait({first}, timeout=self._interval_s))[0]:
                yield Waiting(self._clock() - began_s, self._reason)
            yield first.result()
            async for event in events:
                yield event
        finally:
            # ``events`` runs inside ``first`` until that ends: cancel it before closing the generator.
            first.cancel()
            await asyncio.wait({first})
            await events.aclose()


def _not_shared(failure: str) -> str:
    return f"rate limits hold for this program only: {failure}"


def _used(completion: Completion) -> int | None:
    usage = completion.usage
    if usage is None or usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.output_tokens or 0)
