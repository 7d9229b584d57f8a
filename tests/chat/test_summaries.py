"""The running summary: the turns it covers, its storage, and its failures."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from chatcli.chat import Conversation, history_of
from chatcli.chat.resolved_model import ResolvedModel
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import NetworkError, UsageError
from chatcli.core.events import Completion, TextDelta
from chatcli.core.messages import question
from chatcli.core.request import Parameters
from chatcli.sessions.log import SessionLog
from chatcli.sessions.records import MarkRecord
from chatcli.sessions.store import SessionStore
from conversation.fakes import ScriptedModel, Stall

WORDS = "word " * 100  # as many tokens, or a few more


def replies(text):
    return (TextDelta(text), Completion("stop"))


def target(model, **how):
    how = {"context": "summarize", "window_tokens": 2000} | how
    return ResolvedModel(
        model=model,
        model_name="small",
        parameters=Parameters(),
        endpoint=Endpoint("http://127.0.0.1:1/v1", loopback=True),
        **how,
    )


@pytest.fixture
def open_chat(tmp_path):
    store, chats = SessionStore(tmp_path / "data"), []

    def open_with(*scripts, **how):
        file = store.resolve("trip")
        chat = Conversation(SessionLog(file, app="x", session=store.load(file)), store)
        chats.append(chat)
        model = ScriptedModel(*scripts)
        chat.turns.connect(target(model, **how))
        return chat, model

    yield open_with
    for chat in chats:
        chat.close()


async def ask(chat, *texts):
    for text in texts:
        async with aclosing(chat.turns.send(question(text))) as events:
            async for _ in events:
                pass


TURNS = tuple(f"question {number}" for number in range(12))
ANSWERS = tuple(replies(f"answer {number} {WORDS}") for number in range(12))


async def long_talk(open_chat, *scripts, **how):
    chat, model = open_chat(*ANSWERS, *scripts, **how)
    await ask(chat, *TURNS)
    return chat, model


def resumed(chat):
    return history_of(chat.opened.store.load(chat.opened.file)).summary


async def test_nothing_is_summed_up_as_long_as_there_is_room(open_chat):
    chat, model = open_chat(replies("answer"))
    await ask(chat, "question")
    assert await chat.summaries.catch_up() == 0
    assert len(model.requests) == 1


async def test_older_turns_are_summed_up_stored_and_stood_for(open_chat):
    chat, model = await long_talk(open_chat, replies("They spoke of numbers."), replies("end"))
    count = await chat.summaries.catch_up()
    assert count >= 4
    asked = model.requests[-1].messages
    assert "running summary" in asked[0].text
    assert "Person: question 0\n\nAssistant: answer 0" in asked[1].text
    assert f"question {count}\n" not in asked[1].text
    records = chat.session.records
    mark = next(record for record in records if isinstance(record, MarkRecord) and record.kind == "summary")
    ids = [record.id for record in chat.session.context()]
    assert mark.value == {"from": ids[0], "to": ids[2 * count - 1], "text": "They spoke of numbers."}
    assert resumed(chat) == chat.summaries.current

    await ask(chat, "one more")
    sent = [message.text for message in model.requests[-1].messages]
    assert sent[:2] == ["Sum up what we said before.", "They spoke of numbers."]
    assert sent[2].startswith(f"question {count}")
    reasons = {gap.reason for gap in chat.manager.context().left_out}
    assert reasons == {"in the summary"}


async def test_each_turn_is_summed_up_once(open_chat):
    chat, model = await long_talk(open_chat, replies("first"), *ANSWERS[:5], replies("second"))
    first = await chat.summaries.catch_up()
    await ask(chat, *(f"later {number}" for number in range(5)))
    assert await chat.summaries.catch_up()
    material = model.requests[-1].messages[1].text
    assert "<summary>\nfirst\n</summary>" in material
    assert f"question {first - 1}\n" not in material
    assert f"question {first}\n" in material
    assert chat.summaries.current.text == "second"


async def test_a_cheaper_model_may_sum_up(open_chat):
    chat, model = await long_talk(open_chat, replies("short"), summary_model="tiny")
    await chat.summaries.catch_up()
    assert [request.model for request in model.requests[-2:]] == ["small", "tiny"]


async def test_a_summary_that_failed_changes_nothing(open_chat):
    chat, _ = await long_talk(open_chat, (NetworkError("gone"),))
    before = list(chat.session.records)
    with pytest.raises(NetworkError):
        await chat.summaries.catch_up()
    assert chat.session.records == before
    assert chat.summaries.current is None


@pytest.mark.parametrize("text", ["", " \n"])
async def test_an_empty_summary_changes_nothing(open_chat, text):
    chat, _ = await long_talk(open_chat, replies(text))
    before = list(chat.session.records)
    assert await chat.summaries.catch_up() == 0
    assert chat.session.records == before


async def test_a_summary_that_is_too_long_is_cut_to_its_share(open_chat):
    chat, _ = await long_talk(open_chat, replies("word " * 2000))
    await chat.summaries.catch_up()
    summary = next(part for part in chat.manager.context().parts if part.kind == "summary")
    assert 0.1 * 1500 < summary.tokens <= 0.15 * 1500


async def test_one_that_is_interrupted_changes_nothing(open_chat):
    stall = Stall()
    chat, model = await long_talk(open_chat, (TextDelta("They"), stall))
    before = list(chat.session.records)
    task = asyncio.create_task(chat.summaries.catch_up())
    await stall.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.happened[-1] == "model closed"
    assert chat.session.records == before


async def test_what_was_gone_back_from_meanwhile_is_not_stood_for(open_chat):
    chat, model = await long_talk(open_chat)
    model._scripts.append((lambda: chat.branches.undo(11) and None, *replies("of all turns")))
    assert await chat.summaries.catch_up() == 0
    assert chat.summaries.current is None


async def test_a_summary_counts_only_on_its_branch(open_chat):
    chat, _ = await long_talk(open_chat, replies("They spoke of numbers."))
    await chat.summaries.catch_up()
    head = chat.session.head
    chat.branches.undo(11)
    assert chat.summaries.current is None
    chat.branches.go_on_from(head)
    assert chat.summaries.current.text == "They spoke of numbers."
    chat.memory.clear()
    assert chat.summaries.current is None


async def test_turns_that_are_dropped_do_not_move_what_it_stands_for(open_chat):
    chat, _ = await long_talk(open_chat, replies("They spoke of numbers."))
    count = await chat.summaries.catch_up()
    chat.memory.drop(1)
    assert chat.summaries.current.turns == count - 1


async def test_the_person_changes_it_and_takes_it_away(open_chat):
    chat, _ = await long_talk(open_chat, replies("They spoke of numbers."))
    await chat.summaries.catch_up()
    written = chat.summaries.current
    chat.summaries.change("Of primes.")
    assert chat.summaries.current == resumed(chat) == replace(written, text="Of primes.")
    with pytest.raises(UsageError, match=r"tokens, .* are its share"):
        chat.summaries.change(WORDS * 10)
    chat.summaries.forget()
    assert chat.summaries.current is resumed(chat) is None
    with pytest.raises(UsageError, match="there is no summary yet"):
        chat.summaries.forget()


async def test_it_is_of_no_use_to_other_strategies_but_kept_for_its_own(open_chat):
    chat, model = await long_talk(open_chat, replies("They spoke of numbers."))
    await chat.summaries.catch_up()
    chat.turns.connect(target(model, context="truncate"))
    assert "summary" not in {part.kind for part in chat.manager.context().parts}
    assert chat.summaries.current is not None
    chat.turns.connect(target(model))
    assert "summary" in {part.kind for part in chat.manager.context().parts}


async def test_in_a_larger_window_the_turns_themselves_are_sent(open_chat):
    chat, model = await long_talk(open_chat, replies("They spoke of numbers."))
    await chat.summaries.catch_up()
    chat.turns.connect(target(model, window_tokens=20_000))
    plan = chat.manager.context()
    assert not plan.left_out
    assert "summary" not in {part.kind for part in plan.parts}
