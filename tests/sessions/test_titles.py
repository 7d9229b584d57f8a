from __future__ import annotations

import pytest

from chatcli.core.messages import answer, question
from chatcli.sessions.records import MarkRecord, MessageRecord
from chatcli.sessions.session import Session
from chatcli.sessions.titles import (
    SHOWN_CHARACTERS,
    TITLE_CHARACTERS,
    is_enough,
    question_for_title,
    title_in,
    title_of,
)

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


def talk(*texts):
    records = [
        MessageRecord(str(at), str(at - 1) if at else None, AT, (answer if at % 2 else question)(text))
        for at, text in enumerate(texts)
    ]
    return Session.replay(records)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Capitals of Europe", "Capitals of Europe"),
        ('  "Capitals of Europe."\n', "Capitals of Europe"),
        ("**Title: Capitals of Europe**", "Capitals of Europe"),
        ("# Capitals of Europe\n\nBecause they ask for it.", "Capitals of Europe"),
        ("标题：《北京的天气》。", "北京的天气"),
        ("「東京のラーメン」", "東京のラーメン"),
        ("<think>They ask for\ncapitals.</think>\n\nCapitals of Europe", "Capitals of Europe"),
        ("Titles in Italian law", "Titles in Italian law"),
        ("What does EADDRINUSE mean?", "What does EADDRINUSE mean?"),
        ("<think>still thinking", ""),
        ("***\n\n", ""),
        ("", ""),
    ],
)
def test_a_title_is_taken_out_of_what_a_model_puts_around_it(said, title):
    assert title_in(said) == title


def test_a_model_that_writes_an_essay_is_cut():
    assert len(title_in("word " * 100)) <= TITLE_CHARACTERS


def test_the_first_exchanges_are_shown_as_far_as_there_is_room():
    shown = question_for_title(talk("Capital of\n France?", "Paris.", "And of Spain?", "Madrid.")).text
    assert "Person: Capital of France?\n\nAssistant: Paris.\n\nPerson: And of Spain?" in shown
    long = question_for_title(talk("q" * 5000, "a" * 5000, "never shown")).text
    assert long.count("q") + long.count("a") < SHOWN_CHARACTERS + 100
    assert long.count("a") > SHOWN_CHARACTERS // 2 - 100
    assert "never" not in long


def test_what_an_endpoint_refused_to_read_is_not_shown_to_it_again():
    session = talk("Capital of France?", "Paris.", "And this picture?")
    session.apply(MarkRecord("m", "2", AT, "refused", {"message": "2", "reason": "400"}))
    shown = question_for_title(session).text
    assert "Paris." in shown
    assert "picture" not in shown


@pytest.mark.parametrize(
    ("so_far", "enough"),
    [
        ("Capitals", False),
        ("\n\nCapitals", False),
        ("Capitals\n", True),
        ("```\n", False),
        ("<think>long\nthoughts " + "x" * 500, False),
        ("<think>thoughts</think>Capitals\n", True),
        ("word " * 100, True),
    ],
)
def test_what_comes_after_the_title_need_not_be_waited_for(so_far, enough):
    assert is_enough(so_far) is enough


def test_text_of_others_stays_apart_so_that_it_is_sent_in_frames():
    parts = question_for_title(
        Session.replay([asked("What is it?", "<document>a\n letter</document>")])
    ).parts
    assert [part.text for part in parts if part.origin == "document"] == ["<document>a letter</document>"]
    assert "letter" not in "".join(part.text for part in parts if part.origin != "document")
