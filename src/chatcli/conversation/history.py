"""The conversation as turns, which a context strategy sends or leaves out as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.messages import answer, question

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from chatcli.core.messages import Message


FOLLOWING: Final = frozenset({"assistant", "tool"})
"""The roles of messages that belong to the turn of the question before them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored message: its id in the journal, and whether it is pinned."""

    id: str
    message: Message
    pinned: bool = False


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
