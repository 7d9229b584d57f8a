"""The conversation as turns, which a context strategy sends or leaves out as a whole, and the turn that is running."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.events import (
    Completion,
    ContextFitted,
    Notice,
    ReasoningDelta,
    Retrying,
    TextDelta,
    TextReclassified,
    TurnResult,
    Usage,
)
from chatcli.core.frozen import frozen
from chatcli.core.messages import EMPTY_REPLY, answer, question
from chatcli.core.request import Receipt
from chatcli.text.text_buffer import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import ModelEvent
    from chatcli.core.messages import Message
    from chatcli.core.ports import Journal, Reply


FOLLOWING: Final = frozenset({"assistant", "tool"})
"""The roles of messages that belong to the turn of the question before them."""


@frozen
class Entry:
    """A stored message: its id in the journal, and whether it is pinned."""

    id: str
    message: Message
    pinned: bool = False


@frozen
class Turn:
    """A question and all messages until the next: answers and tool results.

    Sent or left out as a whole, so that no answer is without its question.
    """

    messages: Sequence[Message]
    pinned: bool = False
    ids: tuple[str, ...] = field(default=(), compare=False)
    """The ids of the messages in the journal."""

    @property
    def has_question(self) -> bool:
        return self.messages[0].role == "user"


@frozen
class Summary:
    """The summary of the first ``turns`` turns, from the message ``first_id`` to ``last_id``.

    One that ``is_wanted`` was requested by the person: it is sent even if its turns would fit.
    """

    text: str
    turns: int
    first_id: str
    last_id: str
    is_wanted: bool = False

    @property
    def messages(self) -> tuple[Message, Message]:
        """The summary as messages: the text is the model's, since its own words cannot give it orders."""
        return (question("Sum up what we said before."), answer(self.text))


class Fold(NamedTuple):
    """The turns to summarize next: ``turns``, which follow those of the summary ``earlier``, up to the place ``end``.

    The summary may have ``most_tokens``. A single turn may exceed ``most_read_tokens``. ``is_wanted`` as in
    ``Summary``.
    """

    earlier: Summary | None
    turns: Sequence[Turn]
    end: int
    most_tokens: int
    most_read_tokens: int
    is_wanted: bool = False

    def summary(self, text: str) -> Summary:
        """Return the new summary of all its turns."""
        first_id = self.turns[0].ids[0] if self.earlier is None else self.earlier.first_id
        is_wanted = self.is_wanted or (self.earlier is not None and self.earlier.is_wanted)
        return Summary(text, self.end, first_id, self.turns[-1].ids[-1], is_wanted)


