"""The context window, its usage, and the context plan: the parts sent and the turns left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from chatcli.conversation.counting import TOKENS_AROUND_MESSAGE, TOKENS_TO_OPEN_REPLY
from chatcli.core.errors import InputTooLong
from chatcli.core.event_log import INFO
from chatcli.core.frozen import frozen
from chatcli.core.messages import Message, ReasoningPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatcli.conversation.history import Turn
    from chatcli.core.event_log import EventLog

DEFAULT_WINDOW_TOKENS = 32_768
"""The assumed context window of an unknown model."""

UNREPORTED_WINDOW_TOKENS = 8192
"""The assumed window of a model on a local server that does not report it: limited by the memory of that machine."""

_ROOM_FOR_ANSWER_TOKENS = 4096
_ROOM_FOR_ANSWER_SHARE = 4


@frozen
class Window:
    """A context window of ``tokens``, of which ``answer_tokens`` stay free and ``budget_tokens`` may be sent."""

    tokens: int
    answer_tokens: int
    budget_tokens: int

    @classmethod
    def of(cls, tokens: int, max_tokens: int | None) -> Window:
        """Return the window with room for an answer of ``max_tokens``, or a default: a quarter, at most 4,096."""
        usual = min(_ROOM_FOR_ANSWER_TOKENS, tokens // _ROOM_FOR_ANSWER_SHARE)
        answer_tokens = usual if max_tokens is None else max_tokens
        return cls(tokens, answer_tokens, max(0, tokens - answer_tokens))


@frozen
class ContextUsage:
    """The tokens of the conversation in the window, before the next question.

    ``system_tokens`` includes the instructions, the notes and the ``schema_tokens`` of the answer, ``turns_tokens`` the summary of
    older turns; turns that would not be sent count in neither. ``estimated`` marks counts from before the vocabulary was loaded.
    """

    window_tokens: int
    budget_tokens: int
    system_tokens: int
    turns_tokens: int
    estimated: bool = False
    schema_tokens: int = 0

    @property
    def free_tokens(self) -> int:
        """The maximum length of the next question that leaves out no further turns."""
        taken = self.system_tokens + self.turns_tokens + TOKENS_AROUND_MESSAGE + TOKENS_TO_OPEN_REPLY
        return max(0, self.budget_tokens - taken)


def too_long(needed_tokens: int, question_tokens: int, budget_tokens: int) -> InputTooLong:
    return InputTooLong(
        f"the question is too long: {needed_tokens:,} tokens with the system prompt and pinned messages "
        f"({question_tokens:,} of them the question), room for {budget_tokens:,}",
        hint="shorten it, lower --max-tokens, or use a model with a larger context window (-m, context_window)",
    )


PartKind: TypeAlias = Literal[
    "instructions",
    "system",
    "note",
    "framing",
    "schema",
    "summary",
    "pinned",
    "retrieved",
    "turn",
    "question",
]

NOT_FITTING: Final = "does not fit"
NO_QUESTION: Final = "an answer without a question"
IN_SUMMARY: Final = "in the summary"
"""Reasons for leaving out turns."""

_SIDES: Final = frozenset({"user", "assistant"})


# A named tuple: one is made per turn with every question, ten times as fast as a frozen class.
class ContextPart(NamedTuple):
    """A part of what is sent: its messages and their tokens.

    ``turn`` is the number of the turn in the history, from 1, if it is a turn.
    """

    kind: PartKind
    tokens: int
    messages: Sequence[Message]
    turn: int | None = None


class LeftOut(NamedTuple):
    """The turns from ``first`` to ``last``, counted from 1, that are not sent, and the reason.

    ``tokens`` is their length, ``None`` if not counted.
    """

    first: int
    last: int
    reason: str
    tokens: int | None = None

    @property
    def turns(self) -> int:
        return self.last - self.first + 1

    def of(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Return these turns of a history."""
        return turns[self.first - 1 : self.last]


def join_neighbours(messages: Iterable[Message]) -> list[Message]:
    """Return ``messages`` with consecutive ones of one role merged, a blank line between them.

    The chat templates of Mistral, Gemma and others refuse two questions, or two answers, in a row. Only pure
    text is merged: a tool call and its result are identified by their own messages.
    """
    sent: list[Message] = []
    for message in messages:
        if sent and are_joined(sent[-1], message):
            sent[-1] = replace(sent[-1], parts=sent[-1].parts + message.parts)
        else:
            sent.append(message)
    return sent


def without_unanswered_calls(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield ``messages`` without tool calls that have no result, which every API refuses, and without results of no call.

    A message with nothing else is not sent. The person was notified when the call was received.
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
    """Yield an answer with tool calls and its results, as far as they match."""
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
    """Return whether two consecutive messages are sent as one."""
    if first.role != second.role or first.role not in _SIDES:
        return False
    return first.holds_only_text and second.holds_only_text


@dataclass(frozen=True)
class ContextPlan:
    """The parts sent, in order, and the turns left out.

    The parts hold the original messages and their tokens as sent: see ``join_neighbours``. ``cut`` is the
    place, from 0, from which on every turn is sent. ``estimated`` marks counts by a rule of thumb, from
    before the vocabulary was loaded: everything fits by any count. ``sent_tokens`` is the total;
    ``forgotten_turns`` are neither sent nor in a summary.
    """

    parts: tuple[ContextPart, ...]
    left_out: tuple[LeftOut, ...] = ()
    cut: int = 0
    estimated: bool = False
    sent_tokens: int = 0
    forgotten_turns: int = 0

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The messages to send, with one leading system message.

        Many models, and the chat templates of local ones, accept only one system message, and require
        questions and answers to alternate.
        """
        unmerged = (message for part in self.parts for message in part.messages)
        sent = join_neighbours(without_unanswered_calls(unmerged))
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
        """The numbers of the turns recalled for the question."""
        return tuple(part.turn for part in self.parts if part.kind == "retrieved" and part.turn is not None)


def note_context(log: EventLog, plan: ContextPlan, budget_tokens: int) -> None:
    """Note in ``log`` what of a conversation is sent: numbers only."""
    summarized = sum(gap.turns for gap in plan.left_out if gap.reason == IN_SUMMARY)
    log.note(
        INFO,
        "context",
        sent_tokens=plan.sent_tokens,
        budget_tokens=budget_tokens,
        dropped_turns=plan.forgotten_turns,
        summarized_turns=summarized,
        recalled_turns=len(plan.retrieved),
    )
