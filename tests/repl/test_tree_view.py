from __future__ import annotations

from dataclasses import replace

import pytest
from wcwidth import width

from chatcli.core.messages import answer, question
from chatcli.repl.tree_view import HERE, tree_rows, tree_sentences
from chatcli.sessions.records import MarkRecord, MessageRecord, ReplyMetadata
from chatcli.sessions.session import Session
from chatcli.sessions.tree import Tree

AT = "2026-11-23T21:05:07.123Z"


def exchange(name, parent=None, asked=None, model="small"):
    """Return a question and its answer, whose ids are ``q`` and ``a`` and the name."""
    return (
        MessageRecord(f"q{name}", parent and f"a{parent}", AT, question(asked or f"question {name}")),
        MessageRecord(
            f"a{name}", f"q{name}", AT, answer(f"answer {name}"), ReplyMetadata(model, None, "stop")
        ),
    )


def rows(*records, columns=80):
    return tree_rows(Tree(Session.replay(records)), columns).split("\n")


def test_a_straight_talk_goes_straight_down():
    assert rows(*exchange(1), *exchange(2, 1)) == [
        "1  ● question 1 → answer 1 [small]",
        f"2  ● {HERE} question 2 → answer 2 [small]",
    ]


def test_a_model_is_called_as_it_was_asked_for():
    asked, replied = exchange(1)
    dated = replace(replied.reply, model="small-2026-08-07", requested_model="small")
    records = (asked, replace(replied, reply=dated))
    assert rows(*records) == [f"1  ● {HERE} question 1 → answer 1 [small]"]
    assert "Answer by small:" in tree_sentences(Tree(Session.replay(records)))


def test_other_branches_are_moved_in_with_what_followed_them():
    shown = rows(*exchange(1), *exchange(2, 1), *exchange(3, 2), *exchange(4, 1), *exchange(5, 4))
    assert shown == [
        "1  ● question 1 → answer 1 [small]",
        "2  ├─○ question 2 → answer 2 [small]",
        "3  │ ○ question 3 → answer 3 [small]",
        "4  ● question 4 → answer 4 [small]",
        f"5  ● {HERE} question 5 → answer 5 [small]",
    ]


def test_the_path_goes_straight_on_wherever_it_leads():
    to_two = MarkRecord("m", None, AT, "head", "a2")
    shown = rows(*exchange(1), *exchange(2, 1), *exchange(3, 1), to_two)
    assert [line.split()[0] for line in shown] == ["1", "3", "2"]
    assert HERE in shown[-1]


def test_read_aloud_a_branch_says_what_it_follows_and_that_it_is_another():
    talk = (*exchange(1), *exchange(2, 1), *exchange(3, 2), *exchange(4, 1))
    assert tree_sentences(Tree(Session.replay(talk))).split("\n") == [
        "1. Question: question 1 Answer by small: answer 1",
        "2, another branch. Question: question 2 Answer by small: answer 2",
        "3, another branch. Question: question 3 Answer by small: answer 3",
        "4, follows 1, you are here. Question: question 4 Answer by small: answer 4",
    ]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("## So\n**One** `line`.\n\n```python\nx\n```", "So One line."),
        ("An *old* [link](http://a.b) ~~gone~~", "An old link gone"),
        ("It is:\n\n| a |\n|---|\n", "It is:"),
        ("```sh\nls\n```", "code or a table"),
    ],
)
def test_read_aloud_an_answer_is_heard_without_its_marks_up_to_code_or_a_table(said, heard):
    asked, replied = exchange(1)
    heard_line = tree_sentences(Tree(Session.replay([asked, replace(replied, message=answer(said))])))
    assert heard_line.endswith(f"Answer by small: {heard}")


def test_read_aloud_a_long_talk_says_how_much_is_not_listed():
    talk = [record for at in range(1, 61) for record in exchange(at, at - 1 or None)]
    lines = tree_sentences(Tree(Session.replay(talk))).split("\n")
    assert lines[3] == "54 more, not listed."
    assert lines[4] == "58. Question: question 58 Answer by small: answer 58"
    assert lines[-1].startswith("60, you are here. ")


def test_a_question_without_an_answer_says_so():
    assert rows(exchange(1)[0]) == [f"1  ● {HERE} question 1 (no answer)"]


def test_rows_are_no_wider_than_the_terminal_in_any_script():
    talk = exchange(1, asked="北京的天气怎么样" * 20), exchange(2, 1, asked="one\ntwo " * 50)
    for columns in (10, 40, 80):
        assert all(width(row) <= columns for row in rows(*talk[0], *talk[1], columns=columns))


def test_a_long_stretch_shows_its_ends_and_the_current_turn():
    talk = [record for at in range(1, 41) for record in exchange(at, at - 1 or None)]
    shown = rows(*talk, MarkRecord("m", None, AT, "head", "a20"))
    numbers = [line.split()[0] for line in shown]
    assert numbers == ["1", "2", "3", "⋮", "20", "38", "39", "40"]
    assert "33 more" in shown[3]


def test_a_tree_of_thousands_of_branches_is_drawn_without_end_of_stack():
    talk, parent = [], None
    for at in range(1, 3_000):
        talk += exchange(at, parent)
        parent = at if at % 2 else parent
    assert len(rows(*talk)) > 1_000
