"""The base of context strategies, and those that only leave out turns: truncate, middle-out and none."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from chatcli.conversation.context import (
    IN_SUMMARY,
    NO_QUESTION,
    NOT_FITTING,
    ContextPart,
    ContextPlan,
    LeftOut,
    are_joined,
    join_neighbours,
    too_long,
)
from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY
from chatcli.core.errors import InputTooLong
from chatcli.core.strategy_table import CONTEXT_STRATEGIES
from chatcli.text.frames import INSTRUCTION_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from chatcli.conversation.context import PartKind
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import Fold, History, Summary
    from chatcli.conversation.turn_vectors import TurnVectors
    from chatcli.core.events import Notice
    from chatcli.core.messages import Message

SHARE_AFTER_CUT: Final = 0.7
"""The share of the room that is filled after a cut."""

SHARE_OF_OPENING: Final = 0.25
"""The share of the budget for the opening; at most half of what the mandatory parts leave."""

_QUESTION_AND_ANSWER: Final = 2


class Strategy(ABC):
    """Chooses the context of one conversation and remembers its choice.

    ``vectors`` are for strategies that find older turns by meaning.
    """

    def __init__(self, vectors: TurnVectors | None = None) -> None:
        self._vectors = vectors
        self._place = 0
        self._question: Message | None = None

    def fit(
        self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens
    ) -> ContextPlan:
        """Return a plan within ``budget_tokens``, with the system prompt, the pins and the question.

        Raise ``InputTooLong`` if those alone do not fit. Neither the history nor the strategy changes: this
        is also called to show the context. The work grows with what is sent, not with the history.
        """
        # Most one-shot questions end here, without the quarter of a second to load a vocabulary.
        if not tokens.counter.loaded and surely_fits(history, question, budget_tokens, tokens):
            selection = Selection(history, question, budget_tokens, tokens.estimate)
            selection.keep_from(0)
            return selection.plan(estimated=True)
        return self._choose(Selection(history, question, budget_tokens, tokens), budget_tokens)

    @abstractmethod
    def _choose(self, selection: Selection, budget_tokens: int) -> ContextPlan:
        """Return the plan for ``selection``, which has the mandatory parts of ``budget_tokens``."""

    @property
    def memory(self) -> tuple[object, ...]:
        """What ``fit`` depends on beside its arguments."""
        return self._place, self._question

    def sent(self, history: History, plan: ContextPlan) -> None:
        """Remember the plan for ``history`` that is really sent; the question is added to it afterwards."""
        place = plan.cut
        turns = history.turns
        self._place = place
        self._question = turns[place].messages[0] if place < len(turns) else plan.parts[-1].messages[0]

    async def prepare(
        self,
        history: History,  # noqa: ARG002 - for those who have something to do
        budget_tokens: int,  # noqa: ARG002
        tokens: MessageTokens,  # noqa: ARG002
        question: Message | None = None,  # noqa: ARG002
    ) -> Notice | None:
        """Do lengthy preparations in small steps that yield to other tasks.

        Called before ``question`` is fitted, and perhaps earlier without one: only with a question are
        requests to a server allowed. Return a notice for the person. Raise ``InputTooLong`` if ``fit`` will.
        """
        return None

    def fold(
        self,
        history: History,  # noqa: ARG002 - for those who have something summed up
        question: Message,  # noqa: ARG002
        budget_tokens: int,  # noqa: ARG002
        tokens: MessageTokens,  # noqa: ARG002
    ) -> Fold | None:
        """Return the turns to summarize before ``question``, ``None`` while there is room.

        Raise ``InputTooLong`` if no summary would help.
        """
        return None

    def _cut(self, history: History) -> int:
        """Return where the newest turns began last time, 0 if ``history`` has another turn at that place now."""
        turns = history.turns
        is_there = self._place < len(turns) and turns[self._place].messages[0] == self._question
        return self._place if is_there else 0

    def _next_cut(self, selection: Selection, room_tokens: int, first: int = 0) -> int:
        """Return where the newest turns within ``room_tokens`` begin, at least ``first``.

        A cut at the last possible place would move with every question, and change the beginning of the
        prompt, on which a provider's prompt cache depends. So the overflow is cut to ``SHARE_AFTER_CUT`` of
        the room, and the cut then stays until the room is full again.
        """
        place = max(first, self._cut(selection.history))
        usual = selection.newest_within(int(room_tokens * SHARE_AFTER_CUT), first)
        if usual < place:
            return usual  # turns were undone since the cut
        fitting = selection.newest_within(room_tokens, place)
        if fitting == place:
            return place
        # One long turn that fits is better than none.
        newest = len(selection.history.turns) - 1
        return min(usual, max(fitting, newest))


class Truncate(Strategy):
    """Sends the mandatory parts, then the newest whole turns."""

    def _choose(self, selection: Selection, budget_tokens: int) -> ContextPlan:  # noqa: ARG002 - all room is for the newest
        cut = self._next_cut(selection, selection.room_tokens)
        selection.keep_from(cut)
        return selection.plan(cut)


class MiddleOut(Strategy):
    """Sends the mandatory parts, the first turns, and the newest ones.

    The opening is a share of the whole budget: the remaining room changes with every question, and the
    opening would change with it.
    """

    def _choose(self, selection: Selection, budget_tokens: int) -> ContextPlan:
        cut = self._cut(selection.history)
        if cut or selection.newest_within(selection.room_tokens):
            share = min(int(budget_tokens * SHARE_OF_OPENING), selection.room_tokens // 2)
            end = selection.oldest_within(share)
            selection.keep(range(end))
            cut = self._next_cut(selection, selection.room_tokens, first=end)
        selection.keep_from(cut)
        return selection.plan(cut)


class NothingLeftOut(Strategy):
    """Sends everything. If that does not fit, ``fit`` raises ``InputTooLong`` with the numbers."""

    def _choose(self, selection: Selection, budget_tokens: int) -> ContextPlan:
        is_too_long = selection.newest_within(selection.room_tokens) > 0
        selection.keep_from(0)
        if is_too_long:
            needed_tokens = budget_tokens - selection.room_tokens
            raise InputTooLong(
                f"the conversation is too long: {needed_tokens:,} tokens with the question, room for {budget_tokens:,}",
                hint="choose what may be left out (--context truncate), forget what was said (/clear), or name a model "
                "with a larger context window (-m, context_window)",
            )
        return selection.plan()


class Selection:
    """The parts of a conversation chosen by a strategy.

    It begins with the system prompt, the notes, the pinned turns and the question; ``InputTooLong`` is raised
    if those exceed ``budget_tokens``. ``count`` returns the tokens of a message. Turns are numbered from 0
    and sent in their order, whatever the order in which they are added. The instruction about text of others is added
    with the first part that holds such text.
    """

    def __init__(
        self, history: History, question: Message, budget_tokens: int, count: Callable[[Message], int]
    ) -> None:
        self.history = history
        self.question = question
        self._count = count
        self._question = ContextPart("question", count(question), (question,))
        self._opening = list(self._instructions())
        self._framing: tuple[ContextPart, ...] = ()
        self._summed_up = 0
        self._summary: tuple[ContextPart, ...] = ()
        self._kept: dict[int, ContextPart] = {}
        self._turns: dict[int, tuple[tuple[Message, ...], int]] = {}
        needed = TOKENS_TO_OPEN_REPLY + self._question.tokens + sum(part.tokens for part in self._opening)
        self.room_tokens = budget_tokens - needed
        """The room left for optional turns."""
        self._add_framing((question,))
        self.keep(history.pinned, "pinned")
        if self.room_tokens < 0:
            raise too_long(budget_tokens - self.room_tokens, self._question.tokens, budget_tokens)

    def tokens_of(self, number: int) -> int:
        """Return the tokens a turn adds: none if it is included already or can never be sent."""
        return next(self._added_tokens((number,)))

    def _added_tokens(self, numbers: Iterable[int]) -> Iterator[int]:
        """Yield the tokens each of these turns adds to those before it."""
        is_framed = bool(self._framing)
        for number in numbers:
            messages, tokens = self._turn(number)
            if number in self._kept or not messages:
                yield 0
                continue
            if not is_framed and _hold_text_of_others(messages):
                is_framed = True
                tokens += self._count(INSTRUCTION_MESSAGE)
            yield tokens

    def newest_within(self, tokens: int, first: int = 0) -> int:
        """Return where the newest turns of at most ``tokens`` in total begin, at least ``first``."""
        numbers = range(len(self.history.turns) - 1, first - 1, -1)
        for number, added in zip(numbers, self._added_tokens(numbers), strict=True):
            tokens -= added
            if tokens < 0:
                return number + 1
        return first

    def oldest_within(self, tokens: int) -> int:
        """Return where the oldest turns of at most ``tokens`` in total end."""
        numbers = range(len(self.history.turns))
        for number, added in zip(numbers, self._added_tokens(numbers), strict=True):
            tokens -= added
            if tokens < 0:
                return number
        return len(self.history.turns)

    def sum_up(self, summary: Summary, most_tokens: int) -> bool:
        """Use ``summary`` in place of its turns if it has at most ``most_tokens``; return whether it is used."""
        messages = summary.messages
        tokens = sum(map(self._count, messages))
        if tokens > most_tokens:
            return False
        self._summary = (ContextPart("summary", tokens, messages),)
        self.room_tokens -= tokens
        self._summed_up = summary.turns
        return True

    def keep(self, numbers: Iterable[int], kind: PartKind = "turn") -> None:
        """Add turns. The caller has checked the room."""
        for number in numbers:
            messages, tokens = self._turn(number)
            if number not in self._kept and messages:
                self._kept[number] = ContextPart(kind, tokens, messages, number + 1)
                self.room_tokens -= tokens
                self._add_framing(messages)

    def _turn(self, number: int) -> tuple[tuple[Message, ...], int]:
        """Return the messages of a turn and their tokens; none if it can never be sent."""
        known = self._turns.get(number)
        if known is None:
            turn = self.history.turns[number]
            messages = tuple(turn.messages) if turn.has_question else ()
            known = self._turns[number] = messages, sum(map(self._count, messages))
        return known

    def keep_from(self, first: int) -> None:
        """Add every turn from ``first`` to the newest."""
        self.keep(range(first, len(self.history.turns)))

    def plan(self, cut: int = 0, *, reason: str = NOT_FITTING, estimated: bool = False) -> ContextPlan:
        """Return the plan; ``reason`` says why the other turns are left out."""
        numbers = sorted(self._kept)
        kept = (self._kept[number] for number in numbers)
        ordered = (*self._framing, *self._opening, *self._summary, *kept, self._question)
        parts, left_out = tuple(self._as_sent(ordered)), tuple(self._left_out(numbers, reason))
        return ContextPlan(
            parts,
            left_out,
            cut,
            estimated,
            sent_tokens=TOKENS_TO_OPEN_REPLY + sum(part.tokens for part in parts),
            forgotten_turns=sum(gap.turns for gap in left_out if gap.reason != IN_SUMMARY),
        )

    def _as_sent(self, parts: Iterable[ContextPart]) -> Iterator[ContextPart]:
        """Yield the parts with their tokens after merging of neighbours, which are mostly unchanged.

        Merged messages have about as many tokens as their texts, and save those of the chat format.
        """
        alone: Message | None = None  # a question, or messages merged with it, without an answer
        for part in parts:
            messages = part.messages
            is_joined = alone is not None and are_joined(alone, messages[0])
            if not is_joined and len(messages) <= _QUESTION_AND_ANSWER:
                alone = messages[0] if len(messages) == 1 else None
                yield part
                continue
            known = [alone] if is_joined and alone is not None else []
            sent = join_neighbours((*known, *messages))
            alone = sent[0] if len(sent) == 1 else None
            yield part._replace(tokens=sum(map(self._count, sent)) - sum(map(self._count, known)))

    def _add_framing(self, messages: Iterable[Message]) -> None:
        if not self._framing and _hold_text_of_others(messages):
            tokens = self._count(INSTRUCTION_MESSAGE)
            self._framing = (ContextPart("framing", tokens, (INSTRUCTION_MESSAGE,)),)
            self.room_tokens -= tokens

    def _instructions(self) -> Iterator[ContextPart]:
        if (instructions := self.history.instructions) is not None:
            yield ContextPart("instructions", self._count(instructions), (instructions,))
        if (system := self.history.system) is not None:
            yield ContextPart("system", self._count(system), (system,))
        for note in self.history.notes:
            yield ContextPart("note", self._count(note), (note,))

    def _left_out(self, kept: list[int], reason: str) -> Iterator[LeftOut]:
        start = 0
        for number in (*kept, len(self.history.turns)):
            yield from self._gap(start, number, reason)
            start = number + 1

    def _gap(self, start: int, end: int, reason: str) -> Iterator[LeftOut]:
        if start == 0 < end and not self.history.turns[0].has_question:
            yield LeftOut(1, 1, NO_QUESTION)
            start = 1
        summed_up = min(end, max(start, self._summed_up))
        if start < summed_up:
            yield LeftOut(start + 1, summed_up, IN_SUMMARY)
        if summed_up < end:
            yield LeftOut(summed_up + 1, end, reason)


def _hold_text_of_others(messages: Iterable[Message]) -> bool:
    return any(message.holds_text_of_others for message in messages)


def mandatory_only(history: History, question: Message, count: Callable[[Message], int]) -> ContextPlan:
    """Return the system prompt, the notes, the pinned turns and the question, whatever their size."""
    return Selection(history, question, sys.maxsize, count).plan()


def counted(plan: ContextPlan, history: History, count: Callable[[Message], int]) -> ContextPlan:
    """Return ``plan`` with the tokens of the turns left out, which takes time for many turns."""
    return replace(
        plan,
        left_out=tuple(
            gap._replace(
                tokens=sum(count(message) for turn in gap.of(history.turns) for message in turn.messages)
            )
            for gap in plan.left_out
        ),
    )


def does_not_fit(question: Message, history: History, budget_tokens: int, tokens: MessageTokens) -> bool:
    """Return whether no strategy can send ``question``. Loads no vocabulary if the bytes alone are few enough."""
    must = [*_must(history, question)]
    must += [message for place in history.pinned for message in history.turns[place].messages]
    if _hold_text_of_others(must):
        must.append(INSTRUCTION_MESSAGE)
    # Merging makes the parts smaller when sent.
    if TOKENS_TO_OPEN_REPLY + tokens.upper_bound(*must) <= budget_tokens:
        return False
    return mandatory_only(history, question, tokens).sent_tokens > budget_tokens


def _must(history: History, question: Message) -> tuple[Message, ...]:
    others = (history.instructions, history.system)
    return (question, *history.notes, *(message for message in others if message is not None))


def surely_fits(history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> bool:
    """Return whether the whole conversation fits by any count: a token is at least one byte."""
    must = _must(history, question)
    left = budget_tokens - TOKENS_TO_OPEN_REPLY - tokens.upper_bound(*must)
    is_framed = _hold_text_of_others(must)
    # Newest first: a long conversation is recognized as too long after a few turns.
    for turn in reversed(history.turns):
        if left < 0:
            break
        if turn.has_question:
            messages = tuple(turn.messages)
            left -= tokens.upper_bound(*messages)
            is_framed = is_framed or _hold_text_of_others(messages)
    return left >= (tokens.upper_bound(INSTRUCTION_MESSAGE) if is_framed else 0)


def _made(implementation: str, *arguments: object) -> Strategy:
    module, _, name = implementation.partition(":")
    return cast("Strategy", getattr(import_module(f"{__package__}.{module}"), name)(*arguments))


STRATEGIES: Final[Mapping[str, Callable[..., Strategy]]] = {
    name: partial(_made, row.implementation) for name, row in CONTEXT_STRATEGIES.items()
}
"""Constructors: called with the turn vectors, if any, they return a strategy for one conversation."""
