from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from itertools import count

import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.client.metering import MeteredModel
from chatcli.client.pool import Pool
from chatcli.client.rate_limit import NO_LIMITS, Claim, OwnLimits, RateLimits
from chatcli.core.errors import RateLimited
from chatcli.core.events import Completion, TextDelta, Waiting
from chatcli.core.usage import Usage
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


class Clock:
    """A clock that stands still, and a sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.over = asyncio.Event()

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, time_s: float) -> None:
        await self.over.wait()
        self.now_s += time_s


class Counting:
    """Counts every text as so many tokens."""

    loaded = True

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    def count(self, text: str) -> int:
        return self._tokens


class Wire:
    """What answers over a call, as its script says."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model

    async def answer(self, request, call):
        await call.client()
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                yield event


def meter_at(clock: Clock):
    pool = Pool(lambda: RateLimits(clock=clock, sleep=clock.sleep))
    return pool.entry(Endpoint("https://models.example/v1"), {}).meter


def metered(inner: ScriptedModel, meter=None, *, own=NO_LIMITS, interval_s=60.0, tokens=1, **what):
    return MeteredModel(
        Wire(inner),
        meter or meter_at(Clock()),
        reason="waiting for x",
        counter=Counting(tokens),
        own=own,
        interval_s=interval_s,
        **what,
    )


def impatient(inner: ScriptedModel) -> MeteredModel:
    """Return a layer that says so at every turn of the loop, by a clock that ticks when it is read."""
    ticks = count(10)
    return metered(inner, interval_s=0.001, clock=lambda: float(next(ticks)))


async def test_an_answer_that_comes_at_once_is_not_waited_for():
    inner = ScriptedModel(ANSWER)
    assert await events_of(metered(inner)) == ANSWER
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
    seen, error = await failure_of(metered(ScriptedModel([*before, failure])))
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
    turn = asyncio.ensure_future(events_of(metered(inner)))
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
    events = metered(inner).stream(QUESTION)
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
    turn = asyncio.ensure_future(events_of(metered(inner)))
    await inner.waits.wait()
    turn.cancel()
    await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await asyncio.sleep(0.01)
    assert inner.open == 0


ONE_A_MINUTE = OwnLimits(requests_per_minute=1)


async def test_the_wait_for_a_limit_is_told_and_the_request_goes_out_after_it():
    clock = Clock()
    meter = meter_at(clock)
    await events_of(metered(ScriptedModel(ANSWER), meter, own=ONE_A_MINUTE))
    inner = ScriptedModel(ANSWER)
    stream = metered(inner, meter, own=ONE_A_MINUTE, interval_s=0.001, clock=clock).stream(QUESTION)
    assert await anext(stream) == Waiting(0.0, "rate limit of 1 requests (60 s left)")
    assert inner.requests == []
    clock.over.set()
    assert [event async for event in stream if not isinstance(event, Waiting)] == ANSWER


async def test_leaving_while_waiting_gives_the_turn_to_the_next():
    clock = Clock()
    meter = meter_at(clock)
    await events_of(metered(ScriptedModel(ANSWER), meter, own=ONE_A_MINUTE))
    stream = metered(ScriptedModel(), meter, own=ONE_A_MINUTE, interval_s=0.001, clock=clock).stream(QUESTION)
    await anext(stream)
    await stream.aclose()
    clock.now_s = 60
    async with meter.call("answer", Claim(1, QUESTION.model, ONE_A_MINUTE)) as call:
        assert call.may_go()


async def test_what_was_really_used_counts_in_the_end():
    clock = Clock()
    meter, own = meter_at(clock), OwnLimits(tokens_per_minute=60)
    used = [TextDelta("Paris"), Completion("stop", usage=Usage(20, 10))]
    await events_of(metered(ScriptedModel(used), meter, own=own, tokens=60))
    async with meter.call("answer", Claim(30, QUESTION.model, own)) as call:
        assert call.may_go()
        assert meter.calls == {"answer": 2}


async def test_an_answer_counts_as_a_call_also_where_it_fails():
    meter = meter_at(Clock())
    await failure_of(metered(ScriptedModel([RateLimited("too fast")]), meter))
    await events_of(metered(ScriptedModel(ANSWER), meter))
    assert meter.calls == {"answer": 2}
