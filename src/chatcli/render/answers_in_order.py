"""Answers that arrive at the same time, shown one after another."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from chatcli.core.events import Retrying, TextDelta, TurnCancelled, TurnFailed, TurnFinished, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.core.events import Event
    from chatcli.core.ports import Observer


class AnswersInOrder:
    """Shows ``count`` turns one after another: one as its events arrive, the others once those before have ended.

    ``begin`` returns the observers of a turn by its place, and is called when it is that one's turn.
    """

    def __init__(self, count: int, begin: Callable[[int], Sequence[Observer]]) -> None:
        self._begin = begin
        self._held: list[list[Event]] = [[] for _ in range(count)]
        self._shown = 0
        self._observers: Sequence[Observer] | None = None
        self._showing = asyncio.Lock()

    def turn(self, at: int) -> Observer:
        """Return the observer of the turn at this place."""
        return partial(self._see, at)

    async def _see(self, at: int, event: Event) -> None:
        self._hold(at, event)
        if at != self._shown:
            return
        async with self._showing:
            # The turns after it may have ended by now.
            while self._shown < len(self._held) and self._held[self._shown]:
                await self._show(self._held[self._shown].pop(0))

    def _hold(self, at: int, event: Event) -> None:
        held = self._held[at]
        if at != self._shown:
            if isinstance(event, Waiting | Retrying):
                return  # of no interest later
            if isinstance(event, TextDelta) and held and isinstance(held[-1], TextDelta):
                held[-1] = TextDelta(held[-1].text + event.text)
                return
        held.append(event)

    async def _show(self, event: Event) -> None:
        if self._observers is None:
            self._observers = self._begin(self._shown)
        for observe in self._observers:
            await observe(event)
        if isinstance(event, TurnFinished | TurnFailed | TurnCancelled):
            self._shown += 1
            self._observers = None


class Headed:
    """A renderer of answers that begins with a heading; ``begin_line`` separates it from what stands above."""

    def __init__(self, render: Observer, heading: str, begin_line: Callable[[], object]) -> None:
        self._render = render
        self._heading = heading
        self._begin_line = begin_line
        self._has_begun = False

    async def __call__(self, event: Event) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._begin_line()
            await self._render(TextDelta(self._heading))
        await self._render(event)
