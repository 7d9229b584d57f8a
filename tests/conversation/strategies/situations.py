"""Conversations of every kind, for budgets of every size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from chatcli.conversation.counting import TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY, MessageTokens
from chatcli.conversation.history import Entry, History, Summary
from chatcli.core.errors import InputTooLong
from chatcli.core.messages import answer, question, system
from conversation.fakes import CharacterCounter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.conversation.context import ContextPlan
    from chatcli.conversation.strategies.strategy import Strategy
    from chatcli.core.messages import Message

MAKERS = {"system": system, "user": question, "assistant": answer}
TEXTS = st.text("ab天😀 ", max_size=12)


@dataclass(frozen=True)
class Situation:
    entries: tuple[Entry, ...]
    question: Message
    budget_tokens: int
    notes: tuple[Message, ...] = ()
    summarized_turns: int = 0

    @property
    def history(self) -> History:
        history = History(self.entries)
        history.notes = self.notes
        if 0 < self.summarized_turns <= len(history.turns):
            history.summary = Summary("what was said", self.summarized_turns, "0", "0")
        return history

    @property
    def required(self) -> list[Message]:
        """The mandatory messages."""
        pinned = [turn for turn in self.history.turns if turn.pinned and turn.has_question]
        return [
            *self._instructions(),
            *(message for turn in pinned for message in turn.messages),
            self.question,
        ]

    @property
    def everything(self) -> list[Message]:
        turns = [turn for turn in self.history.turns if turn.has_question]
        return [
            *self._instructions(),
            *(message for turn in turns for message in turn.messages),
            self.question,
        ]

    def _instructions(self) -> list[Message]:
        return [*([] if self.history.system is None else [self.history.system]), *self.notes]

    def fit(self, strategy: Strategy, counter: CharacterCounter | None = None) -> ContextPlan:
        tokens = MessageTokens(counter or CharacterCounter())
        return strategy.fit(self.history, self.question, self.budget_tokens, tokens)


@dataclass(frozen=True)
class PlayedConversation:
    """A conversation in which every question is asked in turn, within the same budget."""

    whole: Situation

    def played(self, strategy: Strategy, *, look: bool = False) -> Iterator[tuple[Situation, ContextPlan]]:
        """Yield every question that could be sent, with its plan."""
        entries = self.whole.entries
        for at, entry in enumerate(entries):
            if entry.message.role == "user":
                now = replace(self.whole, entries=entries[:at], question=entry.message)
                yield from self._asked(now, strategy, look=look)
        yield from self._asked(self.whole, strategy, look=look)

    def _asked(
        self, situation: Situation, strategy: Strategy, *, look: bool
    ) -> Iterator[tuple[Situation, ContextPlan]]:
        try:
            if look:
                replace(situation, question=question("")).fit(strategy)
            plan = situation.fit(strategy)
        except InputTooLong:
            return
        strategy.sent(situation.history, plan)
        yield situation, plan


def cost(messages) -> int:
    return TOKENS_TO_OPEN_REPLY + sum(len(message.text) + TOKENS_AROUND_MESSAGE for message in messages)


@st.composite
def situations(draw, *, most_entries: int = 12, summarized: bool = True) -> Situation:
    roles = draw(
        st.lists(st.sampled_from(["user", "assistant", "user", "assistant", "system"]), max_size=most_entries)
    )
    entries = tuple(
        # The number makes every message unique, so that it can be recognized in the request.
        Entry(str(number), MAKERS[role](f"{number} " + draw(TEXTS)), draw(st.integers(0, 4)) == 0)
        for number, role in enumerate(roles)
    )
    notes = tuple(system(f"note {number}") for number in range(draw(st.integers(0, 2))))
    summarized_turns = draw(st.integers(0, 4)) if summarized else 0
    situation = Situation(entries, question(draw(TEXTS)), 0, notes, summarized_turns)
    least, most = cost(situation.required), cost(situation.everything)
    return replace(situation, budget_tokens=draw(st.integers(least, most + 5) | st.integers(0, most * 4)))


def conversations() -> st.SearchStrategy[PlayedConversation]:
    return st.builds(PlayedConversation, situations(most_entries=16))
