"""Going back in a conversation and over to other branches; after each, a resume finds the same state."""

from __future__ import annotations

from contextlib import closing

import pytest

from chat.conversations import (
    BROKEN,
    ask,
    assert_a_resume_finds_it,
    opened,
    played,
    replies,
    texts_of,
)
from chatcli.core.errors import (
    UsageError,
)
from chatcli.core.messages import answer, question, system
from chatcli.text.documents import document


class TestUndo:
    async def test_takes_the_last_question_and_its_answer_back_and_returns_the_question(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one", "two")
        assert chat.branches.undo() == (question("two"),)
        assert_a_resume_finds_it(chat)
        await ask(chat, "three")
        assert model.requests[2].messages == (question("one"), answer("a"), question("three"))
        assert_a_resume_finds_it(chat)

    async def test_takes_several_back_at_once(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one", "two", "three")
        assert chat.branches.undo(2) == (question("two"), question("three"))
        assert texts_of(chat.manager.history) == [["one", "a"]]

    async def test_goes_back_to_the_beginning(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.branches.undo()
        assert (len(chat.session.questions), chat.session.head) == (0, None)
        assert_a_resume_finds_it(chat)

    async def test_loses_nothing(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        before = chat.opened.file.path.read_bytes()
        chat.branches.undo()
        assert chat.opened.file.path.read_bytes().startswith(before)

    async def test_leaves_the_system_prompt_as_it_is_now(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        chat.opened.set_system("Be brief.")
        await ask(chat, "one")
        chat.opened.set_system("Rhyme.")
        await ask(chat, "two")
        chat.branches.undo(2)
        assert chat.opened.system == "Rhyme."
        assert_a_resume_finds_it(chat)

    async def test_follows_what_a_newer_version_put_between_the_messages(self, open_chat, store):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.close()
        head = chat.session.head
        with chat.opened.file.path.open("a") as file:
            file.write(f'{{"type":"tool_call","id":"t","parent":"{head}"}}\n')
            file.write(
                '{"type":"message","id":"q2","parent":"t","at":"","message":'
                '{"role":"user","parts":[{"type":"text","text":"two","origin":"person"}]}}\n'
            )
        with closing(opened(store)) as resumed:
            assert resumed.branches.undo() == (question("two"),)
            assert resumed.session.head == head

    @pytest.mark.parametrize("turns", [-1, 0, 3])
    async def test_of_more_than_there_is_says_so(self, open_chat, turns):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one", "two")
        with pytest.raises(UsageError) as caught:
            chat.branches.undo(turns)
        assert caught.value.hint
        assert len(chat.session.questions) == 2


def second(_place):
    return 1


class TestEditing:
    async def test_asks_the_new_question_beside_the_old(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one", "two")
        assert chat.branches.edit(1).message == question("one")
        await ask(chat, "uno")
        assert model.requests[2].messages == (question("uno"),)
        assert texts_of(chat.manager.history) == [["uno", "c"]]
        assert len(chat.branches.tree.exchanges) == 3
        assert_a_resume_finds_it(chat)

    async def test_is_of_the_last_question_where_none_is_named_and_ends_with_the_next(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one")
        chat.branches.edit()
        await ask(chat, "uno", "dos")
        assert texts_of(chat.manager.history) == [["uno", "b"], ["dos", "c"]]

    async def test_that_changes_nothing_asks_the_same_question_again(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one", "two")
        chat.branches.edit(1)
        await ask(chat, "one")
        assert texts_of(chat.manager.history) == [["one", "c"]]
        first, *_, last = chat.branches.tree.exchanges
        assert first.question == last.question
        assert_a_resume_finds_it(chat)

    async def test_that_is_given_up_changes_nothing(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.branches.edit()
        chat.branches.stop_editing()
        await ask(chat, "two")
        assert texts_of(chat.manager.history) == [["one", "a"], ["two", "b"]]

    async def test_ends_where_the_conversation_is_gone_back_in(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.branches.edit()
        chat.branches.undo()
        assert chat.branches.editing is None

    async def test_to_what_is_too_long_leaves_the_old_branch(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.branches.edit()
        (*_, end) = await played(chat.turns.send(question("long " * 5_000)))
        assert end.result.error.code == "input_too_long"
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert_a_resume_finds_it(chat)

    async def test_keeps_the_new_question_where_its_answer_failed(self, open_chat):
        chat, _ = open_chat(replies("a"), BROKEN)
        await ask(chat, "one")
        chat.branches.edit()
        await ask(chat, "uno")
        assert texts_of(chat.manager.history) == [["uno"]]
        assert_a_resume_finds_it(chat)

    async def test_keeps_what_was_attached_and_takes_what_is_attached_anew(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"))
        old, other, new = document("a.md", "old"), document("b.md", "other"), document("a.md", "new")
        await played(chat.turns.send(question("one", old, other)))
        chat.branches.edit()
        await ask(chat, "uno")
        assert model.requests[1].messages[1:] == (question("uno", old, other),)
        chat.branches.edit()
        await played(chat.turns.send(question("dos", new)))
        assert model.requests[2].messages[1:] == (question("dos", new, other),)

    async def test_of_a_question_there_is_not_says_which_there_are(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        with pytest.raises(UsageError, match="no question 2"):
            chat.branches.edit(2)


class TestAlternatives:
    async def test_are_flipped_between_with_what_followed_them(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"), replies("d"))
        await ask(chat, "one", "two")
        chat.branches.edit(1)
        await ask(chat, "one", "three")
        there = chat.branches.flip(lambda place: 1 - place.at)
        assert (there.at, there.turn, there.later_turns) == (0, 1, 1)
        assert texts_of(chat.manager.history) == [["one", "a"], ["two", "b"]]
        assert_a_resume_finds_it(chat)
        chat.branches.flip(lambda place: 1 - place.at)
        assert texts_of(chat.manager.history) == [["one", "c"], ["three", "d"]]
        assert_a_resume_finds_it(chat)

    async def test_come_with_the_system_prompt_of_their_branch(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"))
        chat.opened.set_system("Rhyme.")
        await ask(chat, "one")
        chat.branches.undo()
        chat.opened.set_system("Be brief.")
        await ask(chat, "two")
        chat.branches.flip(lambda place: 1 - place.at)
        assert chat.opened.system == "Rhyme."
        await ask(chat, "three")
        assert model.requests[-1].messages[0] == system("Rhyme.")
        assert_a_resume_finds_it(chat)

    async def test_from_before_a_clear_are_none(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one")
        await played(chat.turns.retry())
        chat.memory.clear()
        assert chat.branches.alternatives() is None
        await ask(chat, "two")
        with pytest.raises(UsageError, match="only one answer"):
            chat.branches.flip(second)

    async def test_that_are_not_there_are_reported_by_number(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        await played(chat.turns.retry())
        with pytest.raises(UsageError, match="there are 2 answers"):
            chat.branches.flip(lambda _: 2)

    async def test_lead_to_any_exchange_of_the_tree(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one", "two")
        chat.branches.go_to(chat.branches.tree.exchanges[0])
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert_a_resume_finds_it(chat)
