from __future__ import annotations

import pytest

from chatcli.conversation.history import Summary
from chatcli.conversation.strategies.summarize import Summarize
from chatcli.core.errors import InputTooLong
from chatcli.core.messages import question
from conversation.strategies.turn_by_turn import (
    TOKENS,
    TURN_TOKENS,
    fit,
    go_on,
    history_of,
    numbers,
    turn_of,
)

BUDGET_TOKENS = 20 * TURN_TOKENS + 7
NOTHING = question("")


def fold(history, budget_tokens=BUDGET_TOKENS, asked=NOTHING):
    return Summarize().fold(history, asked, budget_tokens, TOKENS)


def summed_up(turns, by=8, text="what was said"):
    history = history_of(turns)
    history.summary = Summary(text, by, "q0", f"a{by - 1}")
    return history


def test_there_is_nothing_to_fold_before_the_room_is_four_fifths_full():
    assert fold(history_of(16)) is None
    assert fold(history_of(17)) is not None


def test_what_is_folded_leaves_half_of_the_room_and_is_read_at_once():
    history = history_of(19)
    folded = fold(history)
    assert (folded.earlier, folded.end, len(folded.turns)) == (None, 9, 9)
    # A model reads half of the budget at once; the remainder is summarized next.
    assert len(fold(history_of(40)).turns) == 10


def test_the_next_fold_goes_on_where_the_summary_ends():
    history = summed_up(26)
    folded = fold(history)
    assert folded.earlier is history.summary
    assert folded.turns[0] is history.turns[8]
    assert folded.summary("more") == Summary("more", folded.end, "q0", f"a{folded.end - 1}")


def test_a_question_counts_that_is_asked_next():
    assert fold(history_of(12)) is None
    assert fold(history_of(12), asked=question("x" * 700)) is not None


def test_one_turn_that_is_longer_than_can_be_read_is_folded_by_itself():
    history = history_of(0)
    for number, length in enumerate((15 * TURN_TOKENS, TURN_TOKENS, 3 * TURN_TOKENS)):
        for entry in turn_of(number, length):
            history.append(entry)
    assert len(fold(history).turns) == 1


def test_the_newest_turn_is_never_folded():
    history = history_of(1)
    for entry in turn_of(1, 18 * TURN_TOKENS):
        history.append(entry)
    assert fold(history).end == 1


def test_where_the_question_does_not_fit_no_summary_helps():
    with pytest.raises(InputTooLong):
        fold(history_of(3), asked=question("x" * 3000))


def test_the_summary_stands_before_the_turns_it_does_not_stand_for():
    plan = fit(Summarize(), summed_up(26), BUDGET_TOKENS)
    assert plan.parts[0].kind == "summary"
    assert [message.text for message in plan.messages[:2]] == [
        "Sum up what we said before.",
        "what was said",
    ]
    assert numbers(plan) == list(range(9, 27))
    assert [(gap.first, gap.last, gap.reason) for gap in plan.left_out] == [(1, 8, "in the summary")]


def test_turns_that_nobody_has_summed_up_yet_are_left_out_as_by_truncate():
    plan = fit(Summarize(), summed_up(40), BUDGET_TOKENS)
    assert [(gap.first, gap.last, gap.reason) for gap in plan.left_out] == [
        (1, 8, "in the summary"),
        (9, 27, "does not fit"),
    ]


def test_a_summary_longer_than_its_share_is_not_sent():
    plan = fit(Summarize(), summed_up(26, text="x" * 400), BUDGET_TOKENS)
    assert "summary" not in {part.kind for part in plan.parts}


def test_where_there_is_ample_room_the_turns_themselves_are_sent():
    plan = fit(Summarize(), summed_up(12), BUDGET_TOKENS)
    assert numbers(plan) == list(range(1, 13))
    assert not plan.left_out


def test_prompts_begin_alike_as_long_as_the_summary_does():
    sent = go_on(Summarize(), summed_up(18), BUDGET_TOKENS, turns=8)
    assert len({plan.messages[:3] for plan in sent}) == 1
