from __future__ import annotations

import pytest

from chatcli.core.errors import NetworkError
from chatcli.core.events import TurnCancelled, TurnFailed, TurnFinished, TurnResult
from chatcli.terminal.terminal_frontend import PromptMarks

RESULT = TurnResult("", "small")


def test_a_question_is_marked_as_prompt_and_input_and_what_follows_as_output():
    marks = PromptMarks(wanted=True)
    assert marks.question("> ", "one\n  two") == (
        "\x1b]133;A;redraw=0\x1b\\> \x1b]133;B\x1b\\one\n  two\n\x1b]133;C\x1b\\"
    )


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (TurnFinished(RESULT), 0),
        (TurnFailed(TurnResult("", "small", error=NetworkError("gone"))), 1),
        (TurnCancelled(RESULT), 130),
    ],
)
async def test_the_end_tells_how_the_turn_ended_once(event, code):
    marks = PromptMarks(wanted=True)
    marks.question("> ", "Hi")
    await marks(event)
    assert marks.end() == f"\x1b]133;D;{code}\x1b\\"
    assert marks.end() == ""
    marks.question("> ", "Hi again")
    assert marks.end() == "\x1b]133;D;0\x1b\\"


def test_there_is_no_end_without_a_question():
    assert PromptMarks(wanted=True).end() == ""


def test_where_marks_are_not_wanted_there_are_none():
    marks = PromptMarks(wanted=False)
    assert marks.question("> ", "Hi") == "> Hi\n"
    assert marks.end() == ""
