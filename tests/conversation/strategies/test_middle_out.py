from __future__ import annotations

from chatcli.conversation.strategies.middle_out import MiddleOut
from conversation.strategies.talking import TURN_TOKENS, fit, go_on, history_of, numbers

BUDGET_TOKENS = 12 * TURN_TOKENS + 7


def test_the_opening_and_the_newest_turns_stay():
    fitted = fit(MiddleOut(), history_of(30), BUDGET_TOKENS)
    assert numbers(fitted) == [1, 2, 3, *range(25, 31)]
    assert [(gap.first, gap.last) for gap in fitted.left_out] == [(4, 24)]


def test_what_fits_is_sent_whole():
    assert numbers(fit(MiddleOut(), history_of(12), BUDGET_TOKENS)) == list(range(1, 13))


def test_the_opening_is_the_same_whatever_is_asked():
    strategy, history = MiddleOut(), history_of(30)
    asked = [fit(strategy, history, BUDGET_TOKENS, "x" * length) for length in (0, 50, 100, 300)]
    assert {tuple(numbers(fitted)[:3]) for fitted in asked} == {(1, 2, 3)}


def test_the_newest_turns_begin_alike_for_many_questions():
    sent = go_on(MiddleOut(), history_of(30), BUDGET_TOKENS, turns=3)
    assert {numbers(fitted)[3] for fitted in sent} == {numbers(sent[0])[3]}
