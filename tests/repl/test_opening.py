"""Opening and leaving a conversation, with any frontend."""

from __future__ import annotations

from contextlib import closing

import pytest

from chatcli.core.messages import question
from chatcli.repl.onboarding import NO_MODEL_YET
from chatcli.repl.opening import choose_session, farewell, onboard_first_run
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from repl.fakes import KeptFrontend
from repl.test_repl_session import start_repl  # noqa: F401 - the fixture


@pytest.fixture
def kept(start_repl):  # noqa: F811
    """Return a function that opens a conversation beside a saved one, choosing ``chooses``."""

    def start(chooses):
        there = start_repl(frontend=KeptFrontend(chooses=chooses))
        store = SessionStore(there.context.paths.data)
        with closing(SessionLog.resume(store.resolve("trip"), store.load, app="x")) as log:
            log.message(question("Capital of France?"), parent=None)
        return there

    return start


async def test_the_session_that_is_chosen_takes_the_place_of_the_fresh_one(kept):
    there = kept("trip")
    fresh = there.chat
    assert await choose_session(there, everywhere=True)
    assert there.chat is not fresh
    assert [asked.message.text for asked in there.chat.session.questions] == ["Capital of France?"]


async def test_who_chooses_none_keeps_the_fresh_one(kept):
    there = kept(None)
    fresh = there.chat
    assert not await choose_session(there, everywhere=True)
    assert there.chat is fresh


async def test_the_last_words_name_a_session_that_is_kept(kept):
    there = kept("trip")
    assert farewell(there) == "bye"
    await choose_session(there, everywhere=True)
    assert farewell(there) == "resume with: chatcli -s trip"


async def test_who_has_a_model_is_asked_nothing(start_repl):  # noqa: F811
    there = start_repl()
    await onboard_first_run(there)
    assert there.frontend.output == []


@pytest.mark.parametrize("ends_the_input", [True, False])
async def test_only_who_ends_the_input_leaves_without_a_model(start_repl, ends_the_input):  # noqa: F811
    there = start_repl(frontend=KeptFrontend(None), base_url=None, model=None)
    there.frontend.was_left = ends_the_input
    await onboard_first_run(there)
    assert there.frontend.output[0] == NO_MODEL_YET
    assert there.is_leaving is ends_the_input


@pytest.mark.parametrize(
    ("answer", "meant"), [("y", True), (" YES ", True), ("", False), ("no", False), (None, False)]
)
async def test_a_question_is_confirmed_by_yes_alone(answer, meant):
    frontend = KeptFrontend(answer)
    frontend.was_left = answer is None
    assert await frontend.confirm("Overwrite?") is meant
    assert frontend.asked == [("Overwrite? [y/N] ", False)]


async def test_ctrl_c_at_a_question_is_told_from_a_no():
    assert await KeptFrontend(None).confirm("Overwrite?") is None
