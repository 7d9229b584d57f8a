"""The innermost layer: each attempt is one call of the meter, and how long it waits for its turn and its answer is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from chatcli.client.rate_limit import NO_LIMITS, Claim
from chatcli.core.events import Completion, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.client.pool import Call, Meter
    from chatcli.client.rate_limit import OwnLimits
    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import TokenCounter
    from chatcli.core.request import Request


class Answering(Protocol):
    """What answers a request over one call."""

    def answer(self, request: Request, call: Call) -> AsyncGenerator[ModelEvent]:
        """Yield what ``ChatModel.stream`` does."""
        ...


class MeteredModel:
    """A ``ChatModel`` that has each request answered by ``inner`` in a call of its own.

    Until the call has its turn and the answer its first event, it yields ``Waiting`` every ``interval_s`` seconds:
    first with what the rate limits are, then with ``reason``. ``counter`` counts about what is sent.
    """

    def __init__(
        self,
        inner: Answering,
        meter: Meter,
        *,
        reason: str,
        counter: TokenCounter,
        own: OwnLimits = NO_LIMITS,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._meter = meter
        self._reason = reason
        self._counter = counter
        self._own = own
        self._interval_s = interval_s
        self._clock = clock

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        claim = Claim(self._about_tokens(request), request.model, self._own)
        async with self._meter.call("answer", claim) as call:
            if not call.may_go():
                async with aclosing(self._queueing(call)) as waits:
                    async for wait in waits:
                        yield wait
            async with aclosing(self._answering(request, call)) as events:
                async for event in events:
                    if isinstance(event, Completion) and (used := _used(event)) is not None:
                        call.settle(used)
                    yield event

    def _about_tokens(self, request: Request) -> int:
        """Return about how much a request counts for, as providers do: what is sent, and what may come."""
        sent = sum(self._counter.count(message.text) for message in request.messages)
        return sent + (request.parameters.max_tokens or 0)

    async def _queueing(self, call: Call) -> AsyncGenerator[Waiting]:
        """Wait for the turn of ``call``, and tell of it."""
        began_s = self._clock()
        admission = asyncio.ensure_future(call.admission())
        try:
            while not (await asyncio.wait({admission}, timeout=self._interval_s))[0]:
                yield Waiting(self._clock() - began_s, call.reason)
            admission.result()
        finally:
            admission.cancel()
            await asyncio.wait({admission})

    async def _answering(self, request: Request, call: Call) -> AsyncGenerator[ModelEvent]:
        """Wait for the first event of the answer, tell of it, and pass on the rest."""
        events = self._inner.answer(request, call)
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


def _used(completion: Completion) -> int | None:
    usage = completion.usage
    if usage is None or usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.output_tokens or 0)
