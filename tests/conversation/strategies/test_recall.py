from __future__ import annotations

import pytest

from chatcli.conversation.counting import EstimatingCounter, MessageTokens
from chatcli.conversation.history import Entry, History
from chatcli.conversation.strategies.recall import Recall
from chatcli.core.messages import answer, question
from conversation.strategies.stated_facts import FACTS, long_conversation

BUDGET_TOKENS = 4096


@pytest.mark.parametrize("seed", range(3))
def test_of_fifty_facts_told_once_in_2000_turns_those_asked_for_are_in_the_window(seed):
    history, places = long_conversation(2_000, seed)
    strategy, tokens = Recall(), MessageTokens(EstimatingCounter())
    missed = []
    for fact in FACTS:
        plan = strategy.fit(history, question(fact.asked), BUDGET_TOKENS, tokens)
        assert plan.sent_tokens <= BUDGET_TOKENS
        strategy.sent(history, plan)
        if places[fact] + 1 not in [part.turn for part in plan.parts]:
            missed.append(fact.asked)
    assert len(missed) <= len(FACTS) * 0.05, missed


def small_talk(*texts, fillers=40, branch=""):
    pairs = [*texts, *(f"filler number {number} of many" for number in range(fillers))]
    entries = []
    for number, text in enumerate(pairs):
        entries += [
            Entry(f"q{branch}{number}", question(text)),
            Entry(f"a{branch}{number}", answer("I see.")),
        ]
    return History(entries)


def fit(strategy, history, asked, budget_tokens=300):
    return strategy.fit(history, question(asked), budget_tokens, MessageTokens(EstimatingCounter()))


def test_a_turn_that_comes_back_stands_where_it_stood_and_is_told_of():
    history = small_talk("My dentist is Dr Okafor.", "The cat only eats salmon.")
    plan = fit(Recall(), history, "And what do cats eat? And who is my dentist?")
    assert plan.retrieved == (1, 2)
    assert [part.kind for part in plan.parts][:3] == ["retrieved", "retrieved", "turn"]
    assert plan.left_out[0].first == 3


def test_nothing_comes_back_that_has_no_word_in_common():
    history = small_talk("My dentist is Dr Okafor.")
    assert not fit(Recall(), history, "Quelle heure?").retrieved


def test_words_the_question_only_uses_in_another_form_are_found():
    history = small_talk("We renovated the kitchens.")
    assert fit(Recall(), history, "Which kitchen renovation?").retrieved == (1,)


def test_a_conversation_that_was_gone_back_in_is_looked_through_anew():
    strategy = Recall()
    before = small_talk("My dentist is Dr Okafor.")
    assert fit(strategy, before, "my dentist?").retrieved == (1,)
    after = small_talk("My barber is Dr Okafor.", branch="another ")
    assert not fit(strategy, after, "dentist?").retrieved
    assert fit(strategy, after, "barber?").retrieved == (1,)


@pytest.mark.parametrize("asked", ['"', "AND OR NOT", "a* b^2 (c)", "NEAR(", "\0", "\ud800", "", "?"])
def test_whatever_is_asked_is_no_expression(asked):
    fit(Recall(), small_talk("x AND y"), asked)
