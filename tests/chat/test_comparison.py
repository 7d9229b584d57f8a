"""The same question to several models: siblings in the session, and where the conversation goes on."""

from __future__ import annotations

import asyncio

import pytest

from chat.conversations import BROKEN, ask, assert_a_resume_finds_it, replies, target, texts_of
from chatcli.chat.comparison import Comparison
from chatcli.conversation.play import play_together
from chatcli.core.errors import BudgetReached, InputTooLong
from chatcli.core.events import TextDelta, TurnFinished
from chatcli.core.messages import question
from conversation.fakes import ScriptedModel, Stall

WHY = question("Why?")


async def compared(chat, *targets, asked=None, of=WHY):
    comparison = Comparison(chat, of, asked=asked)
    ends = []
    try:
        ends = await play_together([(comparison.ask(each), ()) for each in targets])
    finally:
        comparison.settle(ends)
    return ends


def answers(chat):
    return [
        (each.question.message.text, each.answer and each.answer.message.text)
        for each in chat.branches.tree.exchanges
    ]


async def test_the_question_is_stored_once_and_the_answers_are_siblings_of_which_the_first_goes_on(open_chat):
    chat, _ = open_chat(replies("c"))
    models = [ScriptedModel(replies(text)) for text in "ab"]
    ends = await compared(chat, *(target(model=model) for model in models))
    assert [end.result.text for end in ends] == ["a", "b"]
    assert answers(chat) == [("Why?", "a"), ("Why?", "b")]
    assert chat.branches.alternatives().at == 0
    assert texts_of(chat.manager.history) == [["Why?", "a"]]
    assert_a_resume_finds_it(chat)


async def test_every_model_is_sent_the_conversation_so_far_and_nothing_of_the_others(open_chat):
    chat, _ = open_chat(replies("1"))
    await ask(chat, "One?")
    models = [ScriptedModel(replies(text)) for text in "ab"]
    await compared(chat, *(target(model=model) for model in models))
    for model in models:
        assert [message.text for message in model.requests[0].messages] == ["One?", "1", "Why?"]


async def test_the_failure_of_one_ends_none_of_the_others_and_the_first_whole_answer_goes_on(open_chat):
    chat, _ = open_chat()
    ends = await compared(chat, target((TextDelta("hal"), *BROKEN)), target(BROKEN), target(replies("whole")))
    assert [type(end) is TurnFinished for end in ends] == [False, False, True]
    assert texts_of(chat.manager.history) == [["Why?", "whole"]]
    assert answers(chat) == [("Why?", "hal"), ("Why?", "whole")]
    assert_a_resume_finds_it(chat)


async def test_where_all_fail_the_conversation_stands_after_the_question(open_chat):
    chat, _ = open_chat()
    await compared(chat, target(BROKEN), target(BROKEN))
    assert answers(chat) == [("Why?", None)]
    assert_a_resume_finds_it(chat)


async def test_a_question_that_no_budget_had_room_for_is_taken_back(open_chat):
    chat, _ = open_chat(replies("1"))
    await ask(chat, "One?")
    spent = (BudgetReached("spent"),)
    await compared(chat, target(spent), target(spent))
    assert texts_of(chat.manager.history) == [["One?", "1"]]
    assert_a_resume_finds_it(chat)


async def test_a_question_too_long_for_one_model_is_answered_by_another(open_chat):
    chat, _ = open_chat()
    long = question("word " * 5_000)
    ends = await compared(chat, target(replies("a")), target(replies("b"), window_tokens=32_768), of=long)
    assert isinstance(ends[0].result.error, InputTooLong)
    assert texts_of(chat.manager.history)[0][1] == "b"


async def test_the_last_question_asked_again_keeps_its_answer_as_a_sibling(open_chat):
    chat, _ = open_chat(replies("old"))
    await ask(chat, "Why?")
    last = chat.branches.latest(1)[0]
    await compared(chat, target(replies("a")), target(replies("b")), asked=last)
    assert [text for _, text in answers(chat)] == ["old", "a", "b"]
    assert texts_of(chat.manager.history) == [["Why?", "a"]]
    assert_a_resume_finds_it(chat)


async def test_the_old_answer_goes_on_where_no_model_has_another(open_chat):
    chat, _ = open_chat(replies("old"))
    await ask(chat, "Why?")
    await compared(chat, target(BROKEN), asked=chat.branches.latest(1)[0])
    assert texts_of(chat.manager.history) == [["Why?", "old"]]
    assert_a_resume_finds_it(chat)


async def test_a_question_being_edited_is_replaced(open_chat):
    chat, _ = open_chat(replies("old"))
    await ask(chat, "Wy?")
    chat.branches.edit()
    await compared(chat, target(replies("a")), target(replies("b")))
    assert chat.branches.editing is None
    assert answers(chat) == [("Wy?", "old"), ("Why?", "a"), ("Why?", "b")]
    assert len(chat.branches.alternatives().exchanges) == 3


async def test_stopping_keeps_what_each_has_answered(open_chat):
    chat, _ = open_chat()
    stalls = [Stall(), Stall()]
    models = [target((TextDelta(text), stall)) for text, stall in zip(("one", "two"), stalls, strict=True)]
    asking = asyncio.ensure_future(compared(chat, *models))
    for stall in stalls:
        await stall.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert answers(chat) == [("Why?", "one"), ("Why?", "two")]
    assert texts_of(chat.manager.history) == [["Why?", "one"]]
    assert_a_resume_finds_it(chat)
