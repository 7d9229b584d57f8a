"""The one stream of events.

A client yields ``ModelEvent``s; ``ConversationManager.send`` turns them into ``Event``s::

    turn     := TurnStarted  AnswerContinued?  progress*  ( TurnFinished | TurnFailed )
    progress := ContextFitted | LongProgress | Waiting | Retrying | Notice | ReasoningDelta | TextDelta
              | TextReclassified | PartialData

``play`` emits ``TurnCancelled`` when the person stops the turn. A reader ignores types it does not know.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeAlias

from chatcli.core.errors import ChatcliError  # noqa: TC001 - found by whoever reads the annotations
from chatcli.core.frozen import frozen
from chatcli.core.messages import EMPTY_REPLY, Message, ToolCallPart


@frozen
class Usage:
    """Tokens of one turn; ``None`` if not reported.

    ``cached_tokens`` are part of ``input_tokens`` and ``reasoning_tokens`` part of ``output_tokens``, as in
    the OpenAI API. ``estimated``: counted by chatcli, because the endpoint did not report them. ``cache_write_tokens``
    are the part of ``input_tokens`` that the endpoint put into its cache, ``searches`` is the number of its web searches.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    cache_write_tokens: int | None = None
    searches: int | None = None

    @property
    def is_complete(self) -> bool:
        return self.input_tokens is not None and self.output_tokens is not None

    @property
    def is_cache_possible(self) -> bool:
        """Whether what the endpoint cached is part of the input, as it has to be."""
        return (self.cached_tokens or 0) + (self.cache_write_tokens or 0) <= (self.input_tokens or 0)

    def filled(self, counted: Usage) -> Usage:
        """Return the usage with the tokens of ``counted`` where it has none."""
        return Usage(
            counted.input_tokens if self.input_tokens is None else self.input_tokens,
            counted.output_tokens if self.output_tokens is None else self.output_tokens,
            self.cached_tokens,
            self.reasoning_tokens,
            estimated=self.estimated or not self.is_complete,
            cache_write_tokens=self.cache_write_tokens,
            searches=self.searches,
        )


@frozen
class TurnStarted:
    """The question is about to be fitted, stored and sent.

    ``session`` is the name to pass to ``-s``, if it is saved.
    """

    model: str
    session: str | None = None


@frozen
class AnswerContinued:
    """The following text continues an answer that begins with ``text`` and was shown before."""

    text: str


@frozen
class ContextFitted:
    """What is sent to the model: ``sent_tokens`` of at most ``budget_tokens``, without ``dropped_turns`` older turns.

    Summarized turns do not count as dropped. ``estimated``: ``sent_tokens`` was counted before the vocabulary
    was loaded, and everything fits by any count.
    """

    sent_tokens: int
    budget_tokens: int
    dropped_turns: int
    estimated: bool = False


@frozen
class Waiting:
    """Nothing has come for ``elapsed_s``; while it ``is_held`` by a limit, the request has not been sent."""

    elapsed_s: float
    reason: str
    is_held: bool = False


@frozen
class Retrying:
    """Attempt number ``attempt`` (the first is 1) starts in ``wait_s`` seconds."""

    attempt: int
    wait_s: float
    reason: str


@frozen
class Notice:
    """A line for the person that is not part of the answer; ``code`` is stable."""

    code: str
    message: str


@frozen
class LongProgress:
    """Progress of reading a text that is too long for one request: ``done`` of ``total`` requests are answered.

    ``tokens`` is the number sent and received so far. ``total`` may change once the number of merges is
    known.
    """

    done: int
    total: int
    tokens: int
    cost_usd: float | None = None
    left_s: float | None = None


@frozen
class ReasoningDelta:
    text: str


@frozen
class TextDelta:
    text: str


@frozen
class TextReclassified:
    """The last ``text`` of the answer so far was reasoning; the answer follows.

    ``text`` is a suffix of the ``TextDelta``s received before; it is no longer part of the answer. Without
    ``is_reasoning`` it was an answer that does not fit the schema, and another follows.
    """

    text: str
    is_reasoning: bool = True


@frozen
class PartialData:
    """The value of a structured answer as far as received: its last text may be cut, and keys may be missing.

    Not every delta has one: each comes when the answer has grown by a share, so that all together are as long as some
    answers.
    """

    data: object = field(hash=False)


@frozen
class CitedSource:
    """A source of the answer: number ``n`` (from 1) and a ``url``, or a ``path`` for a file."""

    n: int
    title: str
    url: str | None = None
    path: str | None = None

    @property
    def line(self) -> str:
        """The source as one line of a list: ``[1] Paris · https://example.com/paris``."""
        place = self.url or self.path or ""
        return (
            f"[{self.n}] {self.title} · {place}" if self.title not in ("", place) else f"[{self.n}] {place}"
        )


@frozen
class Completion:
    """The last event of a client's stream: the answer is complete.

    ``message`` is the whole reply; it does not count in comparisons, as its text was in the deltas, and neither do the ids.
    ``cost_usd`` is the cost the endpoint reports. ``answers`` is the number of whole answers it took: 2 if the
    first did not fit the schema. ``call_id`` is the id of the call in chatcli's logs, ``request_id`` the provider's.
    ``model`` is the one the endpoint reports, such as a dated version of the ``requested_model``.
    """

    finish_reason: str
    model: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    cached: bool = False
    message: Message = field(default=EMPTY_REPLY, compare=False)
    sources: tuple[CitedSource, ...] = ()
    answers: int = 1
    call_id: str = field(default="", compare=False)
    request_id: str | None = field(default=None, compare=False)
    requested_model: str = field(default="", compare=False)


@frozen
class TurnResult:
    """The outcome of a turn, successful or not: the keys of ``-o json``.

    ``text`` is the whole answer or, after a failure, the part received. ``latency_s`` runs from the request
    to the end, ``ttft_s`` to the first delta. ``cost_usd`` is ``None`` where the price is unknown. ``data`` is the
    value of an answer that fits its schema. ``call_id``, ``request_id`` and ``requested_model`` are those of its last call, as
    in ``Completion``. ``earlier_tokens`` are those of ``usage`` that came out before the answer began, when its long question
    was read in parts.
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
    data: Any = field(default=None, hash=False)
    call_id: str = ""
    request_id: str | None = None
    earlier_tokens: int = 0
    requested_model: str = field(default="", compare=False)


@frozen
class TurnFinished:
    """The model finished and the reply is stored. ``finish_reason`` may still be ``length``."""

    result: TurnResult


@frozen
class TurnFailed:
    """There is no complete answer: ``result.error`` says why, ``result.text`` is the part received."""

    result: TurnResult


@frozen
class TurnCancelled:
    """The person stopped the turn; ``result.text`` is the part received."""

    result: TurnResult


Progress: TypeAlias = (
    Waiting | Retrying | Notice | ReasoningDelta | TextDelta | TextReclassified | PartialData
)
ModelEvent: TypeAlias = Progress | Completion
TurnEnd: TypeAlias = TurnFinished | TurnFailed | TurnCancelled
Event: TypeAlias = TurnStarted | AnswerContinued | ContextFitted | LongProgress | Progress | TurnEnd
