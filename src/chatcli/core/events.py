"""The one stream of events.

A client yields ``ModelEvent``s; ``ConversationManager.send`` turns them into ``Event``s::

    turn     := TurnStarted  AnswerContinued?  progress*  ( TurnFinished | TurnFailed )
    progress := ContextFitted | LongProgress | Waiting | Retrying | Notice | ReasoningDelta | TextDelta
              | TextReclassified

``TurnCancelled`` is told by ``play`` when the person stopped the turn. A reader ignores types it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from chatcli.core.messages import EMPTY_REPLY, Message, ToolCallPart
from chatcli.core.usage import Usage

if TYPE_CHECKING:
    from chatcli.core.errors import ChatcliError


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The question is about to be fitted, stored and sent. ``session`` is what ``-s`` takes to resume, if saved."""

    model: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerContinued:
    """What follows is the rest of an answer that begins with ``text``, which was shown before."""

    text: str


@dataclass(frozen=True, slots=True)
class ContextFitted:
    """What the model will see: ``sent_tokens`` of at most ``budget_tokens``, without ``dropped_turns`` older ones.

    Turns that a summary stands for are not dropped.
    ``estimated`` marks a ``sent_tokens`` from before the vocabulary was loaded: nothing had to be left out by
    any count.
    """

    sent_tokens: int
    budget_tokens: int
    dropped_turns: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    elapsed_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """Attempt number ``attempt`` (the first is 1) follows after ``wait_s`` seconds."""

    attempt: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for the person about something that is not the answer; ``code`` is stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class LongProgress:
    """How far a text that is too long for one request is read: ``done`` of ``total`` requests are answered.

    ``tokens`` were sent and received for it so far. ``total`` may change when it turns out what has to be merged.
    """

    done: int
    total: int
    tokens: int
    cost_usd: float | None = None
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class TextReclassified:
    """The last ``text`` of the answer so far turns out to be reasoning; what follows is the answer.

    ``text`` is what the ``TextDelta``s before it end in: it is no longer part of the answer.
    """

    text: str


@dataclass(frozen=True, slots=True)
class CitedSource:
    """What an answer cites: number ``n``, from 1, has a ``url``, or a ``path`` where it is a file."""

    n: int
    title: str
    url: str | None = None
    path: str | None = None

    @property
    def line(self) -> str:
        """The source on one line, as it is listed: ``[1] Paris · https://example.com/paris``."""
        place = self.url or self.path or ""
        return (
            f"[{self.n}] {self.title} · {place}" if self.title not in ("", place) else f"[{self.n}] {place}"
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """The last event of a client's stream: the answer is complete, for this reason.

    ``message`` is the whole reply, which two ends need not share to be equal: its text was in the deltas. ``cost_usd`` is what the endpoint says it took for it.
    """

    finish_reason: str
    model: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    cached: bool = False
    message: Message = field(default=EMPTY_REPLY, compare=False)
    sources: tuple[CitedSource, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended, whichever way: the keys of ``-o json``.

    ``text`` is the whole answer or, when it failed or was cut off, what had come. ``latency_s`` runs from the
    request to the end, ``ttft_s`` to the first delta. ``cost_usd`` is ``None`` where the price is not known.
    """

    text: str
    model: str
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    session: str | None = None
    cached: bool = False
    attempts: int = 1
    error: ChatcliError | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCallPart, ...] = ()
    sources: tuple[CitedSource, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The model came to an end of its own and the reply is stored. Its ``finish_reason`` may still be ``length``."""

    result: TurnResult


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """There is no complete answer; ``result.error`` says why and ``result.text`` keeps what had come."""

    result: TurnResult


@dataclass(frozen=True, slots=True)
class TurnCancelled:
    """The person stopped the turn; ``result.text`` keeps what had come."""

    result: TurnResult


Progress: TypeAlias = Waiting | Retrying | Notice | ReasoningDelta | TextDelta | TextReclassified
ModelEvent: TypeAlias = Progress | Completion
TurnEnd: TypeAlias = TurnFinished | TurnFailed | TurnCancelled
Event: TypeAlias = TurnStarted | AnswerContinued | ContextFitted | LongProgress | Progress | TurnEnd
