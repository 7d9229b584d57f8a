from __future__ import annotations

from contextlib import closing

import pytest

from chatcli.chat import Conversation
from chatcli.core.messages import question
from chatcli.repl.recap import recap
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from repl.fakes import KeptFrontend


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path)


def begin(store, *, partial=""):
    """Begin a conversation in another process, up to a part of the answer, and return its log."""
    log = SessionLog.resume(store.resolve("trip"), store.load, app="other")
    asked = log.message(question("Capital?"), parent=None)
    if partial:
        reply = log.begin_reply(parent=asked)
        reply.extend(partial)
        reply.flush()
    return log


def recapped(store, **how):
    frontend = KeptFrontend()
    with closing(SessionLog.resume(store.resolve("trip"), store.load, app="x")) as log:
        recap(Conversation(log, store), frontend, **how)
    return frontend.text


def test_an_answer_that_another_program_writes_is_shown_as_coming(store):
    with closing(begin(store, partial="Par")):
        shown = recapped(store)
    assert shown.endswith("Par\nanother chatcli is answering this question; the text so far is shown")
    assert "stopped" not in shown


def test_a_question_that_another_program_asks_is_shown_as_being_answered(store):
    with closing(begin(store)):
        assert recapped(store).endswith("> Capital?\nanother chatcli is answering this question")


def test_an_answer_whose_program_is_gone_was_stopped(store):
    begin(store, partial="Par").close()
    assert recapped(store).endswith("Par\nstopped; the partial answer is kept (/continue)")


def test_without_a_title_only_what_came_before_is_counted(store):
    with closing(begin(store)) as log:
        assert recapped(store, titled=False).startswith("> Capital?\n")
        log.message(question("And of Spain?"), parent=log.session.head)
        assert recapped(store, titled=False).startswith("… 1 earlier turn\n> And of Spain?\n")
