"""A session as a tree of exchanges, of which the conversation is one path."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chatcli.core.frozen import frozen
from chatcli.sessions.session import garbage_collection_paused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session


@frozen
class Exchange:
    """A question with one of its answers, or without any.

    ``number`` counts the exchanges of a session from 1, in the order of writing. ``before`` is the id of the
    exchange it follows, ``None`` at the beginning.
    """

    number: int
    before: str | None
    question: MessageRecord
    answer: MessageRecord | None

    @property
    def id(self) -> str:
        """The id of its last message, after which the conversation continues."""
        return (self.answer or self.question).id


class Tree:
    """All exchanges of a session at one moment.

    Two exchanges are alternatives if they are at the same place: other answers to a question, and answers to
    other wordings of it. System messages make no places of their own, since one can be set between two
    alternatives. The first part of a continued answer is not an alternative to the whole.
    """

    def __init__(self, session: Session) -> None:
        with garbage_collection_paused():
            self.exchanges: tuple[Exchange, ...] = tuple(_exchanges(session))
        self._by_id = {exchange.id: exchange for exchange in self.exchanges}
        self._following: dict[str | None, list[Exchange]] = {}
        for exchange in self.exchanges:
            self._following.setdefault(self._place(exchange), []).append(exchange)
        self.path: tuple[Exchange, ...] = tuple(reversed(list(_path_to_head(session, self._by_id))))
        """The exchanges of the current path, oldest first."""

    def following(self, exchange: Exchange | None) -> tuple[Exchange, ...]:
        """Return the exchanges that follow ``exchange``, or the beginning for ``None``: one per branch."""
        return tuple(self._following.get(exchange.id if exchange else None, ()))

    def alternatives(self, exchange: Exchange) -> tuple[Exchange, ...]:
        """Return the exchanges at the place of ``exchange``, including itself, in the order of writing."""
        return tuple(self._following[self._place(exchange)])

    def _place(self, exchange: Exchange) -> str | None:
        # Exchanges that follow a message outside any exchange, like a model's greeting, are at the beginning.
        return exchange.before if exchange.before in self._by_id else None

    def newest_after(self, exchange: Exchange) -> Exchange:
        """Return the end of the most recently written branch after ``exchange``: itself if nothing follows."""
        newest, waiting, visited = exchange, [exchange], {exchange.id}
        while waiting:
            found = waiting.pop()
            newest = max(newest, found, key=lambda candidate: candidate.number)
            # A damaged file may have a cycle of parents.
            following = [later for later in self._following.get(found.id, ()) if later.id not in visited]
            visited.update(later.id for later in following)
            waiting += following
        return newest


def _exchanges(session: Session) -> Iterator[Exchange]:
    records = [record for record in session.messages() if record.role != "system"]
    before = {record.id: _message_before(session, record) for record in records}
    questions: dict[str, MessageRecord] = {}  # for each message the question it is or answers
    answers: dict[str, list[MessageRecord]] = {}
    for record in records:
        earlier = before[record.id]
        if record.role == "user":
            questions[record.id] = record
        elif earlier is not None and earlier in questions:
            questions[record.id] = answered = questions[earlier]
            answers.setdefault(answered.id, []).append(record)
    followed = {before[record.id] for record in records if record.role == "user"}
    superseded = {
        part.id for siblings in answers.values() for part in _superseded(siblings) if part.id not in followed
    }
    number = 0
    for record in records:
        question = questions.get(record.id)
        is_question = question is record
        if question is None or record.id in superseded:
            continue
        # A question is an exchange of its own if it has no answer, or if the conversation continued without
        # one.
        if is_question and record.id in answers and record.id not in followed:
            continue
        number += 1
        yield Exchange(number, before[question.id], question, None if is_question else record)


def _message_before(session: Session, record: MessageRecord) -> str | None:
    parent = None if record.parent is None else session.message(record.parent)
    if parent is not None and parent.role != "system" and parent.id != record.id:
        return parent.id  # the usual case
    ancestors = session.line_to(record.id)
    next(ancestors, None)
    return next((record.id for record in ancestors if record.role != "system"), None)


def _superseded(answers: list[MessageRecord]) -> Iterator[MessageRecord]:
    """Yield the interrupted answers that a later one completes."""
    later: list[str] = []  # sorted, so that a text is followed by its continuations
    records: list[MessageRecord] = []  # those of ``later``
    for part in reversed(answers):
        is_cut = part.reply is None or part.reply.finish_reason != "stop"
        text = part.message.text
        at = behind = bisect_right(later, text)
        while is_cut and at < len(later) and later[at].startswith(text):
            if not _was_begun_before_end(records[at], part):
                yield part
                break
            at += 1
        later.insert(behind, text)
        records.insert(behind, part)


def _was_begun_before_end(answer: MessageRecord, part: MessageRecord) -> bool:
    """Return whether ``answer`` is known to have been begun before ``part`` ended, as in a comparison of models."""
    latency_s = answer.reply.latency_s if answer.reply else None
    if latency_s is None:
        return False
    try:
        return datetime.fromisoformat(answer.at) - timedelta(seconds=latency_s) < datetime.fromisoformat(
            part.at
        )
    except (ValueError, TypeError, OverflowError):
        return False  # the file was written by others, or is damaged


def _path_to_head(session: Session, exchanges: dict[str, Exchange]) -> Iterator[Exchange]:
    """Yield the exchanges of the conversation, newest first."""
    later: Exchange | None = None
    for record in reversed(session.path()):
        exchange = exchanges.get(record.id)
        # A question continued without an answer is an exchange of its own only on that path.
        if exchange is not None and (later is None or later.question.id != record.id):
            later = exchange
            yield exchange
