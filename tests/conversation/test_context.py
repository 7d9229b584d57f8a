from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.context import (
    ContextPart,
    ContextPlan,
    Window,
    join_neighbours,
    too_long,
    without_unanswered_calls,
)
from chatcli.core.messages import (
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    answer,
    question,
    system,
)


def test_a_quarter_of_a_window_stays_free_for_the_answer():
    assert Window.of(8192, None) == Window(8192, 2048, 6144)
    assert Window.of(1024, None).budget_tokens == 768


def test_no_more_than_4096_tokens_stay_free_unless_asked_for():
    assert Window.of(128_000, None).budget_tokens == 128_000 - 4096


def test_the_answers_cap_is_the_room_it_gets():
    assert Window.of(1024, 16).budget_tokens == 1008
    assert Window.of(8192, 8000).budget_tokens == 192


@given(tokens=st.integers(0, 2_000_000), max_tokens=st.none() | st.integers(0, 3_000_000))
def test_question_and_answer_never_exceed_the_window(tokens, max_tokens):
    window = Window.of(tokens, max_tokens)
    assert 0 <= window.budget_tokens <= tokens
    if window.budget_tokens:
        assert window.budget_tokens + window.answer_tokens == tokens


def test_a_question_that_is_too_long_is_refused_with_numbers_and_a_way_out():
    error = too_long(12_345, 12_000, 768)
    assert error.message == (
        "the question is too long: 12,345 tokens with the system prompt and pinned messages "
        "(12,000 of them the question), room for 768"
    )
    assert error.hint.startswith("shorten it")
    assert (error.code, error.exit_code) == ("input_too_long", 2)


PICTURE = Message("user", (TextPart("Look"), ImagePart("00" * 32, "image/png", "a.png")))
FILE = Message("user", (FilePart("22" * 32, "application/pdf", "c.pdf"),))
SIGNED = Message("assistant", (TextPart("Paris.", "model"),), {"signature": "x"})


def test_questions_in_a_row_are_one_with_a_blank_line_between():
    assert [
        message.text for message in join_neighbours([question("one"), question("two"), question("three")])
    ] == ["one\n\ntwo\n\nthree"]


def test_whose_words_the_parts_are_is_kept():
    (joined,) = join_neighbours([question("Sum it up", "a report"), question("Well?")])
    assert joined.parts == (TextPart("Sum it up"), TextPart("a report", "document"), TextPart("Well?"))


def test_answers_in_a_row_are_one():
    assert join_neighbours([question("one"), answer("a"), answer("b"), question("two")]) == [
        question("one"),
        Message("assistant", (TextPart("a", "model"), TextPart("b", "model"))),
        question("two"),
    ]


@pytest.mark.parametrize(
    "messages",
    [
        (question("Well?"), PICTURE),
        (PICTURE, question("Well?")),
        (FILE, FILE),
        (answer("It is"), SIGNED),
        (SIGNED, answer("It is")),
        (system("Be brief."), system("Rhyme.")),
        (question("one"), answer("a"), question("two")),
    ],
)
def test_what_holds_more_than_text_and_what_another_says_stays_apart(messages):
    assert join_neighbours(messages) == list(messages)


def test_what_holds_nothing_adds_no_blank_line():
    assert [message.text for message in join_neighbours([question("one"), question("")])] == ["one"]


def test_the_system_prompt_and_the_notes_are_one_message_before_them():
    parts = [
        ContextPart("system", 5, (system("Be brief."),)),
        ContextPart("note", 5, (system("I am Ada."),)),
        ContextPart("turn", 5, (question("one"),), 1),
        ContextPart("question", 5, (question("two"),)),
    ]
    assert [(message.role, message.text) for message in ContextPlan(tuple(parts)).messages] == [
        ("system", "Be brief.\n\nI am Ada."),
        ("user", "one\n\ntwo"),
    ]


def calling(*ids, words=""):
    own = (TextPart(words, "model"),) if words else ()
    return Message("assistant", (*own, *(ToolCallPart(each, "f", "{}") for each in ids)))


def returning(*ids):
    return Message("tool", tuple(ToolResultPart(each, (TextPart("so", "tool"),)) for each in ids))


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ([calling("1"), returning("1"), answer("So.")], [calling("1"), returning("1"), answer("So.")]),
        ([calling("1", "2"), returning("1"), returning("2")],) * 2,
        ([calling("1")], []),
        ([calling("", words="Wait.")], [answer("Wait.")]),
        ([calling("1", "2"), returning("2")], [calling("2"), returning("2")]),
        ([returning("1"), answer("So.")], [answer("So.")]),
        ([calling("1"), answer("So."), returning("1")], [answer("So.")]),
        ([Message("assistant", (ReasoningPart("hm"), ToolCallPart("1", "f", "{}")))], []),
        ([calling(""), returning("")], []),
    ],
)
def test_a_call_goes_out_with_its_result_or_not_at_all(said, sent):
    assert list(without_unanswered_calls([question("?"), *said, question("And?")])) == [
        question("?"),
        *sent,
        question("And?"),
    ]


def test_questions_around_a_call_that_is_not_sent_are_one():
    parts = [
        ContextPart("turn", 5, (question("one"), calling("1")), 1),
        ContextPart("question", 5, (question("two"),)),
    ]
    assert [message.text for message in ContextPlan(tuple(parts)).messages] == ["one\n\ntwo"]


def test_answers_with_reasoning_that_nobody_wants_back_are_joined():
    thought = Message("assistant", (ReasoningPart("hm"), TextPart("b", "model")))
    assert len(join_neighbours([answer("a"), thought])) == 1
