from __future__ import annotations

from chatcli.core.messages import question
from chatcli.sessions.records import MarkRecord, MessageRecord
from chatcli.sessions.session import Session
from chatcli.sessions.titles import TITLE_CHARACTERS, title_of

AT = "2026-11-23T21:05:07.123Z"


def asked(*texts):
    return MessageRecord("q", None, AT, question(*texts))


def test_a_conversation_in_which_nothing_was_asked_has_no_title():
    assert title_of(Session()) == ""


def test_the_persons_own_first_words_are_the_title_not_what_they_attached():
    assert title_of(Session.replay([asked("What is\n this?", "a document")])) == "What is this?"
    assert title_of(Session.replay([asked("", "a document")])) == "a document"


def test_a_title_that_was_given_wins_and_stands_on_one_line():
    title = MarkRecord("t", "q", AT, "title", "Capitals\nof Europe")
    assert title_of(Session.replay([asked("Hi"), title])) == "Capitals of Europe"


def test_a_long_title_is_cut():
    title = title_of(Session.replay([asked("word " * 100)]))
    assert len(title) <= TITLE_CHARACTERS
    assert title.endswith("word…")
