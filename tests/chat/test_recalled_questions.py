from __future__ import annotations

from chatcli.chat.session_history import recalled
from chatcli.core.messages import answer, question
from chatcli.text.documents import document

LONG = question("Who met?", document("minutes.md", "The committee met. " * 1_000))


def test_a_question_that_was_too_long_is_told_of_in_short():
    short = recalled(LONG, 1_000)
    assert short.text.startswith('Who met?\n\n<document name="minutes.md">\n[… 19,000 characters')
    assert len(short.text) < 200


def test_what_is_short_enough_and_what_a_model_said_stays_as_it_was():
    assert recalled(LONG, 10_000) is LONG
    said = answer("It goes on. " * 1_000)
    assert recalled(said, 10) is said
