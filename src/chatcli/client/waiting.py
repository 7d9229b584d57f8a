"""Saying that one waits: the layer that tells how long nothing has come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from chatcli.core.events import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request


class WaitingModel:
    """A ``ChatModel`` that yields ``Waiting`` every ``interval_s`` seconds until ``inner`` says something."""

    def __init__(
        self,
        inner: ChatModel,
        *,
        reason: str,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._reason = reason
        self._interval_s = interval_s
        self._clock = clock

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        events = self._inner.stream(request)
        started_s = self._clock()
        first = asyncio.ensure_future(anext(events))
        try:
            while not (await asyncio.wait({first}, timeout=self._interval_s))[0]:
                yield Waiting(self._clock() - started_s, self._reason)
            yield first.result()
            async for event in events:
                yield event
        finally:
            # ``events`` runs inside ``first`` until that ends: cancel it before closing the generator.
            first.cancel()
            await asyncio.wait({first})
            await events.aclose()
