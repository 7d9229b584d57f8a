from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory

from chatcli.terminal.input_history import HistorySuggestions


def suggested(text, *earlier, cursor=None):
    """Return what is suggested after ``text``, ``None`` for nothing, when ``earlier`` was typed, oldest first."""
    history = InMemoryHistory()
    for entry in earlier:
        history.append_string(entry)
    suggestion = HistorySuggestions().get_suggestion(Buffer(history=history), Document(text, cursor))
    return suggestion and suggestion.text


def test_the_newest_text_that_begins_so_goes_on():
    assert suggested("what is", "what is it", "what is that", "who") == " that"


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing_is_suggested_before_something_is_written(text):
    assert suggested(text, " hello", "\nhello") is None


def test_nothing_is_suggested_inside_the_text():
    assert suggested("what", "what is it", cursor=2) is None


def test_nothing_is_suggested_when_nothing_began_so():
    assert suggested("why", "what is it", "and why") is None


def test_a_text_that_is_already_whole_lets_an_older_one_go_on():
    assert suggested("hi", "hi there", "hi") == " there"
    assert suggested("hi", "hi") is None


def test_only_the_line_being_written_goes_on():
    assert suggested("def", "def f():\n    return 1") == " f():"
    assert suggested("def f():\n    re", "def f():\n    return 1\n") == "turn 1"
    assert suggested("def f():", "def f():\n    return 1") is None


def test_commands_go_on_like_any_text():
    assert suggested("/mod", "/model small") == "el small"


@given(st.lists(st.text("ab\n", min_size=1)), st.text("ab\n"))
def test_a_suggestion_is_always_the_way_an_earlier_text_goes_on(earlier, text):
    rest = suggested(text, *earlier)
    if rest is not None:
        assert rest
        assert "\n" not in rest
        assert any(f"{entry}\n".startswith(f"{text}{rest}\n") for entry in earlier)