class History:
    """The path from the first message to the newest, grouped into turns.

    ``instructions`` are sent before the system prompt and ``notes`` with it, whatever is left out. ``pinned`` are the places of the pinned
    turns from 0, in order: an index, so that no question walks over a long conversation.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.instructions: Message | None = None
        self.system: Message | None = None
        self.notes: tuple[Message, ...] = ()
        self.turns: list[Turn] = []
        self.pinned: list[int] = []
        self.summary: Summary | None = None
        self.head: str | None = None
        for entry in entries:
            self.append(entry)

    @property
    def state(self) -> tuple[object, ...]:
        """A value that changes with everything a context is chosen from; turns only come and go at the end."""
        last = id(self.turns[-1]) if self.turns else None
        opening = self.instructions, self.system, self.notes, self.summary
        return id(self), len(self.turns), last, self.head, tuple(self.pinned), opening

    def append(self, entry: Entry) -> None:
        """Append a message. A system message replaces the one before; an answer joins its question.

        A system message without parts removes the one before.
        """
        self.head = entry.id
        message = entry.message
        if message.role == "system":
            self.system = message if message.parts else None
        elif message.role in FOLLOWING and self.turns:
            last = self.turns[-1]
            self.turns[-1] = Turn(
                (*last.messages, message), last.pinned or entry.pinned, (*last.ids, entry.id)
            )
            self._note_pin()
        else:
            self.append_turn(Turn((message,), entry.pinned, (entry.id,)))

    def append_turn(self, turn: Turn) -> None:
        """Append a whole turn."""
        self.turns.append(turn)
        self._note_pin()

    def pass_over(self, message_id: str) -> None:
        """Continue after a message that is not sent."""
        self.head = message_id

    def drop_last(self) -> None:
        """Remove the newest turn."""
        self.turns.pop()
        if self.pinned and self.pinned[-1] == len(self.turns):
            self.pinned.pop()
        if self.summary is not None and self.summary.turns > len(self.turns):
            self.summary = None

    def drop_from(self, question_ids: Collection[str]) -> None:
        """Remove the newest turns as long as their questions are among ``question_ids``."""
        dropped = set(question_ids)
        while self.turns and not dropped.isdisjoint(self.turns[-1].ids[:1]):
            self.drop_last()

    def _note_pin(self) -> None:
        newest = len(self.turns) - 1
        if self.turns[newest].pinned and self.pinned[-1:] != [newest]:
            self.pinned.append(newest)


def copied(history: History) -> History:
    """Return a history that the next turns of ``history`` do not change, nor its own turns that one."""
    copy = History()
    copy.instructions, copy.system, copy.notes = history.instructions, history.system, history.notes
    copy.turns, copy.pinned = list(history.turns), list(history.pinned)
    copy.summary, copy.head = history.summary, history.head
    return copy


_REPORTED: Final = frozenset({"refusal", "tool_calls", "media_not_shown"})
"""Notices that say why there is no text."""


class RunningTurn:
    """The state of a running turn."""

    def __init__(self, model: str, journal: Journal, clock: Callable[[], float], partial_answer: str) -> None:
        self.is_cacheable = False
        self.question_entry: Entry | None = None
        self.reply: Reply | None = None
        self.sent: Sequence[Message] = ()
        self.sent_tokens: int | None = None
        self.error: ChatcliError | None = None
        self.receipt = Receipt()
        self._model = model
        self._journal = journal
        self._clock = clock
        self._started_s = clock()
        self._first_delta_s: float | None = None
        self.partial_answer = partial_answer
        self._gathered = TextBuffer()
        self._attempts = 1
        self._answers_before = 0
        self.completion: Completion | None = None
        self._has_reported_error = False

    @property
    def text(self) -> str:
        return self._gathered.text

    @property
    def message(self) -> Message:
        """The reply as far as received."""
        return (self.completion.message if self.completion else EMPTY_REPLY).with_answer(self.text)

    @property
    def is_empty(self) -> bool:
        """Whether no answer was received and no failure was reported."""
        return not self.text and not self._has_reported_error

    @property
    def emptiness(self) -> str:
        thought = self._first_delta_s is not None
        return "the model sent reasoning but no answer" if thought else "the model sent an empty answer"

    def see(self, event: ModelEvent | ContextFitted) -> None:
        match event:
            case TextDelta(text):
                self._note_first_delta()
                new = text if self._gathered else self.partial_answer + text
                self._gathered.append(new)
                if self.reply is not None:
                    self.reply.extend(new)
            case TextReclassified(text):
                self._gathered.drop_last(len(text))
                if self.reply is not None:
                    self.reply.begin_again(self.text)
            case ReasoningDelta():
                self._note_first_delta()
            case Retrying(attempt):
                self._attempts = attempt
            case ContextFitted(sent_tokens):
                self.sent_tokens = sent_tokens
            case Completion():
                self.completion = event
            case Notice(code):
                self._answers_before += code == "schema_repair"
                self._has_reported_error |= code in _REPORTED
            case _:
                pass

    def result(self) -> TurnResult:
        """Return the current result: complete after the completion, else interrupted."""
        text, done = self.text, self.completion
        return TurnResult(
            text=text,
            model=(done and done.model) or self._model,
            finish_reason=done.finish_reason if done else "interrupted" if text else None,
            usage=(done and done.usage) or Usage(),
            cost_usd=done.cost_usd if done else self.receipt.cost_usd,
            latency_s=self._clock() - self._started_s,
            ttft_s=None if self._first_delta_s is None else self._first_delta_s - self._started_s,
            session=self._journal.name,
            cached=bool(done and done.cached),
            attempts=self._attempts + (done.answers - 1 if done else self._answers_before),
            error=self.error,
            refusal=self.message.refusal,
            tool_calls=self.message.tool_calls,
            sources=done.sources if done else (),
            call_id=done.call_id if done else getattr(self.error, "call_id", ""),
            request_id=done.request_id if done else getattr(self.error, "request_id", None),
            requested_model=(done and done.requested_model) or self._model,
        )

    def _note_first_delta(self) -> None:
        if self._first_delta_s is None:
            self._first_delta_s = self._clock()
