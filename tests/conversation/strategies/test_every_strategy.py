"""Properties of the context under every strategy and for any conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.context import LeftOut, join_neighbours
from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY, MessageTokens
from chatcli.conversation.history import Entry, History
from chatcli.conversation.strategies.strategy import STRATEGIES, Strategy
from chatcli.core.errors import InputTooLong
from chatcli.core.messages import answer, question
from chatcli.core.strategy_table import CONTEXT_STRATEGIES, DEFAULT_CONTEXT_STRATEGY
from chatcli.text.frames import INSTRUCTION
from conversation.fakes import CharacterCounter
from conversation.strategies.situations import conversations, cost, situations

LEAVING_OUT = [name for name in STRATEGIES if name != "none"]


def messages_of(plan, *, summary=True):
    return [message for part in plan.parts if summary or part.kind != "summary" for message in part.messages]


def words(sent):
    return "\n\n".join(message.text for message in sent if message.parts)


every_strategy = pytest.mark.parametrize("name", STRATEGIES)


@every_strategy
def test_each_row_of_the_table_names_a_strategy(name):
    assert isinstance(STRATEGIES[name](), Strategy)
    assert CONTEXT_STRATEGIES[name].summary


def test_the_default_is_in_the_table():
    assert DEFAULT_CONTEXT_STRATEGY in CONTEXT_STRATEGIES


@every_strategy
@given(conversation=conversations())
def test_the_budget_is_never_exceeded(name, conversation):
    for situation, plan in conversation.played(STRATEGIES[name]()):
        assert plan.sent_tokens == cost(join_neighbours(messages_of(plan))) <= situation.budget_tokens
        assert cost(plan.messages) <= plan.sent_tokens
        assert not plan.estimated


@every_strategy
@given(conversation=conversations())
def test_system_prompt_notes_pinned_turns_and_question_are_always_sent(name, conversation):
    for situation, plan in conversation.played(STRATEGIES[name]()):
        sent = messages_of(plan)
        assert [message for message in sent if message in situation.required] == situation.required
        assert sent[-1] == situation.question
        if situation.history.system:
            assert sent[0] == situation.history.system
        assert [message.role for message in plan.messages[1:]].count("system") == 0


@every_strategy
@given(conversation=conversations())
def test_messages_keep_their_order(name, conversation):
    for situation, plan in conversation.played(STRATEGIES[name]()):
        remaining = iter(situation.everything)
        assert all(message in remaining for message in messages_of(plan, summary=False))


@every_strategy
@given(conversation=conversations())
def test_turns_are_sent_whole_or_not_at_all_and_no_answer_without_its_question(name, conversation):
    for situation, plan in conversation.played(STRATEGIES[name]()):
        for turn in situation.history.turns:
            present = [message in messages_of(plan) for message in turn.messages]
            assert all(present) or not any(present)
            assert turn.has_question or not any(present)
        roles = [message.role for message in plan.messages if message.role != "system"]
        assert roles[0] == "user"


@every_strategy
@given(conversation=conversations())
def test_whatever_was_said_roles_alternate_and_a_question_is_the_first_and_the_last(name, conversation):
    for _, plan in conversation.played(STRATEGIES[name]()):
        roles = [message.role for message in plan.messages]
        rest = roles[roles[0] == "system" :]
        assert rest == ["user", "assistant"] * (len(rest) // 2) + ["user"]


@every_strategy
@given(conversation=conversations())
def test_what_is_joined_loses_no_word_and_says_none_twice(name, conversation):
    for _, plan in conversation.played(STRATEGIES[name]()):
        assert words(plan.messages) == words(messages_of(plan))


@every_strategy
@given(conversation=conversations())
def test_every_turn_is_either_a_part_or_left_out(name, conversation):
    for situation, plan in conversation.played(STRATEGIES[name]()):
        sent = [part.turn for part in plan.parts if part.turn is not None]
        absent = [number for gap in plan.left_out for number in range(gap.first, gap.last + 1)]
        assert sent == sorted(sent)
        assert absent == sorted(absent)
        assert sorted(sent + absent) == list(range(1, len(situation.history.turns) + 1))
        assert plan.dropped_turns == len(absent)
        for part in plan.parts:
            if part.turn is not None:
                assert part.messages == situation.history.turns[part.turn - 1].messages


@every_strategy
@given(conversation=conversations())
def test_the_same_talk_is_always_fitted_the_same(name, conversation):
    once, again = conversation.played(STRATEGIES[name]()), conversation.played(STRATEGIES[name]())
    assert [plan for _, plan in once] == [plan for _, plan in again]


@every_strategy
@given(conversation=conversations())
def test_looking_at_what_would_be_sent_changes_nothing(name, conversation):
    watched, alone = STRATEGIES[name](), STRATEGIES[name]()
    looked = [plan for _, plan in conversation.played(watched, look=True)]
    assert looked == [plan for _, plan in conversation.played(alone)]


@every_strategy
@given(situation=situations(), loaded=st.booleans())
def test_the_history_itself_is_never_altered(name, situation, loaded):
    history, strategy = situation.history, STRATEGIES[name]()
    before = (history.system, list(history.turns), list(history.pinned), history.head, history.summary)
    tokens = MessageTokens(CharacterCounter(loaded=loaded))
    for _ in range(2):
        try:
            strategy.sent(history, strategy.fit(history, situation.question, situation.budget_tokens, tokens))
        except InputTooLong:
            continue
    assert (history.system, history.turns, history.pinned, history.head, history.summary) == before


@every_strategy
@given(situation=situations())
def test_whether_the_vocabulary_is_loaded_makes_no_difference_to_what_is_sent(name, situation):
    try:
        exact = situation.fit(STRATEGIES[name]())
    except InputTooLong:
        with pytest.raises(InputTooLong):
            situation.fit(STRATEGIES[name](), CharacterCounter(loaded=False))
        return
    unloaded = situation.fit(STRATEGIES[name](), CharacterCounter(loaded=False))
    assert (unloaded.messages, unloaded.left_out) == (exact.messages, exact.left_out)


@every_strategy
@given(situation=situations(summarized=False))
def test_without_a_vocabulary_a_conversation_that_surely_fits_is_sent_whole_and_uncounted(name, situation):
    counter = CharacterCounter(loaded=False)
    tokens = MessageTokens(CharacterCounter(loaded=False))
    bound = TOKENS_TO_OPEN_REPLY + sum(map(tokens.upper_bound, situation.everything))
    if bound > situation.budget_tokens:
        return
    plan = situation.fit(STRATEGIES[name](), counter)
    assert plan.estimated
    assert not counter.counted
    assert messages_of(plan) == situation.everything
    assert plan.sent_tokens <= bound


@pytest.mark.parametrize("name", LEAVING_OUT)
@given(situation=situations())
def test_a_question_is_refused_exactly_when_what_must_be_sent_does_not_fit(name, situation):
    needed = cost(situation.required)
    if needed <= situation.budget_tokens:
        situation.fit(STRATEGIES[name]())
        return
    with pytest.raises(InputTooLong, match=rf" {needed:,} tokens .* room for {situation.budget_tokens:,}"):
        situation.fit(STRATEGIES[name]())


@every_strategy
def test_an_answer_without_a_question_is_reported_of_as_such(name):
    history = History([Entry("1", answer("Hello")), Entry("2", question("Hi")), Entry("3", answer("Yes?"))])
    plan = STRATEGIES[name]().fit(history, question("Bye"), 1000, MessageTokens(CharacterCounter()))
    assert plan.left_out == (LeftOut(1, 1, "an answer without a question"),)


@every_strategy
def test_a_short_question_needs_no_vocabulary(name):
    counter = CharacterCounter(loaded=False)
    asked = question("What is the capital of France?")
    plan = STRATEGIES[name]().fit(History(), asked, 768, MessageTokens(counter))
    assert (plan.messages, plan.dropped_turns, plan.estimated) == ((asked,), 0, True)
    assert plan.sent_tokens == 3 + 4 + 8  # around the message, and 30 bytes of text
    assert not counter.loaded


@every_strategy
@given(
    attached=st.lists(st.booleans(), max_size=8),
    asked=st.booleans(),
    pinned=st.integers(0, 8),
    budget_tokens=st.integers(100, 1_500),
)
def test_the_rule_about_text_of_others_is_sent_and_counted_exactly_with_such_text(
    name, attached, asked, pinned, budget_tokens
):
    entries = []
    for number, holds in enumerate(attached):
        texts = ("a text " * 5,) if holds else ()
        entries.append(Entry(f"q{number}", question(f"What? {number}", *texts), pinned=number == pinned))
        entries.append(Entry(f"a{number}", answer("This.")))
    history = History(entries)
    asking = question("And now?", *(("another text",) if asked else ()))
    try:
        plan = STRATEGIES[name]().fit(history, asking, budget_tokens, MessageTokens(CharacterCounter()))
    except InputTooLong:
        return
    rules = [part for part in plan.parts if part.kind == "framing"]
    others = [part for part in plan.parts if part.kind != "framing"]
    held = any(message.holds_text_of_others for part in others for message in part.messages)
    assert len(rules) == held
    assert sum(INSTRUCTION in message.text for message in plan.messages) == held
    assert plan.sent_tokens == cost(join_neighbours(messages_of(plan))) <= budget_tokens
