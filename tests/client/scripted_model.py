"""A ``ChatModel`` that plays one script per call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from chatcli.core.events import ModelEvent
    from chatcli.core.request import Request

    Step: TypeAlias = ModelEvent | Exception | asyncio.Event


class ScriptedModel:
    """Yields the events of a script, raises its exceptions and waits for its ``asyncio.Event``s.

    ``requests`` are the calls so far, ``open`` counts the unclosed streams. ``waits`` is set while a stream
    waits.
    """

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.requests: list[Request] = []
        self.open = 0
        self.waits = asyncio.Event()
        self._scripts = list(scripts)

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        self.requests.append(request)
        self.open += 1
        try:
            for step in self._scripts[len(self.requests) - 1]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    self.waits.set()
                    await step.wait()
                    self.waits.clear()
                else:
                    yield step
        finally:
            # A real stream needs the loop to close its connection.
            await asyncio.sleep(0)
            self.open -= 1
