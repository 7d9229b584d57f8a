"""The contract between a turn and its observers."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from chatcli.conversation.play import play
from chatcli.core.errors import Cancelled, NetworkError
from chatcli.core.events import (
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

STARTED = TurnStarted("small", "trip")
FINISHED = TurnFinished(TurnResult("Paris", "small", "stop"))
FAILED = TurnFailed(TurnResult("Par", "small", "interrupted", error=NetworkError("gone")))


class Stage:
    """A turn and its observers, with all that happened to them, in order."""

    def __init__(self, *events):
        self.happened = []
        self._events = events

    async def turn(self):
        try:
            for event in self._events:
                yield event
        finally:
            self.happened.append("closed")

    def observer(self, name, act=None):
        async def observe(event):
            self.happened.append((name, event))
            if act:
                await act(event)

        return observe

    async def cancelled_in(self, kind, *, before=(), after=()):
        """Cancel the play while an observer named ``slow`` awaits at the first event of ``kind``."""
        reached = asyncio.Event()

        async def stall(event):
            if isinstance(event, kind):
                reached.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(play(self.turn(), *before, self.observer("slow", stall), *after))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()


def cancelled_events(stage):
    return [step for step in stage.happened if isinstance(step[1], TurnCancelled)]


@pytest.mark.parametrize("end", [FINISHED, FAILED])
async def test_every_observer_is_given_every_event_in_order_and_the_last_is_returned(end):
    stage = Stage(STARTED, TextDelta("Paris"), end)
    assert await play(stage.turn(), stage.observer("a"), stage.observer("b")) is end
    assert stage.happened == [
        *((name, event) for event in (STARTED, TextDelta("Paris"), end) for name in "ab"),
        "closed",
    ]


async def test_a_turn_may_be_played_to_nobody():
    assert await play(Stage(STARTED, FINISHED).turn()) is FINISHED


async def test_a_cancellation_while_a_slow_observer_awaits_closes_the_turn_before_it_is_reported():
    stage = Stage(STARTED, TextDelta("Par"), TextDelta("is"), FINISHED)
    await stage.cancelled_in(TextDelta, before=[stage.observer("a")], after=[stage.observer("b")])
    closed = stage.happened.index("closed")
    assert [(step[0], type(step[1])) for step in stage.happened[closed + 1 :]] == [
        ("a", TurnCancelled),
        ("slow", TurnCancelled),
        ("b", TurnCancelled),
    ]
    assert stage.happened[:closed] == [
        *((name, STARTED) for name in ("a", "slow", "b")),
        ("a", TextDelta("Par")),
        ("slow", TextDelta("Par")),
    ]


async def test_a_cancelled_turn_is_reported_with_what_had_come():
    stage = Stage(STARTED, Retrying(2, 0.1, "503"), TextDelta("Par"), FINISHED)
    await stage.cancelled_in(TextDelta)
    result = stage.happened[-1][1].result
    assert (result.text, result.finish_reason) == ("Par", "interrupted")
    assert (result.model, result.session, result.attempts) == ("small", "trip", 2)
    assert isinstance(result.error, Cancelled)
    stage = Stage(STARTED, Notice("schema_repair", "asking once more"), TextDelta("{"), FINISHED)
    await stage.cancelled_in(TextDelta)
    assert stage.happened[-1][1].result.attempts == 2


async def test_a_cancelled_turn_is_reported_without_what_turned_out_to_be_reasoning():
    stage = Stage(STARTED, TextDelta("hm"), TextReclassified("hm"), Notice("stop", "here"), FINISHED)
    await stage.cancelled_in(Notice)
    result = stage.happened[-1][1].result
    assert (result.text, result.finish_reason) == ("", None)


async def test_a_turn_cancelled_before_the_first_word_has_no_text():
    stage = Stage(STARTED, FINISHED)
    await stage.cancelled_in(TurnStarted)
    result = stage.happened[-1][1].result
    assert (result.text, result.finish_reason, result.model) == ("", None, "small")


async def test_a_cancellation_while_the_turn_itself_awaits_is_reported_too():
    reached, events = asyncio.Event(), []

    async def turn():
        yield STARTED
        yield TextDelta("Par")
        reached.set()
        await asyncio.Event().wait()

    async def observe(event):
        events.append(event)

    task = asyncio.create_task(play(turn(), observe))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events[:-1] == [STARTED, TextDelta("Par")]
    assert events[-1].result.text == "Par"


@pytest.mark.parametrize("end", [FINISHED, FAILED])
async def test_a_turn_that_has_ended_is_not_reported_as_cancelled(end):
    stage = Stage(STARTED, TextDelta("Paris"), end)
    await stage.cancelled_in(type(end), before=[stage.observer("a")])
    assert stage.happened[-1] == "closed"
    assert cancelled_events(stage) == []


@pytest.mark.parametrize("kind", [TurnStarted, TextDelta, TurnFinished])
async def test_an_observer_that_raises_closes_the_turn_and_nobody_is_reported_of_a_cancellation(kind):
    async def break_at(event):
        if isinstance(event, kind):
            raise BrokenPipeError

    stage = Stage(STARTED, TextDelta("Paris"), FINISHED)
    with pytest.raises(BrokenPipeError):
        await play(stage.turn(), stage.observer("a"), stage.observer("broken", break_at), stage.observer("c"))
    assert stage.happened[-1] == "closed"
    assert cancelled_events(stage) == []


async def test_the_turn_is_closed_even_while_somebody_still_holds_it():
    stage = Stage(STARTED, TextDelta("Paris"), FINISHED)
    held = stage.turn()

    async def leave(event):
        raise BrokenPipeError

    with suppress(BrokenPipeError):
        await play(held, leave)
    assert stage.happened == ["closed"]


async def test_a_turn_without_its_last_event_is_a_bug():
    with pytest.raises(RuntimeError, match="without its last event"):
        await play(Stage(STARTED).turn())
