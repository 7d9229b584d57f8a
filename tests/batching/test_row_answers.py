"""An answer becomes a result, and one with nothing in it an error."""

from __future__ import annotations

import pytest

from chatcli.batching.row_answers import RowAnswer
from chatcli.batching.row_requests import BatchRow
from chatcli.core.errors import IncompleteAnswer, RateLimited
from chatcli.core.events import Completion
from chatcli.core.messages import Message, ReasoningPart, RefusalPart, ToolCallPart, question
from chatcli.core.request import Request

ROW = BatchRow(0, "r", 1, Request("m", (question("Hi"),)))


def result_of(text="", finish_reason="stop", *parts, error=None):
    completion = Completion(finish_reason, "m", message=Message("assistant", parts))
    return RowAnswer(text, completion, error).result(ROW, 0.5)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "the model sent an empty answer"),
        ((ReasoningPart("hm"),), "the model sent reasoning but no answer"),
    ],
)
def test_an_answer_with_nothing_in_it_is_an_error(parts, message):
    found = result_of("", "stop", *parts)
    assert (found.error.code, found.error.message, found.finish_reason) == ("empty_answer", message, "stop")


@pytest.mark.parametrize(
    ("text", "finish_reason", "parts"),
    [
        (" ", "stop", ()),
        ("", "length", ()),
        ("", "stop", (RefusalPart("no"),)),
        ("", "tool_calls", (ToolCallPart("1", "look", "{}"),)),
    ],
)
def test_an_answer_that_says_anything_is_none(text, finish_reason, parts):
    assert result_of(text, finish_reason, *parts).error is None


def test_what_only_a_conversation_can_do_is_no_hint():
    cut = result_of("par", error=IncompleteAnswer("cut", hint="/continue gets the rest")).error
    assert (cut.message, cut.hint) == ("cut", "--retry-failed asks again")


def test_a_failure_stays_the_error_of_an_empty_answer():
    failure = RateLimited("slow down", hint="later")
    assert result_of(error=failure).error is failure
