"""Forks, marks and copies of an open session; after each, a resume finds the same state."""

from __future__ import annotations

from contextlib import closing

import pytest

from chat.conversations import (
    ask,
    assert_a_resume_finds_it,
    opened,
    replies,
    target,
    texts_of,
)
from chatcli.chat import history_of
from chatcli.core.errors import (
    LocalIOError,
    UsageError,
)
from chatcli.core.messages import question, system
from chatcli.sessions.store import SessionFile


class TestForking:
    async def test_goes_on_in_a_copy_that_tells_where_it_comes_from(self, open_chat, store):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        before = chat.opened.file
        content = before.path.read_bytes()
        head = chat.session.head
        chat.opened.fork()
        assert chat.opened.name == "trip-2"
        await ask(chat, "two")
        assert before.path.read_bytes() == content
        assert texts_of(history_of(store.load(chat.opened.file))) == [["one", "a"], ["two", "b"]]
        marks = [record.value for record in chat.session.records if getattr(record, "kind", "") == "fork"]
        assert marks == [{"session": "trip", "message": head}]

    async def test_takes_a_name_of_ones_own(self, open_chat, store):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.opened.fork(store.resolve("other"))
        assert chat.opened.name == "other"


class TestClear:
    async def test_makes_the_model_forget_all_but_the_system_prompt(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        chat.opened.set_system("Be brief.")
        await ask(chat, "one")
        chat.memory.pin()
        chat.memory.clear()
        assert_a_resume_finds_it(chat)
        await ask(chat, "two")
        assert model.requests[1].messages == (system("Be brief."), question("two"))
        assert len(chat.session.questions) == 2
        assert_a_resume_finds_it(chat)

    async def test_cannot_be_gone_back_behind(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.memory.clear()
        for act in (
            chat.memory.clear,
            chat.branches.undo,
            chat.turns.retry,
            chat.memory.pin,
            lambda: chat.memory.pin(1),
        ):
            with pytest.raises(UsageError):
                act()
        await ask(chat, "two")
        chat.branches.undo()
        assert texts_of(chat.manager.history) == []
        assert_a_resume_finds_it(chat)

    async def test_can_be_taken_back_until_something_is_asked(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one")
        chat.memory.pin()
        chat.memory.clear()
        chat.opened.set_system("Rhyme.")
        assert chat.memory.is_cleared
        chat.memory.undo_clear()
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert [turn.number for turn in chat.memory.pinned] == [1]
        assert_a_resume_finds_it(chat)
        chat.memory.clear()
        await ask(chat, "two")
        assert not chat.memory.is_cleared
        with pytest.raises(UsageError, match="no /clear to undo"):
            chat.memory.undo_clear()

    def test_of_nothing_says_so(self, open_chat):
        chat, _ = open_chat()
        chat.opened.set_system("Be brief.")
        with pytest.raises(UsageError, match="nothing to clear"):
            chat.memory.clear()


class TestTheSystemPrompt:
    async def test_counts_from_here_on(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.opened.set_system("Rhyme.")
        await ask(chat, "two")
        assert model.requests[1].messages[0] == system("Rhyme.")
        assert_a_resume_finds_it(chat)

    async def test_is_kept_once_however_often_it_is_set(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.opened.set_system("Rhyme.")
        size = chat.opened.file.path.stat().st_size
        chat.opened.set_system("Rhyme.")
        assert chat.opened.file.path.stat().st_size == size

    async def test_can_be_taken_away_for_good(self, open_chat, store):
        chat, model = open_chat(replies("a"), replies("b"))
        chat.opened.set_system("Rhyme.")
        await ask(chat, "one")
        chat.opened.set_system(None)
        await ask(chat, "two")
        assert model.requests[1].messages[0] == question("one")
        assert_a_resume_finds_it(chat)
        chat.close()
        with closing(opened(store)) as resumed:
            resumed.turns.connect(target(default_system="You are a helpful assistant."))
            assert resumed.opened.system is None

    def test_that_is_not_there_cannot_be_taken_away(self, open_chat):
        chat, _ = open_chat()
        with pytest.raises(UsageError, match="no system prompt"):
            chat.opened.set_system(None)

    @pytest.mark.parametrize(
        ("requested_system", "default", "expected"),
        [
            ("wished", "default", "wished"),
            (None, "default", "default"),
            (None, None, None),
            ("", "default", None),
        ],
    )
    def test_is_the_wished_one_else_the_models_own(self, store, requested_system, default, expected):
        with closing(opened(store, requested_system=requested_system)) as chat:
            chat.turns.connect(target(default_system=default))
            assert chat.opened.system == expected

    def test_set_before_there_is_a_model_wins_over_the_wished_one(self, store):
        with closing(opened(store, requested_system="wished")) as chat:
            assert chat.opened.system == "wished"
            chat.opened.set_system("set")
            chat.turns.connect(target(default_system="default"))
            assert chat.opened.system == "set"

    def test_that_was_wished_can_be_taken_away_before_there_is_a_model(self, store):
        with closing(opened(store, requested_system="wished")) as chat:
            chat.opened.set_system(None)
            chat.turns.connect(target(default_system="default"))
            assert chat.opened.system is None

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_a_title_needs_a_word(self, open_chat, text):
        chat, _ = open_chat()
        with pytest.raises(UsageError):
            chat.opened.set_title(text)


class TestSavingAs:
    async def test_keeps_a_private_conversation_from_then_on(self, open_chat, store):
        chat, _ = open_chat(replies("a"), replies("b"), kept=False)
        await ask(chat, "one")
        assert (chat.opened.name, chat.opened.file) == (None, None)
        assert store.summaries() == []
        chat.opened.save_as(store.resolve("kept"))
        assert chat.opened.name == "kept"
        assert store.last_used() == chat.opened.file
        await ask(chat, "two")
        assert texts_of(chat.manager.history) == [["one", "a"], ["two", "b"]]
        assert_a_resume_finds_it(chat)

    async def test_leaves_the_first_file_as_it_was(self, open_chat, store):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        first = chat.opened.file.path.read_bytes()
        chat.opened.save_as(store.resolve("copy"))
        await ask(chat, "two")
        chat.branches.undo()
        assert store.resolve("trip").path.read_bytes() == first
        assert_a_resume_finds_it(chat)

    async def test_refuses_a_file_that_is_there(self, open_chat, store):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        with pytest.raises(UsageError):
            chat.opened.save_as(chat.opened.file)
        assert_a_resume_finds_it(chat)

    async def test_says_where_it_cannot_be_written(self, open_chat, tmp_path):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        (tmp_path / "file").touch()
        with pytest.raises(LocalIOError):
            chat.opened.save_as(SessionFile("x", tmp_path / "file" / "x.jsonl"))
        assert chat.opened.name == "trip"
