"""A conversation: the replay of its records."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.frozen import mutable
from chatcli.core.messages import answer
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    UnknownRecord,
    UnreadableRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chatcli.core.messages import Message
    from chatcli.sessions.records import Record

INTERRUPTED: Final = "interrupted"
"""The finish reason of a reply of which only parts are stored."""

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@mutable
class _PartialReply:
    first: PartialRecord
    texts: list[str] = field(default_factory=list)

    def joined(self) -> MessageRecord:
        reply = ReplyMetadata(finish_reason=INTERRUPTED)
        return MessageRecord(
            self.first.id, self.first.parent, self.first.at, answer("".join(self.texts)), reply
        )


class Session:
    """A tree of messages with a ``head``; the path to the head is the conversation.

    The replay of any file ends: the first message with an id wins, an unknown parent is a beginning, and a
    cycle of parents is walked once. Time and memory are linear in the number of records.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        """The records a copy consists of: all but the parts of completed replies, and some of replies that came together."""
        self.header: HeaderRecord | None = None
        self.head: str | None = None
        """The message the next one follows; ``None`` at the beginning."""
        self.title: str | None = None
        self.cost_usd: float | None = None
        """The known cost of all its answers, on the path or not; ``None`` if no cost is known."""
        self.model: str | None = None
        """The model last asked in this conversation, or chosen for it since."""
        self.model_endpoint: str | None = None
        """The host of that model, ``None`` if not recorded."""
        self.schema: Mapping[str, Any] | None = None
        """The form of answers in this conversation, as its mark has it; ``None`` for any."""
        self.forked_from: str | None = None
        """The session this one was last copied from."""
        self.pinned: dict[str, None] = {}
        """The ids of the pinned messages: an ordered set, in the order of pinning."""
        self.dropped: dict[str, None] = {}
        """The ids of the questions dropped with their answers, in the order of dropping."""
        self.notes: dict[str, str] = {}
        """The notes by the ids of their marks, in order."""
        self.summaries: list[tuple[str, str, str, bool]] = []
        """All summaries, oldest first: first and last message, text, and whether the person requested it.

        The text is empty if a summary was removed.
        """
        self._damaged_records = 0
        self._refused: dict[str, str] = {}
        self._messages: dict[str, MessageRecord] = {}
        self._partials: dict[str, _PartialReply] = {}
        self._parents: dict[str, str | None] = {}
        self._cleared: set[str] = set()
        self._path: list[MessageRecord] | None = []
        """The path to the head, ``None`` if it must be walked again."""

    @classmethod
    def replay(cls, records: Iterable[Record]) -> Session:
        session = cls()
        for record in records:
            session._apply(record)
        return session

    def apply(self, *records: Record) -> None:
        """Apply the next records."""
        for record in records:
            self._apply(record)

    def become(self, copy: list[Record]) -> None:
        """Become a copy of the session: ``copy`` has the records of this one after a header of its own."""
        self.records = copy
        self.header = next(record for record in copy if isinstance(record, HeaderRecord))
        self._damaged_records = sum(record.is_damaged for record in copy)

    def _apply(self, record: Record) -> None:
        match record:
            case MessageRecord():
                self._apply_message(record)
            case PartialRecord():
                self._apply_partial(record)
            case MarkRecord():
                self._apply_mark(record)
            case HeaderRecord():
                self.header = self.header or record
            case UnknownRecord():
                self._pass_through(record)
            case UnreadableRecord():
                pass
        self._damaged_records += record.is_damaged
        self.records.append(record)

    @property
    def began_at(self) -> datetime | None:
        """When the session was begun; long ago if its header does not say, ``None`` if nothing is recorded yet."""
        if self.header is None:
            return _LONG_AGO if self._messages or self._partials else None
        try:
            began_at = datetime.fromisoformat(self.header.at)
        except ValueError:
            return _LONG_AGO
        return began_at if began_at.tzinfo else began_at.replace(tzinfo=UTC)

    @property
    def damaged_records(self) -> int:
        """The number of records that are unreadable or incomplete; they are kept in the file.

        An unrecognizable header counts as well.
        """
        if self.header is None and self._parents:
            return max(1, self._damaged_records)
        return self._damaged_records

    def message(self, message_id: str) -> MessageRecord | None:
        """Return a message by its id, on the path or not; an interrupted reply is joined from its parts."""
        if (record := self._messages.get(message_id)) is not None:
            return record
        partial = self._partials.get(message_id)
        return None if partial is None else partial.joined()

    def messages(self) -> Iterator[MessageRecord]:
        """Yield every message, on the path or not, in the order they were begun."""
        found = (self.message(record_id) for record_id in self._parents)
        return (record for record in found if record is not None)

    def line_to(self, message_id: str | None) -> Iterator[MessageRecord]:
        """Yield a message and its ancestors, back to the beginning."""
        visited: set[str] = set()
        current = message_id
        while current is not None and current not in visited:
            visited.add(current)
            if (record := self.message(current)) is not None:
                yield record
            current = self._parents.get(current)

    def path(self) -> tuple[MessageRecord, ...]:
        """Return the messages of the conversation, oldest first."""
        if self._path is None:
            self._path = list(self.line_to(self.head))
            self._path.reverse()
        elif self.head in self._partials:
            # It may have grown since.
            self._path[-1] = self._partials[self.head].joined()
        return tuple(self._path)

    def context(self) -> tuple[MessageRecord, ...]:
        """Return the part of the path that the model sees: the messages after the last ``clear``."""
        path = self.path()
        return path[self._cleared_up_to(path) :]

    @property
    def last_clear(self) -> str | None:
        """The id of the message after which the ``clear`` in force was set, ``None`` without one."""
        path = self.path()
        place = self._cleared_up_to(path)
        return path[place - 1].id if place else None

    @property
    def system(self) -> Message | None:
        """The newest system message on the path, without parts if the prompt was removed.

        A ``clear`` does not affect it.
        """
        path = reversed(self.path())
        return next((record.message for record in path if record.role == "system"), None)

    @property
    def questions(self) -> tuple[MessageRecord, ...]:
        """The questions on the path, oldest first."""
        return tuple(record for record in self.path() if record.role == "user")

    @property
    def is_unfinished(self) -> bool:
        """Whether the path ends in an incomplete answer, or in a question that was not refused."""
        path = self.path()
        if not path:
            return False
        waits_for_answer = path[-1].role in {"user", "tool"} and path[-1].id not in self._refused
        return self.head in self._partials or waits_for_answer

    @property
    def refused(self) -> Mapping[str, str]:
        """The questions of the path that the endpoint refused, by their ids, with the reason.

        A question that has an answer here, from another model, is not included.
        """
        if not self._refused:
            return {}
        records = [record for record in self.path() if record.role != "system"]
        return {
            record.id: self._refused[record.id]
            for record, following in zip_longest(records, records[1:])
            if record.id in self._refused and (following is None or following.role != "assistant")
        }

    def _cleared_up_to(self, path: tuple[MessageRecord, ...]) -> int:
        if not self._cleared:
            return 0
        cleared = (place for place, record in enumerate(path, start=1) if record.id in self._cleared)
        return max(cleared, default=0)

    def _apply_message(self, record: MessageRecord) -> None:
        if record.id in self._messages:
            return
        self._lengthen_path(record)
        self._messages[record.id] = record
        if record.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + record.cost_usd
        self._parents[record.id] = record.parent
        if self._partials.pop(record.id, None) is not None:
            self._forget_parts(record.id)
        self.head = record.id

    def _forget_parts(self, reply_id: str) -> None:
        # A long answer was stored in hundreds of parts that are obsolete; they are the newest records, apart
        # from marks set meanwhile.
        while self.records and isinstance(last := self.records[-1], PartialRecord) and last.id == reply_id:
            self.records.pop()

    def _apply_partial(self, record: PartialRecord) -> None:
        if record.id in self._messages:
            return
        if record.begins_again:
            self._take_back(record.id)
            if not record.text:
                return
        partial = self._partials.get(record.id)
        if partial is None:
            partial = _PartialReply(record)
            self._lengthen_path(record)
            self._partials[record.id] = partial
            self._parents[record.id] = record.parent
            self.head = record.id
        elif record.id != self.head:
            self._path = None
        partial.texts.append(record.text)

    def _take_back(self, reply_id: str) -> None:
        """Forget the parts of a reply: their text was not part of the answer."""
        if (partial := self._partials.pop(reply_id, None)) is None:
            return
        self._forget_parts(reply_id)
        self._path = None
        if self.head == reply_id:
            self.head = partial.first.parent

    def _apply_mark(self, record: MarkRecord) -> None:
        self._pass_through(record)
        # Unknown kinds and values stay in ``records`` and change nothing here.
        match record.kind, record.value:
            case "model", str(model):
                self.model, self.model_endpoint = model, record.endpoint
            case "head", None:
                self.head, self._path = None, []
            case "head", str(message_id) if self._is_message(message_id):
                self.head, self._path = message_id, None
            case "clear", _ if record.parent is not None:
                self._cleared.add(record.parent)
            case "summary", {"from": str(first_id), "to": str(last_id), "text": str(text), **more}:
                self.summaries.append((first_id, last_id, text, more.get("wanted") is True))
            case "schema", {"form": dict()} | None:
                self.schema = record.value
            case "fork", {"session": str(name)}:
                self.forked_from = name
            case "refused", {"message": str(message_id), "reason": str(reason)}:
                self._refused[message_id] = reason
            case kind, str(value):
                self._apply_to_context(record, kind, value)

    def _apply_to_context(self, record: MarkRecord, kind: str, value: str) -> None:
        """Apply a mark with a text: the title, or a change of the model's context."""
        match kind:
            case "title":
                self.title = value
            case "note":
                self.notes[record.id] = value
            case "unnote":
                self.notes.pop(value, None)
            case "pin":
                self.pinned.setdefault(value)
            case "unpin":
                self.pinned.pop(value, None)
            case "drop":
                self.dropped.setdefault(value)
            case "undrop":
                self.dropped.pop(value, None)
            case "unclear":
                self._cleared.discard(value)

    def _pass_through(self, record: MarkRecord | UnknownRecord) -> None:
        # A newer version may have put records of its own between messages: the path leads through them.
        if record.id is not None:
            self._parents.setdefault(record.id, record.parent)
            if self._path and self._path[0].parent is not None:
                # The predecessor of its beginning may have been added just now.
                self._path = None

    def _lengthen_path(self, record: MessageRecord | PartialRecord) -> None:
        """Extend the path by the next message, as walking a long conversation again takes 0.1 s.

        Any other record makes the path outdated; it is walked again on the next access.
        """
        if self._path is None:
            return
        is_new = record.id not in self._parents
        message = _PartialReply(record).joined() if isinstance(record, PartialRecord) else record
        if is_new and record.parent == self.head and self.head not in self._partials:
            self._path.append(message)
        elif record.id == self.head in self._partials and record.parent == self._parents[record.id]:
            self._path[-1] = message
        else:
            self._path = None

    def _is_message(self, message_id: str) -> bool:
        return message_id in self._messages or message_id in self._partials


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pause the search for reference cycles: code that makes many objects and no cycles runs nearly twice as fast."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def exempt_from_garbage_collection() -> None:
    """Exclude all objects that exist now from the search for reference cycles.

    Searching the objects of a long session takes as long as one frame may, and happens while the person types.
    They are still freed when their last reference goes away.
    """
    gc.freeze()
