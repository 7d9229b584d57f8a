"""Operations on a conversation; after each, a resume finds the same state."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.chat import Conversation, history_of
from chatcli.chat.resolved_model import ResolvedModel
from chatcli.client.endpoint import Endpoint
from chatcli.client.endpoint_facts import LearnedCounts
from chatcli.core.errors import (
    ConfigurationError,
    ContextOverflow,
    LocalIOError,
    NetworkError,
    RequestRefused,
    UsageError,
)
from chatcli.core.events import (
    AnswerContinued,
    Completion,
    Notice,
    TextDelta,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from chatcli.core.messages import Message, TextPart, answer, question, system
from chatcli.core.request import Parameters
from chatcli.core.usage import Usage
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionFile, SessionStore
from chatcli.text.documents import document
from conversation.fakes import ScriptedModel, Stall

ENDPOINT = Endpoint("http://127.0.0.1:1/v1", loopback=True)
EMBEDDED = Endpoint("http://127.0.0.1:1/v1", loopback=True, embedded=True)
BROKEN = (NetworkError("gone"),)
REFUSED = (RequestRefused("host: 400 Bad Request: bad input", status=400),)


def replies(text):
    return (TextDelta(text), Completion("stop", "small", Usage(1, 1)))


def target(*scripts, model=None, name="small", endpoint=ENDPOINT, default_system=None, window_tokens=4096):
    return ResolvedModel(
        model=model or ScriptedModel(*scripts),
        model_name=name,
        window_tokens=window_tokens,
        parameters=Parameters(),
        endpoint=endpoint,
        default_system=default_system,
    )


def opened(store, name="trip", *, kept=True, requested_system=None):
    """Open the conversation ``name`` as it is on disk, without a model."""
    file = store.resolve(name)
    return Conversation(
        SessionLog(file if kept else None, app="x", session=store.load(file)), store, system=requested_system
    )


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "data")


@pytest.fixture
def open_chat(store):
    """Open a conversation with a scripted model; return both."""
    chats = []

    def open_with(*scripts, **how):
        chat = opened(store, **how)
        chats.append(chat)
        model = ScriptedModel(*scripts)
        chat.turns.connect(target(model=model))
        return chat, model

    yield open_with
    for chat in chats:
        chat.close()


async def played(events):
    async with aclosing(events):
        return [event async for event in events]


async def ask(chat, *texts):
    for text in texts:
        await played(chat.turns.send(question(text)))


def texts_of(history):
    return [[message.text for message in turn.messages] for turn in history.turns]


def standing(history):
    return (history.system, history.notes, history.turns, history.pinned, history.head)


def assert_a_resume_finds_it(chat):
    """Check that the session file, read anew, equals the running conversation."""
    resumed = history_of(chat.opened.store.load(chat.opened.file))
    assert standing(resumed) == standing(chat.manager.history)


class TestAChat:
    async def test_tells_what_the_repl_shows(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        assert (chat.opened.name, chat.opened.title, len(chat.session.questions), chat.opened.system) == (
            "trip",
            "",
            0,
            None,
        )
        await ask(chat, "Capital of France?", "And of Spain?")
        assert (chat.opened.title, len(chat.session.questions), chat.turns.connected.model_name) == (
            "Capital of France?",
            2,
            "small",
        )
        chat.opened.set_title("Capitals")
        assert chat.opened.title == "Capitals"
        assert_a_resume_finds_it(chat)

    async def test_is_the_one_used_last_once_it_was_asked(self, open_chat, store):
        chat, _ = open_chat(replies("a"))
        assert store.last_used() is None
        await ask(chat, "Hi")
        assert store.last_used() == chat.opened.file

    async def test_goes_on_where_it_cannot_be_noted_as_the_last_and_says_so(self, open_chat, tmp_path):
        chat, _ = open_chat(replies("a"))
        (tmp_path / "data" / "last").mkdir(parents=True)
        started, _, notice, *_, end = await played(chat.turns.send(question("Hi")))
        assert isinstance(started, TurnStarted)
        assert isinstance(notice, Notice)
        assert notice.code == "last_session_not_written"
        assert isinstance(end, TurnFinished)

    async def test_in_which_nothing_is_said_leaves_no_file(self, open_chat, tmp_path):
        chat, _ = open_chat()
        chat.opened.set_system("Be brief.")
        chat.opened.set_title("T")
        chat.switch(target(name="large"))
        chat.close()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "act", [lambda chat: chat.turns.send(question("Hi")), lambda chat: chat.turns.connected.model_name]
    )
    def test_without_a_model_says_so(self, store, act):
        with closing(opened(store)) as chat, pytest.raises(ConfigurationError) as caught:
            act(chat)
        assert caught.value.code == "not_connected"
        assert chat.target is None

    async def test_can_be_gone_back_in_before_a_model_is_there(self, open_chat, store):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one", "two")
        chat.close()
        with closing(opened(store)) as resumed:
            resumed.branches.undo()
            resumed.turns.connect(target())
            assert texts_of(resumed.manager.history) == [["one", "a"]]


class TestRetry:
    async def test_asks_the_same_again_and_puts_the_new_answer_in_place_of_the_old(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one", "two")
        (*_, end) = await played(chat.turns.retry())
        assert isinstance(end, TurnFinished)
        assert model.requests[2].messages == model.requests[1].messages
        assert texts_of(chat.manager.history) == [["one", "a"], ["two", "c"]]
        assert_a_resume_finds_it(chat)

    async def test_makes_the_new_answer_a_sibling_of_the_old(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        old = chat.session.path()[-1]
        await played(chat.turns.retry())
        new = chat.session.path()[-1]
        assert (new.parent, chat.session.message(old.id)) == (old.parent, old)
        assert len(chat.session.questions) == 1

    async def test_can_be_done_again_and_again(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one")
        await played(chat.turns.retry())
        await played(chat.turns.retry())
        assert texts_of(chat.manager.history) == [["one", "c"]]
        assert_a_resume_finds_it(chat)

    async def test_answers_a_question_that_has_no_answer(self, open_chat):
        chat, _ = open_chat(BROKEN, replies("a"))
        await ask(chat, "one")
        await played(chat.turns.retry())
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert_a_resume_finds_it(chat)

    async def test_answers_a_question_whose_answer_was_interrupted(self, open_chat):
        chat, _ = open_chat((TextDelta("Pa"), *BROKEN), replies("Paris"))
        await ask(chat, "one")
        assert texts_of(chat.manager.history) == [["one", "Pa"]]
        await played(chat.turns.retry())
        assert texts_of(chat.manager.history) == [["one", "Paris"]]
        assert_a_resume_finds_it(chat)

    async def test_of_which_nothing_comes_leaves_the_old_answer(self, open_chat):
        chat, _ = open_chat(replies("a"), BROKEN, replies("b"))
        await ask(chat, "one")
        (*_, end) = await played(chat.turns.retry())
        assert isinstance(end, TurnFailed)
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert_a_resume_finds_it(chat)
        await ask(chat, "two")
        assert texts_of(chat.manager.history) == [["one", "a"], ["two", "b"]]

    async def test_that_is_cut_off_keeps_what_had_come(self, open_chat):
        chat, _ = open_chat(replies("a"), (TextDelta("B"), *BROKEN))
        await ask(chat, "one")
        await played(chat.turns.retry())
        assert texts_of(chat.manager.history) == [["one", "B"]]
        assert_a_resume_finds_it(chat)

    async def test_that_is_stopped_before_the_first_word_leaves_the_old_answer(self, open_chat):
        stall = Stall()
        chat, _ = open_chat(replies("a"), (stall,))
        await ask(chat, "one")
        task = asyncio.create_task(played(chat.turns.retry()))
        await stall.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert_a_resume_finds_it(chat)

    async def test_that_does_not_fit_another_model_any_more_leaves_the_old_answer(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one " * 100)
        chat.switch(target(name="tiny", window_tokens=50))
        (*_, end) = await played(chat.turns.retry())
        assert end.result.error.code == "input_too_long"
        assert texts_of(chat.manager.history) == [["one " * 100, "a"]]
        assert_a_resume_finds_it(chat)

    async def test_goes_by_a_system_prompt_set_after_the_question(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.opened.set_system("Rhyme.")
        await played(chat.turns.retry())
        assert model.requests[1].messages == (system("Rhyme."), question("one"))
        assert texts_of(chat.manager.history) == [["one", "b"]]
        assert_a_resume_finds_it(chat)

    async def test_with_a_new_system_prompt_of_which_nothing_comes_leaves_the_old_answer(self, open_chat):
        chat, _ = open_chat(replies("a"), BROKEN)
        await ask(chat, "one")
        chat.opened.set_system("Rhyme.")
        await played(chat.turns.retry())
        assert texts_of(chat.manager.history) == [["one", "a"]]
        assert chat.opened.system == "Rhyme."
        assert_a_resume_finds_it(chat)

    async def test_keeps_the_pin_of_the_turn(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        chat.memory.pin()
        await played(chat.turns.retry())
        assert [turn.pinned for turn in chat.manager.history.turns] == [True]
        assert_a_resume_finds_it(chat)

    def test_with_nothing_asked_says_so_at_once(self, open_chat):
        chat, _ = open_chat()
        with pytest.raises(UsageError) as caught:
            chat.turns.retry()
        assert caught.value.hint


class TestContinuing:
    CUT = (TextDelta("The capital"), *BROKEN)

    async def test_asks_for_the_rest_and_keeps_the_whole_in_place_of_the_part(self, open_chat):
        chat, model = open_chat(self.CUT, replies(" is Paris."))
        await ask(chat, "one")
        events = await played(chat.turns.continue_answer())
        assert [event for event in events if isinstance(event, AnswerContinued | TextDelta)] == [
            AnswerContinued("The capital"),
            TextDelta(" is Paris."),
        ]
        assert events[-1].result.text == "The capital is Paris."
        assert model.requests[1].messages == model.requests[0].messages
        assert model.requests[1].partial_answer == "The capital"
        assert texts_of(chat.manager.history) == [["one", "The capital is Paris."]]
        assert_a_resume_finds_it(chat)

    async def test_keeps_all_there_is_when_it_is_cut_again(self, open_chat):
        chat, _ = open_chat(self.CUT, (TextDelta(" is"), *BROKEN), replies(" Paris."))
        await ask(chat, "one")
        await played(chat.turns.continue_answer())
        assert_a_resume_finds_it(chat)
        await played(chat.turns.continue_answer())
        assert texts_of(chat.manager.history) == [["one", "The capital is Paris."]]
        assert_a_resume_finds_it(chat)

    async def test_of_which_nothing_comes_leaves_the_part(self, open_chat):
        chat, _ = open_chat(self.CUT, BROKEN)
        await ask(chat, "one")
        (*_, end) = await played(chat.turns.continue_answer())
        assert isinstance(end, TurnFailed)
        assert texts_of(chat.manager.history) == [["one", "The capital"]]
        assert_a_resume_finds_it(chat)

    async def test_goes_on_with_an_answer_that_ran_into_its_limit(self, open_chat):
        chat, _ = open_chat((TextDelta("The"), Completion("length")), replies(" end"))
        await ask(chat, "one")
        await played(chat.turns.continue_answer())
        assert texts_of(chat.manager.history) == [["one", "The end"]]

    async def test_goes_by_a_system_prompt_set_after_the_part(self, open_chat):
        chat, model = open_chat(self.CUT, replies(" is Paris."))
        await ask(chat, "one")
        chat.opened.set_system("Rhyme.")
        await played(chat.turns.continue_answer())
        assert model.requests[1].messages == (system("Rhyme."), question("one"))
        assert texts_of(chat.manager.history) == [["one", "The capital is Paris."]]

    async def test_is_refused_where_there_is_nothing_to_go_on_with(self, open_chat):
        chat, _ = open_chat(BROKEN, replies("Done."))

        def refusal():
            with pytest.raises(UsageError) as caught:
                chat.turns.continue_answer()
            return caught.value.code

        assert refusal() == "no_answer"
        await ask(chat, "one")
        assert refusal() == "no_answer"
        await ask(chat, "two")
        assert refusal() == "complete_answer"


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
        assert model.requests[1].messages == (question("uno", old, other),)
        chat.branches.edit()
        await played(chat.turns.send(question("dos", new)))
        assert model.requests[2].messages == (question("dos", new, other),)

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

    async def test_that_are_not_there_are_told_by_number(self, open_chat):
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


class TestAnotherModelForOneAnswer:
    async def test_is_asked_the_same_and_the_conversation_stays_with_its_own(self, open_chat):
        chat, model = open_chat(replies("a"), replies("c"))
        await ask(chat, "one")
        other = ScriptedModel(replies("b"))
        await played(chat.turns.retry(target(model=other, name="large")))
        assert other.requests[0].messages == (question("one"),)
        assert other.requests[0].model == "large"
        assert texts_of(chat.manager.history) == [["one", "b"]]
        assert_a_resume_finds_it(chat)
        await ask(chat, "two")
        assert model.requests[-1].messages == (question("one"), answer("b"), question("two"))
        assert chat.turns.connected.model_name == "small"


class TestAskingAside:
    async def test_shows_the_model_the_conversation_and_keeps_nothing(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"), replies("c"))
        await ask(chat, "one")
        before = chat.opened.file.path.read_bytes()
        (*_, end) = await played(chat.turns.aside(question("by the way")))
        assert end.result.text == "b"
        assert model.requests[1].messages == (question("one"), answer("a"), question("by the way"))
        assert chat.opened.file.path.read_bytes() == before
        assert_a_resume_finds_it(chat)
        await ask(chat, "two")
        assert model.requests[2].messages == (question("one"), answer("a"), question("two"))

    async def test_can_leave_the_conversation_and_its_system_prompt_out(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        chat.opened.set_system("Rhyme.")
        await ask(chat, "one")
        await played(chat.turns.aside(question("aside"), system="Name it.", with_history=False))
        assert model.requests[1].messages == (system("Name it."), question("aside"))


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


def sent(model, number=-1):
    return [(message.role, message.text) for message in model.requests[number].messages]


class TestARefusedQuestion:
    async def test_is_not_sent_again_and_a_resume_knows_that(self, open_chat, store):
        chat, model = open_chat(replies("a"), REFUSED, replies("c"))
        await ask(chat, "one", "two")
        assert_a_resume_finds_it(chat)
        await ask(chat, "three")
        assert sent(model) == [("user", "one"), ("assistant", "a"), ("user", "three")]
        assert len(chat.session.questions) == 3
        assert_a_resume_finds_it(chat)
        chat.close()
        resumed, model = open_chat(replies("d"))
        await ask(resumed, "four")
        assert [text for _, text in sent(model)] == ["one", "a", "three", "c", "four"]

    async def test_is_asked_again_by_retry_and_then_counts_with_its_answer(self, open_chat):
        chat, model = open_chat(replies("a"), REFUSED, replies("b"), replies("c"))
        await ask(chat, "one", "two")
        await played(chat.turns.retry())
        assert sent(model) == [("user", "one"), ("assistant", "a"), ("user", "two")]
        assert_a_resume_finds_it(chat)
        await ask(chat, "three")
        assert [text for _, text in sent(model)] == ["one", "a", "two", "b", "three"]

    @pytest.mark.parametrize("again", [(NetworkError("gone"),), (RequestRefused("bad", status=400),)])
    async def test_of_which_nothing_comes_again_stays_left_out(self, open_chat, again):
        chat, model = open_chat(replies("a"), REFUSED, again, replies("c"))
        await ask(chat, "one", "two")
        await played(chat.turns.retry())
        assert_a_resume_finds_it(chat)
        await ask(chat, "three")
        assert [text for _, text in sent(model)] == ["one", "a", "three"]

    async def test_that_has_an_answer_keeps_it_when_another_model_refuses(self, open_chat):
        chat, model = open_chat(replies("a"), replies("b"))
        await ask(chat, "one")
        await played(chat.turns.retry(target(REFUSED, name="large")))
        assert_a_resume_finds_it(chat)
        await ask(chat, "two")
        assert [text for _, text in sent(model)] == ["one", "a", "two"]

    async def test_is_edited_to_another_one_that_is_sent(self, open_chat):
        chat, model = open_chat(REFUSED, replies("b"), replies("c"))
        await ask(chat, "one")
        chat.branches.edit()
        await ask(chat, "the one", "two")
        assert [text for _, text in sent(model)] == ["the one", "b", "two"]
        assert_a_resume_finds_it(chat)

    async def test_cannot_be_pinned(self, open_chat):
        chat, _ = open_chat(REFUSED)
        await ask(chat, "one")
        with pytest.raises(UsageError, match="turn 1 was refused"):
            chat.memory.pin(1)

    async def test_is_not_seen_by_a_question_aside_either(self, open_chat):
        chat, model = open_chat(replies("a"), BROKEN, REFUSED, replies("b"))
        await ask(chat, "one", "two", "three")
        await played(chat.turns.aside(question("By the way?")))
        assert sent(model) == [("user", "one"), ("assistant", "a"), ("user", "two\n\nBy the way?")]


class TestAQuestionStoppedBeforeItsFirstWord:
    async def test_is_sent_together_with_the_next_and_after_a_resume_too(self, open_chat):
        chat, model = open_chat((stall := Stall(),), replies("b"))
        asking = asyncio.ensure_future(ask(chat, "one"))
        await stall.reached.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert_a_resume_finds_it(chat)
        await ask(chat, "two")
        assert sent(model) == [("user", "one\n\ntwo")]
        chat.close()
        resumed, model = open_chat(replies("c"))
        await ask(resumed, "three")
        assert sent(model) == [("user", "one\n\ntwo"), ("assistant", "b"), ("user", "three")]


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


class TestAnotherTarget:
    async def test_takes_over_the_whole_conversation(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.turns.connect(target(model=(model := ScriptedModel(replies("b"))), name="large"))
        await ask(chat, "two")
        assert chat.turns.connected.model_name == model.requests[0].model == "large"
        assert model.requests[0].messages == (question("one"), answer("a"), question("two"))

    async def test_that_was_asked_is_asked_by_a_resume(self, open_chat, store):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        first = chat.turns.connected.model_name, chat.turns.connected.endpoint.host
        assert (store.load(chat.opened.file).model, store.load(chat.opened.file).model_endpoint) == first
        chat.turns.connect(target(model=ScriptedModel(replies("b"), replies("c")), name="large"))
        assert store.load(chat.opened.file).model == first[0]
        await ask(chat, "two")
        await ask(chat, "three")
        assert store.load(chat.opened.file).model == "large"
        kinds = [getattr(record, "kind", None) for record in store.load(chat.opened.file).records]
        assert kinds.count("model") == 2

    async def test_that_the_person_chose_is_asked_by_a_resume(self, open_chat, store):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.switch(target(name="large"))
        assert store.load(chat.opened.file).model == "large"

    async def test_that_is_embedded_is_not_remembered_by_its_name(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        before = chat.session.model
        chat.switch(target(name="embedded", endpoint=EMBEDDED, model=ScriptedModel(replies("b"))))
        await ask(chat, "two")
        assert chat.session.model == before

    async def test_counts_no_message_again_where_it_counts_alike(self, open_chat):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one")
        chat.turns.load_vocabulary()
        chat.turns.connect(target(name="gpt-4o"))
        assert not chat.manager.context_usage().estimated
        chat.turns.connect(target(name="gpt-4"))
        assert chat.manager.context_usage().estimated


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


SCRIPTS = st.sampled_from(
    [replies("a"), replies("b"), (TextDelta("P"), *BROKEN), BROKEN, (Completion("stop"),), REFUSED]
)


class AlternatingModel(ScriptedModel):
    """Fails if a request does not begin with a question, or does not alternate."""

    async def stream(self, request):
        roles = [message.role for message in request.messages]
        sent_roles = roles[roles[0] == "system" :]
        assert sent_roles == ["user", "assistant"] * (len(sent_roles) // 2) + ["user"]
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event


ACTS = st.sampled_from(
    ["send"] * 5
    + ["retry", "retry", "undo", "clear", "unclear", "pin", "unpin", "drop", "undrop", "note", "unnote"]
    + ["system", "switch", "save"]
)


async def do(chat, what, data):
    """Do one thing the REPL can do; raise ``UsageError`` if it is impossible now."""
    memory, numbers = chat.memory, st.integers(1, 3)
    acts = {
        "send": lambda: ask(chat, data.draw(st.sampled_from("xyz"))),
        "retry": lambda: played(chat.turns.retry()),
        "undo": lambda: chat.branches.undo(data.draw(st.integers(1, 2))),
        "clear": memory.clear,
        "unclear": memory.undo_clear,
        "pin": lambda: memory.pin(data.draw(st.none() | numbers)),
        "unpin": lambda: memory.unpin(data.draw(st.none() | numbers)),
        "drop": lambda: memory.drop(data.draw(numbers)),
        "undrop": lambda: memory.bring_back(data.draw(st.none() | numbers)),
        "note": lambda: memory.note(data.draw(st.sampled_from(["Ada", "Bob"]))),
        "unnote": lambda: memory.take_note_away(data.draw(numbers)),
        "system": lambda: chat.opened.set_system(data.draw(st.sampled_from(["Rhyme.", "Be brief.", None]))),
        "switch": lambda: chat.switch(
            target(model=AlternatingModel(*[data.draw(SCRIPTS) for _ in range(12)]))
        ),
        "save": lambda: chat.opened.save_as(chat.opened.store.new()),
    }
    done = acts[what]()
    if asyncio.iscoroutine(done):
        await done


async def live(store, data):
    model = AlternatingModel(*[data.draw(SCRIPTS) for _ in range(12)])
    with closing(opened(store)) as chat:
        chat.turns.connect(target(model=model))
        for what in data.draw(st.lists(ACTS, min_size=1, max_size=12)):
            with suppress(UsageError):
                await do(chat, what, data)
            if chat.opened.file.path.exists():
                assert_a_resume_finds_it(chat)
            assert standing(history_of(chat.session)) == standing(chat.manager.history)


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_done_in_a_conversation_a_resume_finds_it_as_it_was_left(data):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(SessionStore(Path(folder)), data))


class TestCounting:
    async def test_goes_by_what_the_endpoint_was_seen_to_count(self, open_chat, store):
        chat, _ = open_chat(replies("a"))
        await ask(chat, "one " * 300)
        chat.turns.load_vocabulary()
        by_vocabulary = chat.manager.context_usage().turns_tokens
        counts = LearnedCounts()
        model = ScriptedModel(replies("b"))
        chat.turns.connect(replace(target(model=model), counts=counts))
        assert chat.manager.context_usage().turns_tokens == by_vocabulary
        counts.learn("small", 1000, 1500)
        await ask(chat, "two")
        first_turn = chat.manager.context().parts[0]
        assert by_vocabulary * 1.5 <= first_turn.tokens <= by_vocabulary * 1.5 + 2
        # The endpoint's count is compared with the vocabulary's.
        assert by_vocabulary < model.requests[0].counted_tokens < by_vocabulary + 20

    async def test_goes_by_the_window_a_refusal_tells_of_from_then_on(self, open_chat):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one " * 900, "two " * 900)
        too_long = ContextOverflow("too long")
        too_long.window_tokens = 2048
        model = ScriptedModel((too_long,), replies("c"), replies("d"))
        chat.turns.connect(target(model=model))
        await ask(chat, "three", "four")
        assert [len(request.messages) for request in model.requests] == [5, 3, 5]
        assert chat.manager.context_usage().window_tokens == 2048
        assert_a_resume_finds_it(chat)

    @pytest.mark.parametrize("window_tokens", [None, 9_000, 64])
    async def test_sends_less_where_a_refusal_tells_nothing_of_use(self, open_chat, window_tokens):
        chat, _ = open_chat(replies("a"), replies("b"))
        await ask(chat, "one " * 900, "two " * 900)
        too_long = ContextOverflow("too long")
        too_long.window_tokens = window_tokens
        model = ScriptedModel((too_long,), replies("c"))
        chat.turns.connect(replace(target(model=model), parameters=Parameters(max_tokens=100)))
        await ask(chat, "three")
        assert [len(request.messages) for request in model.requests] == [5, 3]
