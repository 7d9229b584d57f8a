"""Strategies that only leave out turns."""

from __future__ import annotations

import itertools

import pytest

from chatcli.conversation.strategies.strategy import MiddleOut, NothingLeftOut, Truncate
from chatcli.core.errors import InputTooLong
from conversation.strategies.turn_by_turn import TURN_TOKENS, fit, go_on, history_of, numbers, turn_of


class TestTruncate:
    BUDGET_TOKENS = 10 * TURN_TOKENS + 7  # ten turns and a question of no length

    def test_what_fits_is_sent_whole(self):
        assert numbers(fit(Truncate(), history_of(10), self.BUDGET_TOKENS)) == list(range(1, 11))

    def test_what_does_not_fit_is_cut_to_seven_tenths_of_the_room(self):
        plan = fit(Truncate(), history_of(11), self.BUDGET_TOKENS)
        assert numbers(plan) == list(range(5, 12))
        assert [(gap.first, gap.last, gap.reason) for gap in plan.left_out] == [(1, 4, "does not fit")]

    def test_prompts_begin_alike_for_many_turns(self):
        sent = go_on(Truncate(), history_of(10), self.BUDGET_TOKENS, turns=60)
        begun = [len(list(same)) for _, same in itertools.groupby(plan.messages[0] for plan in sent)]
        # The first and the last stretch are incomplete.
        assert min(begun[1:-1]) >= 3
        assert all(len(numbers(plan)) >= 6 for plan in sent)

    def test_each_prompt_continues_the_one_before_until_it_is_cut(self):
        for before, after in itertools.pairwise(
            go_on(Truncate(), history_of(0), self.BUDGET_TOKENS, turns=40)
        ):
            if before.messages[0] == after.messages[0]:
                assert after.messages[: len(before.messages)] == before.messages

    def test_one_long_turn_that_fits_is_better_than_none(self):
        history = history_of(3)
        for entry in turn_of(3, length=9 * TURN_TOKENS):
            history.append(entry)
        assert numbers(fit(Truncate(), history, self.BUDGET_TOKENS)) == [4]

    def test_after_turns_were_taken_back_the_room_is_filled_again(self):
        strategy, history = Truncate(), history_of(20)
        go_on(strategy, history, self.BUDGET_TOKENS, turns=3)
        for _ in range(8):
            history.drop_last()
        assert len(numbers(fit(strategy, history, self.BUDGET_TOKENS))) == 7

    def test_another_conversation_begins_anew(self):
        strategy = Truncate()
        go_on(strategy, history_of(20), self.BUDGET_TOKENS, turns=3)
        assert numbers(fit(strategy, history_of(5), self.BUDGET_TOKENS)) == [1, 2, 3, 4, 5]


class TestMiddleOut:
    BUDGET_TOKENS = 12 * TURN_TOKENS + 7

    def test_the_opening_and_the_newest_turns_stay(self):
        plan = fit(MiddleOut(), history_of(30), self.BUDGET_TOKENS)
        assert numbers(plan) == [1, 2, 3, *range(25, 31)]
        assert [(gap.first, gap.last) for gap in plan.left_out] == [(4, 24)]

    def test_what_fits_is_sent_whole(self):
        assert numbers(fit(MiddleOut(), history_of(12), self.BUDGET_TOKENS)) == list(range(1, 13))

    def test_the_opening_is_the_same_whatever_is_asked(self):
        strategy, history = MiddleOut(), history_of(30)
        asked = [fit(strategy, history, self.BUDGET_TOKENS, "x" * length) for length in (0, 50, 100, 300)]
        assert {tuple(numbers(plan)[:3]) for plan in asked} == {(1, 2, 3)}

    def test_the_newest_turns_begin_alike_for_many_questions(self):
        sent = go_on(MiddleOut(), history_of(30), self.BUDGET_TOKENS, turns=3)
        assert {numbers(plan)[3] for plan in sent} == {numbers(sent[0])[3]}


class TestNothingLeftOut:
    def test_all_of_it_is_sent(self):
        assert numbers(fit(NothingLeftOut(), history_of(10), 10 * TURN_TOKENS + 7)) == list(range(1, 11))

    def test_what_does_not_fit_is_refused_with_the_numbers_and_ways_out(self):
        with pytest.raises(InputTooLong) as caught:
            fit(NothingLeftOut(), history_of(10), 10 * TURN_TOKENS + 6)
        assert caught.value.message == (
            "the conversation is too long: 1,007 tokens with the question, room for 1,006"
        )
        assert caught.value.hint.startswith("choose what may be left out (--context truncate)")
