"""The context window, how it is filled, and what a context strategy comes to: what is sent, part by part, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from chatcli.conversation.counting import TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY
from chatcli.core.errors import InputTooLong
from chatcli.core.messages import Message, ReasoningPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatcli.conversation.history import Turn

DEFAULT_WINDOW_TOKENS = 32_768
"""The context window of a model nobody knows."""

UNREPORTED_WINDOW_TOKENS = 8192
"""That of a model which a server runs itself and says nothing of: it has as much as there was memory for."""

_ROOM_FOR_ANSWER_TOKENS = 4096
_ROOM_FOR_ANSWER_SHARE = 4


@dataclass(frozen=True, slots=True)
class Window:
    """A context window of ``tokens``, of which ``answer_tokens`` stay free and ``budget_tokens`` may be sent."""

    tokens: int
    answer_tokens: int
    budget_tokens: int

    @classmethod
    def of(cls, tokens: int, max_tokens: int | None) -> Window:
        """Return the window with room for an answer of ``max_tokens``, or a usual one: a quarter, at most 4,096."""
        usual = min(_ROOM_FOR_ANSWER_TOKENS, tokens // _ROOM_FOR_ANSWER_SHARE)
        answer_tokens = usual if max_tokens is None else max_tokens
        return cls(tokens, answer_tokens, max(0, tokens - answer_tokens))


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """How much of the window the conversation takes before the next question, in tokens.

    ``system_tokens`` includes the notes, ``turns_tokens`` the summary of older turns; turns that would not be sent count
    in neither. ``estimated`` marks counts from before the vocabulary was loaded.
    """

    window_tokens: int
    budget_tokens: int
    system_tokens: int
    turns_tokens: int
    estimated: bool = False

    @property
    def free_tokens(self) -> int:
        """How long the next question may be before more turns are left out."""
        taken = self.system_tokens + self.turns_tokens + TOKENS_AROUND_MESSAGE + TOKENS_TO_OPEN_REPLY
        return max(0, self.budget_tokens - taken)


def too_long(needed_tokens: int, question_tokens: int, budget_tokens: int) -> InputTooLong:
    return InputTooLong(
        f"the question is too long: {needed_tokens:,} tokens with the system prompt and pinned messages "
        f"({question_tokens:,} of them the question), room for {budget_tokens:,}",
        hint="shorten it, lower --max-tokens, or use a model with a larger context window (-m, context_window)",
    )


PartKind: TypeAlias = Literal["system", "note", "summary", "pinned", "retrieved", "turn", "question"]

NOT_FITTING: Final = "does not fit"
NO_QUESTION: Final = "an answer without a question"
IN_SUMMARY: Final = "in the summary"
"""Why turns are left out."""

_SIDES: Final = frozenset({"user", "assistant"})


# A named tuple, as one is made for every turn that is sent with every question, ten times as fast as a frozen class.
class ContextPart(NamedTuple):
    """A part of what is sent: its messages and what they cost together.

    ``turn`` is the number of the turn in the history, the first being 1, where it is one.
    """

    kind: PartKind
    tokens: int
    messages: Sequence[Message]
    turn: int | None = None


class LeftOut(NamedTuple):
    """The turns from ``first`` to ``last``, counted from 1, which are not sent, and why.

    ``tokens`` is what they would cost, ``None`` where nobody has counted.
    """

    first: int
    last: int
    reason: str
    tokens: int | None = None

    @property
    def turns(self) -> int:
        return self.last - self.first + 1

    def of(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Return those of a history's ``turns``."""
        return turns[self.first - 1 : self.last]


def join_neighbours(messages: Iterable[Message]) -> list[Message]:
    """Return ``messages`` with those of one side in a row made one, a blank line between them.

    The chat templates of Mistral, Gemma and others refuse two questions, or two answers, in a row. Only what holds
    nothing but text is joined: a call of a tool and its result are told apart by the message they stand in.
    """
    sent: list[Message] = []
    for message in messages:
        if sent and are_joined(sent[-1], message):
            sent[-1] = replace(sent[-1], parts=sent[-1].parts + message.parts)
        else:
            sent.append(message)
    return sent


def without_unanswered_calls(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield ``messages`` without the tool calls that have no result, which no API takes, and results of no call.

    A message that held nothing else is not sent. The person was told of such a call when it came.
    """
    waiting: list[Message] = []
    for message in messages:
        if waiting and message.role != "tool":
            yield from _exchange(waiting)
            waiting = []
        if message.role == "tool" or any(isinstance(part, ToolCallPart) for part in message.parts):
            waiting.append(message)
        else:
            yield message
    yield from _exchange(waiting)


def _exchange(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield an answer with tool calls and the results that follow it, as far as they belong together."""
    called = {call.id for message in messages for call in message.tool_calls if call.id}
    returned = {part.id for message in messages for part in message.parts if isinstance(part, ToolResultPart)}
    for message in messages:
        parts = tuple(
            part
            for part in message.parts
            if not isinstance(part, ToolCallPart | ToolResultPart) or part.id in called & returned
        )
        if any(not isinstance(part, ReasoningPart) for part in parts):
            yield message if len(parts) == len(message.parts) else replace(message, parts=parts)


def are_joined(first: Message, second: Message) -> bool:
    """Tell whether two messages that follow each other are sent as one."""
    if first.role != second.role or first.role not in _SIDES:
        return False
    return first.holds_only_text and second.holds_only_text


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """What is sent, in this order, and which turns are not.

    The parts hold the messages as they were said, and cost what they do as they are sent: see ``join_neighbours``.
    ``cut`` is the place, from 0, from which on every turn is sent. ``estimated`` marks counts by a rule of thumb, from
    before the vocabulary was loaded: nothing had to be left out by any count. ``sent_tokens`` is what all of it costs;
    of ``forgotten_turns`` the model knows nothing: those that are not sent and in no summary either.
    """

    parts: tuple[ContextPart, ...]
    left_out: tuple[LeftOut, ...] = ()
    cut: int = 0
    estimated: bool = False
    sent_tokens: int = 0
    forgotten_turns: int = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages to send. What stands at the beginning in the system's name is one of them.

        Many models, and the chat templates of local ones, know of one system message only, and want questions and
        answers to take turns.
        """
        said = (message for part in self.parts for message in part.messages)
        sent = join_neighbours(without_unanswered_calls(said))
        opening = list(takewhile(lambda message: message.role == "system", sent))
        if len(opening) < 2:  # noqa: PLR2004 - nothing to join
            return tuple(sent)
        joined = Message("system", tuple(part for message in opening for part in message.parts))
        return (joined, *sent[len(opening) :])

    @property
    def dropped_turns(self) -> int:
        return sum(gap.turns for gap in self.left_out)

    @property
    def retrieved(self) -> tuple[int, ...]:
        """The numbers of the turns that came back because the question needs them."""
        return tuple(part.turn for part in self.parts if part.kind == "retrieved" and part.turn is not None)
