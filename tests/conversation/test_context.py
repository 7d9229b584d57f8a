from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.context import Window, too_long


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
