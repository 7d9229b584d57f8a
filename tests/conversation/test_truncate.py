"""What the model sees, for any conversation."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.conversation.counting import TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY, MessageTokens
from chatcli.conversation.history import Entry, History
from chatcli.conversation.truncate import truncate
from chatcli.core.errors import InputTooLong
from chatcli.core.messages import answer, question, system
from conversation.fakes import CharacterCounter

MAKERS = {"system": system, "user": question, "assistant": answer}


@dataclass(frozen=True)
class Situation:
    entries: tuple[Entry, ...]
    question: object
    budget_tokens: int

    @property
    def history(self) -> History:
        return History(self.entries)

    @property
    def required(self) -> list:
        """What must be sent whatever it costs."""
        pinned = [turn for turn in self.history.turns if turn.pinned and turn.has_question]
        return [*self._system(), *(message for turn in pinned for message in turn.messages), self.question]

    @property
    def everything(self) -> list:
        turns = [turn for turn in self.history.turns if turn.has_question]
        return [*self._system(), *(message for turn in turns for message in turn.messages), self.question]

    def _system(self) -> list:
        return [] if self.history.system is None else [self.history.system]

    def fit(self, counter: CharacterCounter | None = None):
        return truncate(
            self.history, self.question, self.budget_tokens, MessageTokens(counter or CharacterCounter())
        )


def cost(messages) -> int:
    return TOKENS_TO_OPEN_REPLY + sum(len(message.text) + TOKENS_AROUND_MESSAGE for message in messages)


@st.composite
def situations(draw) -> Situation:
    roles = draw(st.lists(st.sampled_from(["user", "assistant", "user", "assistant", "system"]), max_size=12))
    entries = tuple(
        # The number makes every message one of a kind, so that it can be told from the others in what is sent.
        Entry(
            str(number),
            MAKERS[role](f"{number} " + draw(st.text("ab天😀", max_size=12))),
            draw(st.integers(0, 4)) == 0,
        )
        for number, role in enumerate(roles)
    )
    asked = question(draw(st.text("ab天😀", max_size=12)))
    situation = Situation(entries, asked, 0)
    least, most = cost(situation.required), cost(situation.everything)
    budget_tokens = draw(st.integers(least, most + 5) | st.integers(0, most * 4))
    return Situation(entries, asked, budget_tokens)


def fitting():
    return situations().filter(lambda situation: cost(situation.required) <= situation.budget_tokens)


@given(situation=fitting())
def test_the_budget_is_never_exceeded(situation):
    fitted = situation.fit()
    assert fitted.sent_tokens == cost(fitted.messages) <= situation.budget_tokens
    assert not fitted.estimated


@given(situation=fitting())
def test_system_prompt_pinned_turns_and_question_are_always_sent(situation):
    fitted = situation.fit()
    assert [message for message in fitted.messages if message in situation.required] == situation.required
    assert fitted.messages[-1] == situation.question
    if situation.history.system:
        assert fitted.messages[0] == situation.history.system
    assert [message.role for message in fitted.messages[1:]].count("system") == 0


@given(situation=fitting())
def test_messages_keep_their_order(situation):
    remaining = iter(situation.everything)
    assert all(message in remaining for message in situation.fit().messages)


@given(situation=fitting())
def test_turns_are_sent_whole_or_not_at_all_and_no_answer_without_its_question(situation):
    sent = situation.fit().messages
    for turn in situation.history.turns:
        present = [message in sent for message in turn.messages]
        assert all(present) or not any(present)
        assert turn.has_question or not any(present)


@given(situation=fitting())
def test_the_newest_turns_are_kept_without_a_gap_and_as_many_as_fit(situation):
    sent = situation.fit().messages
    optional = [turn for turn in situation.history.turns if turn.has_question and not turn.pinned]
    kept = [turn.messages[0] in sent for turn in optional]
    assert kept == sorted(kept)
    if False in kept:
        newest_left_out = optional[kept.count(False) - 1]
        assert cost([*sent, *newest_left_out.messages]) > situation.budget_tokens


@given(situation=fitting())
def test_every_turn_that_is_not_sent_is_told_of(situation):
    fitted = situation.fit()
    absent = [turn for turn in situation.history.turns if turn.messages[0] not in fitted.messages]
    assert fitted.dropped_turns == len(absent)


@given(situation=situations())
def test_a_question_is_refused_exactly_when_what_must_be_sent_does_not_fit(situation):
    needed = cost(situation.required)
    if needed <= situation.budget_tokens:
        situation.fit()
        return
    with pytest.raises(InputTooLong, match=rf" {needed:,} tokens .* {situation.budget_tokens:,} allowed"):
        situation.fit()


@given(situation=situations(), loaded=st.booleans())
def test_the_history_itself_is_never_altered(situation, loaded):
    history = situation.history
    before = (history.system, list(history.turns), history.head)
    tokens = MessageTokens(CharacterCounter(loaded=loaded))
    for _ in range(2):
        try:
            truncate(history, situation.question, situation.budget_tokens, tokens)
        except InputTooLong:
            continue
    assert (history.system, history.turns, history.head) == before


@given(situation=fitting())
def test_the_same_conversation_is_always_fitted_the_same(situation):
    assert situation.fit() == situation.fit()


@given(situation=fitting())
def test_whether_the_vocabulary_is_loaded_makes_no_difference_to_what_is_sent(situation):
    unloaded = situation.fit(CharacterCounter(loaded=False))
    exact = situation.fit()
    assert (unloaded.messages, unloaded.dropped_turns) == (exact.messages, exact.dropped_turns)


@given(situation=fitting())
def test_without_a_vocabulary_a_conversation_that_surely_fits_is_sent_whole_and_uncounted(situation):
    counter = CharacterCounter(loaded=False)
    fitted = situation.fit(counter)
    tokens = MessageTokens(CharacterCounter(loaded=False))
    bound = TOKENS_TO_OPEN_REPLY + sum(map(tokens.upper_bound, situation.everything))
    assert fitted.estimated == (bound <= situation.budget_tokens)
    if fitted.estimated:
        assert not counter.counted
        assert list(fitted.messages) == situation.everything
        assert fitted.sent_tokens <= bound
    else:
        assert counter.counted


def test_a_short_question_needs_no_vocabulary():
    counter = CharacterCounter(loaded=False)
    asked = question("What is the capital of France?")
    fitted = truncate(History(), asked, 768, MessageTokens(counter))
    assert (fitted.messages, fitted.dropped_turns, fitted.estimated) == ((asked,), 0, True)
    assert fitted.sent_tokens == 3 + 4 + 8  # around the message, and 30 bytes of text
    assert not counter.loaded
