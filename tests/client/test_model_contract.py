"""What every ``ChatModel`` promises, checked for each of them on a real connection."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chatcli.client.continuation import ContinuationModel
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import (
    Facts,
    LearnedCounts,
    UnsupportedParametersModel,
    UsageCalibrationModel,
)
from chatcli.client.pipeline import ModelOptions, build_model
from chatcli.client.rate_limit import OwnLimits
from chatcli.client.reasoning_separation import ReasoningSeparatingModel
from chatcli.client.retry import FallbackModel, RetryingModel
from chatcli.conversation.counting import EstimatingCounter
from chatcli.core.errors import EndpointError, IncompleteAnswer, KeyRefused
from chatcli.core.events import Completion, TextDelta, Waiting
from chatcli.cost.budget import Account, Budget, Spending
from chatcli.cost.budgeted_model import BudgetedModel
from chatcli.cost.charge import Cashier
from chatcli.cost.ledger import Ledger
from chatcli.cost.pricing import Pricing
from chatcli.text.frames import Frames
from client.wire import QUESTION, entry_at, events_of, failure_of
from client.wire import asking as wire_asking
from scripted_server import CUT, HOLD, SILENCE, Answer, event_stream, json_answer, serving, text_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from chatcli.client.pool import PoolEntry
    from chatcli.core.ports import ChatModel
    from scripted_server import ScriptedServer


def metered(entry: PoolEntry) -> ChatModel:
    return wire_asking(entry, interval_s=0.01)


def retrying(entry: PoolEntry) -> ChatModel:
    return RetryingModel(wire_asking(entry), retries=2, budget_s=60)


def as_the_program_does(entry: PoolEntry) -> ChatModel:
    options = ModelOptions(
        api="chat",
        streamed=True,
        facts=entry.facts(Path("unused"), is_kept=False),
        counter=EstimatingCounter(),
        sleep=asyncio.sleep,
        own_limits=OwnLimits(),
        retries=2,
        retry_budget_s=60,
        separates_reasoning=True,
        frames=Frames(lambda: b"secret"),
        budget=lambda inner: in_budget(inner, {}),
        auto_continue=0,
    )
    return build_model(entry, options)


def in_budget(inner: ChatModel, limits: dict[str, float]) -> ChatModel:
    budget = Budget(limits, Account(Spending()), Ledger(Path("unused")))
    pricing = Pricing("models.example", is_free=True, own={})  # or there would be a ledger
    return BudgetedModel(
        inner, Cashier(pricing, budget, requires_price=True), count=len, counter_of=lambda _: len
    )


def budgeted(entry: PoolEntry) -> ChatModel:
    return in_budget(wire_asking(entry), {"run": 1.0})


def retrying_without_fields(entry: PoolEntry) -> ChatModel:
    return UnsupportedParametersModel(wire_asking(entry), Facts())


def calibrating(entry: PoolEntry) -> ChatModel:
    return UsageCalibrationModel(wire_asking(entry), entry.endpoint, LearnedCounts(), Facts())


def separating_reasoning(entry: PoolEntry) -> ChatModel:
    return ReasoningSeparatingModel(wire_asking(entry), Facts())


def with_fallback(entry: PoolEntry) -> ChatModel:
    return FallbackModel(wire_asking(entry), [])


def continuing(entry: PoolEntry) -> ChatModel:
    return ContinuationModel(wire_asking(entry))


@pytest.fixture(
    params=[
        metered,
        retrying,
        continuing,
        budgeted,
        retrying_without_fields,
        calibrating,
        separating_reasoning,
        with_fallback,
        as_the_program_does,
    ]
)
def build(request) -> Callable[[PoolEntry], ChatModel]:
    return request.param


@pytest.fixture
def asking(build):
    """Return a context that opens the model on a server with these answers, and leaves no task behind."""

    @asynccontextmanager
    async def ask(*answers: Answer) -> AsyncIterator[tuple[ChatModel, ScriptedServer]]:
        async with serving(*answers) as server:
            before = asyncio.all_tasks()
            endpoint = Endpoint(server.base_url, loopback=True)
            async with entry_at(endpoint) as entry:
                yield build(entry), server
                # httpx2 closes its innermost generator in a task, which ends within one turn of the loop.
                async with asyncio.timeout(20):
                    await asyncio.gather(*(asyncio.all_tasks() - before - server.tasks))

    return ask


async def test_the_answer_ends_with_its_only_completion(asking):
    async with asking(Answer(event_stream("Pa", "ris"))) as (model, server):
        seen = [event for event in await events_of(model) if not isinstance(event, Waiting)]
    assert seen[:-1] == [TextDelta("Pa"), TextDelta("ris")]
    assert replace(seen[-1], cost_usd=None) == Completion("stop", "small")
    assert len(server.requests) == 1


async def test_an_answer_of_no_text_has_its_completion_too(asking):
    async with asking(Answer(event_stream())) as (model, _):
        assert replace((await events_of(model))[-1], cost_usd=None) == Completion("stop", "small")


async def test_the_text_comes_while_the_rest_is_still_being_written(asking):
    was_called = asyncio.Event()
    async with asking(Answer([*text_events("Pa"), was_called, *event_stream("ris")])) as (model, _):
        texts = []
        async with asyncio.timeout(20), aclosing(model.stream(QUESTION)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    texts.append(event.text)
                    was_called.set()
    assert texts == ["Pa", "ris"]


async def test_a_refusal_raises_its_error_and_nothing_comes_before_it(asking):
    async with asking(json_answer({"error": {"message": "No."}}, status=401)) as (model, _):
        seen, error = await failure_of(model)
    assert isinstance(error, KeyRefused)
    assert [event for event in seen if not isinstance(event, Waiting)] == []


@pytest.mark.parametrize("ending", [[], [CUT]])
async def test_an_answer_that_breaks_off_raises_after_what_had_come(asking, ending):
    async with asking(Answer([*text_events("Pa"), *ending])) as (model, server):
        seen, error = await failure_of(model)
    assert seen[-1] == TextDelta("Pa")
    assert isinstance(error, IncompleteAnswer)
    assert len(server.requests) == 1


async def test_one_model_can_be_asked_again_and_by_two_at_once(asking):
    async with asking(Answer(event_stream("Paris"))) as (model, server):
        first, second = await asyncio.gather(events_of(model), events_of(model))
        assert first[-2:] == second[-2:] == (await events_of(model))[-2:]
    assert len(server.requests) == 3


async def test_nothing_is_asked_before_the_first_event_is_wanted(asking):
    async with asking(Answer(event_stream("Paris"))) as (model, server):
        events = model.stream(QUESTION)
        await asyncio.sleep(0.01)
        assert server.requests == []
        await events.aclose()


async def test_closing_it_in_the_middle_closes_the_connection(asking):
    async with asking(Answer([*text_events("Pa"), HOLD])) as (model, server):
        events = model.stream(QUESTION)
        async for event in events:
            if isinstance(event, TextDelta):
                break
        await events.aclose()
        await server.requests[0].hung_up()
        assert server.requests[0].closed.result() is False


async def test_a_cancellation_while_a_slow_consumer_awaits_closes_the_connection(asking):
    reached = asyncio.Event()
    kept = []

    async def consume(model: ChatModel) -> None:
        # The reference that outlives the consumer is the point: nothing may depend on the generator's
        # collection.
        kept.append(model.stream(QUESTION))
        async with aclosing(kept[0]) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    reached.set()
                    await asyncio.Event().wait()

    async with asking(Answer([*text_events("Pa"), HOLD])) as (model, server):
        consumer = asyncio.ensure_future(consume(model))
        await reached.wait()
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await server.requests[0].hung_up()
    assert len(server.requests) == 1


@pytest.mark.parametrize("script", [[], text_events("Pa"), [b": keep-alive\n\n"]])
async def test_a_cancellation_while_the_model_is_silent_closes_the_connection(asking, script):
    async with asking(Answer([*script, HOLD])) as (model, server):
        consumer = asyncio.ensure_future(events_of(model))
        await server.asked()
        await asyncio.sleep(0.02)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await server.requests[0].hung_up()
    assert len(server.requests) == 1


async def test_a_cancellation_before_the_server_answers_at_all_closes_the_connection(asking):
    async with asking(SILENCE) as (model, server):
        consumer = asyncio.ensure_future(events_of(model))
        await server.asked()
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await server.requests[0].hung_up()


async def test_after_a_failure_the_connection_is_closed(asking):
    broken = Answer([*text_events("Pa"), b"data: {\n\n", HOLD])
    async with asking(broken) as (model, server):
        _, error = await failure_of(model)
        assert isinstance(error, EndpointError)
        await server.requests[0].hung_up()
