"""From a session to the history of a conversation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, overload

from chatcli.conversation.counting import BYTES_A_TOKEN, utf_8_length
from chatcli.conversation.history import FOLLOWING, History, Summary, Turn
from chatcli.core.messages import Message, TextPart
from chatcli.sessions.session import garbage_collection_paused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session


def history_of(
    session: Session, *, longest_tokens: int | None = None, separates_reasoning: bool = False
) -> History:
    """Return the history of a resumed ``session``, without dropped turns and refused questions.

    A question of more than ``longest_tokens`` is shortened; see ``recalled``. With ``separates_reasoning``
    answers stored with reasoning in their text are sent without it.

    Messages are read when a strategy needs them.
    """
    history = History()
    pinned, left_out = set(session.pinned), {*session.dropped, *session.refused}
    with garbage_collection_paused():
        for records in _turns(session):
            ids = tuple([record.id for record in records])
            if ids[0] in left_out:
                continue
            history.append_turn(
                Turn(
                    StoredMessages(records, longest_tokens, separates_reasoning=separates_reasoning),
                    not pinned.isdisjoint(ids),
                    ids,
                )
            )
    system = session.system
    history.system = system if system is not None and system.parts else None
    history.notes = tuple(note_message(note) for note in session.notes.values())
    history.summary = summary_of(session, history.turns)
    history.head = session.head
    return history


def note_message(note: str) -> Message:
    """Return a note as a message at the place of the system prompt, with the person as its origin."""
    return Message("system", (TextPart(f"Keep in mind: {note}"),))


class StoredMessages(Sequence["Message"]):
    """The messages of some records; equal to any other sequence of the same messages.

    Questions of more than ``longest_tokens`` are shortened; with ``separates_reasoning`` answers are without
    the reasoning in their text.
    """

    __slots__ = ("_longest_tokens", "_records", "_separates_reasoning")

    def __init__(
        self,
        records: Sequence[MessageRecord],
        longest_tokens: int | None = None,
        *,
        separates_reasoning: bool = False,
    ) -> None:
        self._records = tuple(records)
        self._longest_tokens = longest_tokens
        self._separates_reasoning = separates_reasoning

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, at: int) -> Message: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Message]: ...

    def __getitem__(self, at: int | slice) -> Message | Sequence[Message]:
        if isinstance(at, slice):
            return StoredMessages(
                self._records[at], self._longest_tokens, separates_reasoning=self._separates_reasoning
            )
        return self._shortened(self._records[at])

    def __iter__(self) -> Iterator[Message]:
        return map(self._shortened, self._records)

    def _shortened(self, record: MessageRecord) -> Message:
        longest_tokens = self._longest_tokens
        if record.role in FOLLOWING:
            return _without_reasoning(record.message) if self._separates_reasoning else record.message
        return record.message if longest_tokens is None else recalled(record.message, longest_tokens)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"StoredMessages({list(self)!r})"


def _without_reasoning(message: Message) -> Message:
    if "<" not in message.text:
        return message
    # Imported on first use: this module is loaded with every start.
    from chatcli.client.inline_reasoning import answer_in  # noqa: PLC0415

    parts = tuple(
        replace(part, text=answer_in(part.text)) if isinstance(part, TextPart) else part
        for part in message.parts
    )
    return message if parts == message.parts else replace(message, parts=parts)


def _turns(session: Session) -> Iterator[list[MessageRecord]]:
    """Yield the questions of the context with their answers, grouped as ``History.append`` does."""
    turn: list[MessageRecord] = []
    for record in session.context():
        if record.role in FOLLOWING and turn:
            turn.append(record)
        elif record.role != "system":
            if turn:
                yield turn
            turn = [record]
    if turn:
        yield turn


def summary_of(session: Session, turns: Sequence[Turn]) -> Summary | None:
    """Return the newest summary in the context, ``None`` if there is none or it was removed.

    Summaries of other branches and of cleared turns are not in the context.
    """
    if not session.summaries:
        return None
    place = {record.id: number for number, record in enumerate(session.context())}
    for first_id, last_id, text, is_wanted in reversed(session.summaries):
        if first_id in place and last_id in place:
            replaced_turns = bisect_right(turns, place[last_id], key=lambda turn: place[turn.ids[0]])
            if not text or not replaced_turns:
                return None
            return Summary(text, replaced_turns, first_id, last_id, is_wanted)
    return None


def recalled(message: Message, longest_tokens: int) -> Message:
    """Return ``message``, shortened if it is a question of more than ``longest_tokens``.

    Otherwise the turn would be left out as a whole, although the next question is likely to be about its
    answer. Tokens are estimated: every turn of a long conversation passes here, and none is counted for it.
    """
    if message.role != "user":
        return message
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    if sum(map(len, texts)) <= longest_tokens:
        return message
    tokens = sum(map(utf_8_length, texts)) // BYTES_A_TOKEN
    if tokens <= longest_tokens:
        return message
    # Imported on first use: this module is loaded with every start.
    from chatcli.conversation.long_input import prompts  # noqa: PLC0415
    from chatcli.conversation.long_input.splitting import divide  # noqa: PLC0415

    divided = divide(message)
    text = divided.text
    name = text.named(0, len(text.text))
    shortened = divided.about(name, prompts.left_out(len(text.text), tokens))
    return replace(shortened, imported=message.imported)
