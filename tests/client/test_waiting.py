from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from itertools import count

import pytest

from chatcli.client.waiting import WaitingModel
from chatcli.core.errors import RateLimited
from chatcli.core.events import Completion, TextDelta, Waiting
from client.scripted_model import ScriptedModel
from client.wire import QUESTION, events_of, failure_of

ANSWER = [TextDelta("Paris"), Completion("stop")]


@pytest.fixture(autouse=True)
async def _nothing_left_behind():
    """Let no test leave a task, or a failure that the loop would complain about."""
    complaints = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    gc.collect()
    assert {task for task in asyncio.all_tasks() - before if not task.done()} <= {asyncio.current_task()}
    assert complaints == []


def impatient(inner: ScriptedModel) -> WaitingModel:
    """Return a layer that says so at every turn of the loop, by a clock that ticks when it is read."""
    ticks = count(10)
    return WaitingModel(inner, reason="waiting for x", interval_s=0.001, clock=lambda: float(next(ticks)))


async def test_an_answer_that_comes_at_once_is_not_waited_for():
    inner = ScriptedModel(ANSWER)
    assert await events_of(WaitingModel(inner, reason="x", interval_s=60)) == ANSWER
    assert inner.requests == [QUESTION]


async def test_until_the_first_event_it_tells_how_long_nothing_has_come_and_never_after():
    first, second = asyncio.Event(), asyncio.Event()
    inner = ScriptedModel([first, TextDelta("Pa"), second, TextDelta("ris"), Completion("stop")])
    seen = []
    async with aclosing(impatient(inner).stream(QUESTION)) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 3:
                first.set()
            if isinstance(event, TextDelta):
                asyncio.get_running_loop().call_later(0.01, second.set)
    waits = [event for event in seen if isinstance(event, Waiting)]
    assert waits[:3] == [
        Waiting(1.0, "waiting for x"),
        Waiting(2.0, "waiting for x"),
        Waiting(3.0, "waiting for x"),
    ]
    assert seen == [*waits, TextDelta("Pa"), TextDelta("ris"), Completion("stop")]


@pytest.mark.parametrize("before", [[], [TextDelta("Pa")]])
async def test_a_failure_passes_as_it_is(before):
    failure = RateLimited("too fast")
    seen, error = await failure_of(WaitingModel(ScriptedModel([*before, failure]), reason="x", interval_s=60))
    assert error is failure
    assert seen == before


async def test_a_failure_after_some_waiting_passes_as_it_is():
    over = asyncio.Event()
    failure = RateLimited("too fast")
    inner = ScriptedModel([over, failure])
    asyncio.get_running_loop().call_later(0.01, over.set)
    seen, error = await failure_of(impatient(inner))
    assert error is failure
    assert all(isinstance(event, Waiting) for event in seen)


@pytest.mark.parametrize("script", [[asyncio.Event()], [TextDelta("Pa"), asyncio.Event()]])
async def test_a_cancellation_closes_the_model(script):
    inner = ScriptedModel(script)
    turn = asyncio.ensure_future(events_of(WaitingModel(inner, reason="x", interval_s=60)))
    await inner.waits.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert inner.open == 0


async def test_closing_it_while_it_waits_closes_the_model():
    inner = ScriptedModel([asyncio.Event()])
    events = impatient(inner).stream(QUESTION)
    assert isinstance(await anext(events), Waiting)
    await events.aclose()
    assert inner.open == 0


async def test_closing_it_within_the_answer_closes_the_model():
    inner = ScriptedModel(ANSWER)
    events = WaitingModel(inner, reason="x", interval_s=60).stream(QUESTION)
    assert await anext(events) == TextDelta("Paris")
    await events.aclose()
    assert inner.open == 0


@pytest.mark.parametrize("outcome", [RateLimited("too fast"), TextDelta("Paris")])
async def test_closing_it_after_the_first_event_has_come_unseen_leaves_no_complaint(outcome):
    over = asyncio.Event()
    inner = ScriptedModel([over, outcome, Completion("stop")])
    events = impatient(inner).stream(QUESTION)
    await anext(events)
    over.set()
    await asyncio.sleep(0.01)
    await events.aclose()
    assert inner.open == 0


async def test_a_second_cancellation_does_not_keep_the_model_open():
    inner = ScriptedModel([asyncio.Event()])
    turn = asyncio.ensure_future(events_of(WaitingModel(inner, reason="x", interval_s=60)))
    await inner.waits.wait()
    turn.cancel()
    await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await asyncio.sleep(0.01)
    assert inner.open == 0
