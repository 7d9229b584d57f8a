from __future__ import annotations

import itertools

from chatcli.conversation.strategies.truncate import Truncate
from conversation.strategies.talking import TURN_TOKENS, fit, go_on, history_of, numbers, turn_of

BUDGET_TOKENS = 10 * TURN_TOKENS + 7  # ten turns and a question of no length


def test_what_fits_is_sent_whole():
    assert numbers(fit(Truncate(), history_of(10), BUDGET_TOKENS)) == list(range(1, 11))


def test_what_does_not_fit_is_cut_to_seven_tenths_of_the_room():
    fitted = fit(Truncate(), history_of(11), BUDGET_TOKENS)
    assert numbers(fitted) == list(range(5, 12))
    assert [(gap.first, gap.last, gap.reason) for gap in fitted.left_out] == [(1, 4, "does not fit")]


def test_prompts_begin_alike_for_many_turns():
    sent = go_on(Truncate(), history_of(10), BUDGET_TOKENS, turns=60)
    begun = [len(list(same)) for _, same in itertools.groupby(fitted.messages[0] for fitted in sent)]
    # The first and the last stretch are not whole.
    assert min(begun[1:-1]) >= 3
    assert all(len(numbers(fitted)) >= 6 for fitted in sent)


def test_each_prompt_continues_the_one_before_until_it_is_cut():
    for before, after in itertools.pairwise(go_on(Truncate(), history_of(0), BUDGET_TOKENS, turns=40)):
        if before.messages[0] == after.messages[0]:
            assert after.messages[: len(before.messages)] == before.messages


def test_one_long_turn_that_fits_is_better_than_none():
    history = history_of(3)
    for entry in turn_of(3, length=9 * TURN_TOKENS):
        history.append(entry)
    assert numbers(fit(Truncate(), history, BUDGET_TOKENS)) == [4]


def test_after_turns_were_taken_back_the_room_is_filled_again():
    strategy, history = Truncate(), history_of(20)
    go_on(strategy, history, BUDGET_TOKENS, turns=3)
    for _ in range(8):
        history.drop_last()
    assert len(numbers(fit(strategy, history, BUDGET_TOKENS))) == 7


def test_another_conversation_begins_anew():
    strategy = Truncate()
    go_on(strategy, history_of(20), BUDGET_TOKENS, turns=3)
    assert numbers(fit(strategy, history_of(5), BUDGET_TOKENS)) == [1, 2, 3, 4, 5]
