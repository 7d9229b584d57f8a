"""What a conversation pins, drops and notes; after each, a resume finds the same state."""

from __future__ import annotations

import pytest

from chat.conversations import (
    ask,
    assert_a_resume_finds_it,
    played,
    replies,
    target,
    texts_of,
)
from chatcli.core.errors import (
    UsageError,
)
from chatcli.core.messages import Message, TextPart, question
from conversation.fakes import ScriptedModel


class TestPin:
    async def test_keeps_a_turn_in_what_the_model_sees_however_long_the_talk_gets(self, open_chat):
        chat, _ = open_chat(*[replies("so " * 200)] * 3)
        await ask(chat, "mind me", "two", "three")
        small = ScriptedModel(replies("four"), replies("five"))
        chat.turns.connect(target(model=small, window_tokens=700))
        await ask(chat, "four")
        assert chat.memory.pin(1) == 1
        await ask(chat, "five")
        assert question("mind me") not in small.requests[0].messages
        assert question("mind me") in small.requests[1].messages
        assert_a_resume_finds_it(chat)

    async def test_is_of_the_last_turn_where_none_is_named_and_can_be_taken_back(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one", "two")
        assert chat.memory.pin() == 2
        assert [turn.pinned for turn in chat.manager.history.turns] == [False, True]
        assert_a_resume_finds_it(chat)
        with pytest.raises(UsageError, match="turn 2 is pinned"):
            chat.memory.pin()
        assert chat.memory.unpin() == 2
        assert [turn.pinned for turn in chat.manager.history.turns] == [False, False]
        assert_a_resume_finds_it(chat)

    @pytest.mark.parametrize("number", [-1, 0, 2])
    async def test_of_a_turn_there_is_not_says_which_there_are(self, open_chat, number):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        with pytest.raises(UsageError) as caught:
            chat.memory.pin(number)
        assert caught.value.hint == "the only one is 1"

    async def test_that_is_not_there_cannot_be_taken_back(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one", "two")
        with pytest.raises(UsageError, match="no turn is pinned"):
            chat.memory.unpin()
        chat.memory.pin(1)
        with pytest.raises(UsageError) as caught:
            chat.memory.unpin(2)
        assert (caught.value.message, caught.value.hint) == ("turn 2 is not pinned", "pinned: 1")


class TestDrop:
    async def test_leaves_a_turn_out_of_what_the_model_sees_until_it_is_brought_back(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"), replies("d"))
        await ask(chat, "one", "two")
        chat.memory.drop(1)
        assert [turn.number for turn in chat.memory.dropped] == [1]
        assert_a_resume_finds_it(chat)
        await ask(chat, "three")
        assert [message.text for message in model.requests[2].messages] == ["two", "b", "three"]
        assert_a_resume_finds_it(chat)
        assert chat.memory.bring_back() == 1
        await ask(chat, "four")
        assert [message.text for message in model.requests[3].messages][:2] == ["one", "a"]
        assert_a_resume_finds_it(chat)

    async def test_of_the_last_turn_leaves_what_is_asked_next(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.memory.drop(1)
        await ask(chat, "two")
        assert model.requests[1].messages == (question("two"),)
        assert len(chat.session.questions) == 2
        assert_a_resume_finds_it(chat)

    async def test_is_taken_back_by_asking_the_same_again(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.memory.drop(1)
        await played(chat.turns.retry())
        assert texts_of(chat.manager.history) == [["one", "b"]]
        assert_a_resume_finds_it(chat)

    async def test_says_what_cannot_be_done(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        with pytest.raises(UsageError, match="no turn is dropped"):
            chat.memory.bring_back()
        chat.memory.drop(1)
        for act in (lambda: chat.memory.drop(1), lambda: chat.memory.pin(1)):
            with pytest.raises(UsageError) as caught:
                act()
            assert caught.value.hint == "/drop -1 restores it"


class TestNotes:
    async def test_are_seen_by_the_model_with_the_system_prompt_and_outlive_a_clear(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        chat.opened.set_system("Be brief.")
        assert chat.memory.note(" I am Ada. ") == 1
        await ask(chat, "one")
        opening = model.requests[0].messages[0]
        assert opening == Message("system", (TextPart("Be brief."), TextPart("Keep in mind: I am Ada.")))
        chat.memory.clear()
        await ask(chat, "two")
        assert model.requests[1].messages == (opening, question("two"))
        assert_a_resume_finds_it(chat)

    async def test_can_be_taken_away_one_by_one(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.memory.note("one")
        chat.memory.note("one")
        chat.memory.note("two")
        assert chat.memory.take_note_away(2) == "one"
        assert chat.memory.notes == ("one", "two")
        assert_a_resume_finds_it(chat)

    def test_that_are_empty_or_not_there_are_refused(self, open_chat):
        chat, _ = open_chat()
        with pytest.raises(UsageError, match="a note cannot be empty"):
            chat.memory.note("  ")
        with pytest.raises(UsageError, match="there is no note 1"):
            chat.memory.take_note_away(1)
