"""The model that a conversation asks, and the history of a session as it is sent it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, overload

from chatcli.chat.long_questions import LongQuestions
from chatcli.conversation.counting import BYTES_A_TOKEN, utf_8_length
from chatcli.conversation.history import FOLLOWING, History, Summary, Turn
from chatcli.conversation.manager import ConversationManager
from chatcli.conversation.strategies.strategy import STRATEGIES, does_not_fit
from chatcli.core import messages
from chatcli.core.messages import Message, TextPart
from chatcli.sessions.session import garbage_collection_paused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.core.ports import Journal
    from chatcli.core.request import ResponseFormat
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session


_SHORT_TOKENS: Final = 1_000
"""A shorter text counts as a question, however small the window is."""


class ModelInUse(NamedTuple):
    """A model, its token counter as corrected for the endpoint, its window, and the form of its answers, ``None`` for any."""

    resolved: ResolvedModel
    tokens: MessageTokens
    window: Window
    response_format: ResponseFormat | None = None

    def history_of(self, session: Session) -> History:
        """Return the history of ``session`` as this model is sent it."""
        history = history_of(
            session,
            # The length up to which a question is sent again in full later.
            longest_tokens=max(self.window.budget_tokens, _SHORT_TOKENS),
            separates_reasoning=self.resolved.separates_reasoning,
        )
        if self.resolved.instructions:
            history.instructions = messages.system(self.resolved.instructions)
        return history

    def manager(
        self, history: History, journal: Journal, tokens: MessageTokens | None = None
    ) -> ConversationManager:
        """Return a manager for one history and journal; ``tokens`` may replace the counter."""
        resolved = self.resolved
        manager = ConversationManager(
            model=resolved.model,
            model_name=resolved.model_name,
            history=history,
            journal=journal,
            tokens=tokens or self.tokens,
            window=self.window,
            strategy=STRATEGIES[resolved.context](resolved.turn_vectors),
            parameters=resolved.parameters,
            screen=resolved.screen,
        )
        manager.response_format = self.response_format
        manager.log = resolved.log
        return manager

    def long_questions(self) -> LongQuestions:
        return LongQuestions(self.resolved, self.tokens, self.window, self.manager)

    def cannot_fit(self, question: Message, history: History) -> bool:
        """Return whether ``question`` does not fit, whatever else is omitted."""
        form = self.response_format
        form_tokens = 0 if form is None else self.tokens.of_form(form)
        return does_not_fit(question, history, self.window.budget_tokens - form_tokens, self.tokens)


def history_of(
    session: Session, *, longest_tokens: int | None = None, separates_reasoning: bool = False
) -> History:
    """Return the history of a resumed ``session``, without dropped turns and refused questions.

    A question of more than ``longest_tokens`` is shortened; see ``recalled``. With ``separates_reasoning``
    answers stored with reasoning in their text are sent without it.

    Messages are read when a strategy needs them.
    """
    history = History()
    if not session.records:
        return history
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
