"""Playing the events of a turn to its observers."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from contextlib import aclosing
from typing import TYPE_CHECKING

from chatcli.core.errors import Cancelled
from chatcli.core.events import (
    AnswerContinued,
    Notice,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnCancelled,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
)
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from chatcli.core.events import Event, TurnEnd
    from chatcli.core.ports import Observer


async def play(events: AsyncGenerator[Event], *observers: Observer) -> TurnEnd:
    """Pass every event to every observer in order and return the last event.

    On cancellation the generator is closed first, so that the server sees the connection close at once; then
    every observer gets ``TurnCancelled`` with the partial text, and the cancellation propagates.
    """
    so_far = SoFar()
    try:
        async with aclosing(events):
            async for event in events:
                so_far.see(event)
                for observe in observers:
                    await observe(event)
    except CancelledError:
        if so_far.end is not None:
            raise
        for observe in observers:
            await observe(TurnCancelled(so_far.cancelled()))
        raise
    if so_far.end is None:
        raise RuntimeError("a turn ended without its last event")
    return so_far.end


async def play_together(turns: Sequence[tuple[AsyncGenerator[Event], Sequence[Observer]]]) -> list[TurnEnd]:
    """Play several turns at the same time, each to its own observers, and return their last events in order.

    On cancellation, or if an observer raises, all of them are stopped; their partial answers are stored by then.
    """
    tasks = [asyncio.ensure_future(play(events, *observers)) for events, observers in turns]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SoFar:
    """The observed state of a turn, sufficient for the result of a cancelled one."""

    def __init__(self) -> None:
        self.end: TurnEnd | None = None
        self._started = TurnStarted(model="")
        self._text = TextBuffer()
        self._attempts = 1
        self._answers_before = 0

    @property
    def text(self) -> str:
        """The text of the answer until the turn has ended, when the last event has it."""
        return self._text.text

    def see(self, event: Event) -> None:
        match event:
            case TextDelta(text) | AnswerContinued(text):
                self._text.append(text)
            case TextReclassified(text):
                self._text.drop_last(len(text))
            case TurnStarted():
                self._started = event
            case Retrying(attempt):
                self._attempts = attempt
            case Notice("schema_repair"):
                self._answers_before += 1
            case TurnFinished() | TurnFailed():
                self.end = event
                self._text = TextBuffer()  # the last event has everything
            case _:
                pass

    def cancelled(self) -> TurnResult:
        text = self._text.text
        return TurnResult(
            text=text,
            model=self._started.model,
            finish_reason="interrupted" if text else None,
            session=self._started.session,
            attempts=self._attempts + self._answers_before,
            error=Cancelled(Cancelled.PARTIAL_KEPT if text else Cancelled.NOTHING_YET),
        )
