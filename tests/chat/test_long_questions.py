"""Questions that do not fit, in a conversation that continues."""

from __future__ import annotations

from contextlib import aclosing, closing
from dataclasses import replace

import pytest

from chatcli.chat import Conversation
from chatcli.chat.resolved_model import ResolvedModel
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import LearnedCounts
from chatcli.conversation.long_input.how import LongInput
from chatcli.core.errors import NetworkError
from chatcli.core.events import AnswerContinued, TextDelta, TextReclassified, TurnFailed, TurnFinished
from chatcli.core.messages import question
from chatcli.core.request import Parameters
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from chatcli.text.documents import document
from conversation.long_input.reading import AnsweringModel
from conversation.long_input.test_long_question import facts_of, state_facts, text_with

TEXT = text_with(40, apart=400)
FACTS = facts_of(TEXT)
LONG = question("Which facts?", document("minutes.md", TEXT))


def target(model, *, strategy="map-reduce", counts=None):
    return ResolvedModel(
        model=model,
        model_name="small",
        window_tokens=2_000,
        parameters=Parameters(),
        endpoint=Endpoint("http://127.0.0.1:1/v1", loopback=True),
        long_input=LongInput(strategy),
        counts=counts,
    )


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "data")


@pytest.fixture
def chat(store):
    with closing(Conversation(SessionLog(store.resolve("trip"), app="x"), store)) as opened:
        yield opened


async def played(events):
    async with aclosing(events):
        return [event async for event in events]


def notices_of(chat):
    return [[message.text for message in turn.messages] for turn in chat.manager.history.turns]


async def test_the_conversation_goes_on_with_the_question_in_short(chat, store):
    chat.turns.connect(target(AnsweringModel(state_facts)))
    assert isinstance((await played(chat.turns.send(LONG)))[-1], TurnFinished)
    ((asked, answered),) = notices_of(chat)
    assert asked.startswith("Which facts?")
    assert TEXT not in asked
    assert facts_of(answered) == FACTS
    assert next(record.message.text for record in chat.session.path()) == LONG.text
    with closing(
        Conversation(SessionLog(None, app="x", session=store.load(store.resolve("trip"))), store)
    ) as resumed:
        resumed.turns.connect(target(AnsweringModel(state_facts)))
        assert notices_of(resumed) == notices_of(chat)


class ThinkingAloud(AnsweringModel):
    async def stream(self, request):
        yield TextDelta("hm, hm")
        yield TextReclassified("hm, hm")
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event


async def test_nothing_that_turned_out_to_be_reasoning_is_read_on(chat):
    model = ThinkingAloud(state_facts)
    chat.turns.connect(target(model))
    *_, end = await played(chat.turns.send(LONG))
    assert facts_of(end.result.text) == FACTS
    assert len(model.prompts) > 2
    assert "hm" not in "".join([*model.prompts, end.result.text])


async def test_it_is_refused_where_no_way_is_chosen_and_nothing_is_stored(chat):
    model = AnsweringModel(state_facts)
    chat.turns.connect(target(model, strategy="fail"))
    *_, end = await played(chat.turns.send(LONG))
    assert end.result.error.code == "input_too_long"
    assert not model.prompts
    assert len(chat.session.questions) == 0


async def test_a_way_that_was_chosen_serves_another_answer_too(chat):
    chat.turns.connect(target(AnsweringModel(state_facts), strategy="fail"))
    chat.turns.long_questions.strategy = "head"
    await played(chat.turns.send(LONG))
    await played(chat.turns.retry())
    assert len(chat.session.questions) == 1
    assert len(chat.branches.tree.alternatives(chat.branches.tree.path[0])) == 2


async def test_a_part_that_fails_leaves_the_conversation_as_it_was(chat):
    chat.turns.connect(target(AnsweringModel(lambda prompt: NetworkError("gone"))))
    assert isinstance((await played(chat.turns.send(LONG)))[-1], TurnFailed)
    assert len(chat.session.questions) == 0
    chat.turns.connect(target(AnsweringModel(state_facts)))
    await played(chat.turns.send(LONG))
    assert isinstance((await played(chat.turns.send(question("And which first?"))))[-1], TurnFinished)
    assert len(chat.session.questions) == 2


async def test_another_answer_that_fails_leaves_the_old_one(chat):
    chat.turns.connect(target(AnsweringModel(state_facts)))
    await played(chat.turns.send(LONG))
    before = notices_of(chat)
    chat.turns.connect(target(AnsweringModel(lambda prompt: NetworkError("gone"))))
    await played(chat.turns.retry())
    assert notices_of(chat) == before


async def test_a_long_question_can_take_the_place_of_another(chat):
    chat.turns.connect(target(AnsweringModel(state_facts)))
    await played(chat.turns.send(question("Hi")))
    chat.branches.edit()
    await played(chat.turns.send(LONG))
    assert len(chat.session.questions) == 1
    assert facts_of(notices_of(chat)[0][1]) == FACTS


async def test_the_rest_of_a_cut_answer_is_asked_for_as_the_answer_was(chat):
    chat.turns.connect(target(AnsweringModel(state_facts)))
    await played(chat.turns.send(LONG))
    reply = chat.session.path()[-1]
    events = await played(
        chat.turns._ask_again(chat.branches.latest(1)[0], partial_answer=reply.message.text)
    )
    assert any(isinstance(event, AnswerContinued) for event in events)
    assert isinstance(events[-1], TurnFinished)


async def test_an_endpoint_that_counts_more_is_sent_less(chat):
    plain, more = AnsweringModel(state_facts), AnsweringModel(state_facts)
    counts = LearnedCounts()
    counts.learn("small", 1_000, 1_300)
    chat.turns.connect(target(plain))
    await played(chat.turns.send(LONG))
    chat.turns.connect(replace(target(more), counts=counts))
    assert isinstance((await played(chat.turns.send(LONG)))[-1], TurnFinished)
    assert len(more.requests) > len(plain.requests)
