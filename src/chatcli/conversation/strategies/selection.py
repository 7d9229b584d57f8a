"""The budget while it is given away: first to what must be sent, then to what a strategy chooses."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.conversation.context import too_long
from chatcli.conversation.counting import TOKENS_TO_OPEN_REPLY
from chatcli.conversation.fitted import (
    IN_SUMMARY,
    NO_QUESTION,
    NOT_FITTING,
    Fitted,
    FittedPart,
    LeftOut,
    are_joined,
    join_neighbours,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import PartKind
    from chatcli.conversation.history import History, Summary
    from chatcli.core.messages import Message

_QUESTION_AND_ANSWER: Final = 2


class Selection:
    """What of a conversation is sent, as a strategy puts it together.

    It begins with the system prompt, the notes, the pinned turns and the question; ``InputTooLong`` is raised when
    those exceed ``budget_tokens``. ``count`` tells what a message costs. Turns are named by their place from 0, and
    are sent in their order whatever the order they are added in.
    """

    def __init__(
        self, history: History, question: Message, budget_tokens: int, count: Callable[[Message], int]
    ) -> None:
        self.history = history
        self._count = count
        self._question = FittedPart("question", count(question), (question,))
        self._opening = list(self._instructions())
        self._summed_up = 0
        self._kept: dict[int, FittedPart] = {}
        needed = TOKENS_TO_OPEN_REPLY + self._question.tokens + sum(part.tokens for part in self._opening)
        self.room_tokens = budget_tokens - needed
        """What is left for turns that need not be sent."""
        self.keep(history.pinned, "pinned")
        if self.room_tokens < 0:
            raise too_long(budget_tokens - self.room_tokens, self._question.tokens, budget_tokens)

    def tokens_of(self, number: int) -> int:
        """Return what a turn adds: nothing where it is kept already, or can never be sent."""
        turn = self.history.turns[number]
        return 0 if number in self._kept or not turn.has_question else sum(map(self._count, turn.messages))

    def newest_within(self, tokens: int, first: int = 0) -> int:
        """Return where the newest turns begin that together cost at most ``tokens``, not before ``first``."""
        for number in range(len(self.history.turns) - 1, first - 1, -1):
            tokens -= self.tokens_of(number)
            if tokens < 0:
                return number + 1
        return first

    def oldest_within(self, tokens: int) -> int:
        """Return where the oldest turns end that together cost at most ``tokens``."""
        for number in range(len(self.history.turns)):
            tokens -= self.tokens_of(number)
            if tokens < 0:
                return number
        return len(self.history.turns)

    def sum_up(self, summary: Summary, most_tokens: int) -> bool:
        """Let ``summary`` stand for its turns, where it costs at most ``most_tokens``; return whether it does."""
        messages = summary.messages
        tokens = sum(map(self._count, messages))
        if tokens > most_tokens:
            return False
        self._opening.append(FittedPart("summary", tokens, messages))
        self.room_tokens -= tokens
        self._summed_up = summary.turns
        return True

    def keep(self, numbers: Iterable[int], kind: PartKind = "turn") -> None:
        """Add turns. Whether there is room for them is the caller's business."""
        for number in numbers:
            turn = self.history.turns[number]
            if number not in self._kept and turn.has_question:
                tokens = sum(map(self._count, turn.messages))
                self._kept[number] = FittedPart(kind, tokens, turn.messages, number + 1)
                self.room_tokens -= tokens

    def keep_from(self, first: int) -> None:
        """Add every turn from ``first`` to the newest."""
        self.keep(range(first, len(self.history.turns)))

    def fitted(self, cut: int = 0, *, reason: str = NOT_FITTING, estimated: bool = False) -> Fitted:
        """Return what came of it; ``reason`` says why the other turns are left out."""
        numbers = sorted(self._kept)
        said = (*self._opening, *(self._kept[number] for number in numbers), self._question)
        return Fitted(tuple(self._as_sent(said)), tuple(self._left_out(numbers, reason)), cut, estimated)

    def _as_sent(self, parts: Iterable[FittedPart]) -> Iterator[FittedPart]:
        """Yield the parts with what they cost once neighbours are joined: mostly what they cost alone.

        What is joined costs hardly more than its parts, and saves what the chat format spends around a message.
        """
        alone: Message | None = None  # a question, or what was joined to it, that no answer follows
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

    def _instructions(self) -> Iterator[FittedPart]:
        if (system := self.history.system) is not None:
            yield FittedPart("system", self._count(system), (system,))
        for note in self.history.notes:
            yield FittedPart("note", self._count(note), (note,))

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


def surely_whole(
    history: History, question: Message, budget_tokens: int, tokens: MessageTokens
) -> Fitted | None:
    """Return the whole conversation where it fits however it is counted, and counting would have to be learned first.

    A token is at least one byte. Most one-shot questions are answered here, without the quarter of a second a
    vocabulary takes to load.
    """
    if tokens.exact_at_once or not _surely_fits(history, question, budget_tokens, tokens):
        return None
    selection = Selection(history, question, budget_tokens, tokens.at_once())
    selection.keep_from(0)
    return selection.fitted(estimated=True)


def only_what_must_be_sent(history: History, question: Message, count: Callable[[Message], int]) -> Fitted:
    """Return the system prompt, the notes, the pinned turns and the question, whatever they cost."""
    return Selection(history, question, sys.maxsize, count).fitted()


def counted(fitted: Fitted, history: History, count: Callable[[Message], int]) -> Fitted:
    """Return ``fitted`` with the tokens of what is left out, which takes the longer the more that is."""
    return replace(
        fitted,
        left_out=tuple(
            gap._replace(
                tokens=sum(count(message) for turn in gap.of(history.turns) for message in turn.messages)
            )
            for gap in fitted.left_out
        ),
    )


def _surely_fits(history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> bool:
    must = [question, *history.notes, *([] if history.system is None else [history.system])]
    left = budget_tokens - TOKENS_TO_OPEN_REPLY - sum(map(tokens.upper_bound, must))
    # Newest first: a long conversation is found too long after its last few turns.
    for turn in reversed(history.turns):
        if left < 0:
            break
        left -= sum(map(tokens.upper_bound, turn.messages)) if turn.has_question else 0
    return left >= 0
