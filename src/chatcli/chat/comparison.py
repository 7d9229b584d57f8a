"""The same question to several models at once; their answers are siblings in the session."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.core.errors import BudgetReached, LocalIOError
from chatcli.sessions.session import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from chatcli.chat import Conversation
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.core.events import Event, TurnEnd
    from chatcli.core.messages import Message
    from chatcli.core.ports import Journal, Reply
    from chatcli.sessions.records import MessageRecord


class Comparison:
    """Asks ``question`` of each model given to ``ask``; the caller plays the turns, and then calls ``settle``.

    The question is stored once, by the first model that can be sent it. ``asked`` is the question of the conversation
    that is asked again, if it is one; its answers stay. While a question is being edited, ``question`` replaces it.
    """

    def __init__(self, chat: Conversation, question: Message, *, asked: MessageRecord | None = None) -> None:
        turns, opened = chat.turns, chat.opened
        self._turns, self._opened = turns, opened
        self._stood = opened.session.head
        self._stored_id: str | None = None
        self._before = asked
        if asked is None and opened.editing is not None:
            question = turns.whole(question)
            chat.branches.go_before(opened.editing)
        elif asked is not None:
            self._stored_id = turns.go_back_to(asked, question)
        self._question = question
        self._stored = _StoredOnce(opened.journal)
        self._journals: list[_SiblingJournal] = []

    def ask(self, resolved: ResolvedModel) -> AsyncGenerator[Event]:
        """Return the events of one model's turn; see ``ConversationManager.send``."""
        model = self._turns.model_at(resolved)
        history = model.history_of(self._opened.session)
        if self._stored_id is not None:
            history.drop_from([self._stored_id])
        journal = _SiblingJournal(self._stored)
        self._journals.append(journal)
        if model.cannot_fit(self._question, history):
            long_questions = model.long_questions()
            long = long_questions.long(self._question, history)
            events = long_questions.ask(
                self._question, long, lambda: history, journal, stored_id=self._stored_id
            )
        else:
            events = model.manager(history, journal).send(
                self._question, stored_id=self._stored_id, is_cacheable=self._before is None
            )
        return self._opened.remembering(events, self._turns.connected)

    @property
    def reply_ids(self) -> list[str | None]:
        """The ids of the answers, in the order in which their models were asked."""
        return [journal.reply_id for journal in self._journals]

    def settle(self, ends: Iterable[TurnEnd] = ()) -> None:
        """Continue the conversation after the first whole answer, without one after the first that has any text.

        Without any, it stands after the question, as after a failed turn; where it stood before if the question was
        asked before, was sent to nobody, or is one that no budget had room for.
        """
        session = self._opened.session
        ids = filter(None, self.reply_ids)
        answers = [record for reply_id in ids if (record := session.message(reply_id)) is not None]
        whole = [record for record in answers if record.reply and record.reply.finish_reason != INTERRUPTED]
        errors = [end.result.error for end in ends]
        is_unsent = bool(errors) and all(isinstance(error, BudgetReached) for error in errors)
        if answers:
            head: str | None = (whole or answers)[0].id
        elif self._before is not None or is_unsent:
            head = self._stood
        else:
            head = self._stored.id or self._stood
        if session.head != head:
            # Everything is stored already; a failing write changes nothing about that.
            with suppress(LocalIOError):
                self._opened.mark("head", head)
        self._opened.changes += 1


class _StoredOnce:
    """A journal's question, stored when the first of several turns stores it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.id: str | None = None

    def message(self, message: Message, *, parent: str | None) -> str:
        if self.id is None:
            self.id = self.journal.message(message, parent=parent)
        return self.id


class _SiblingJournal:
    """The journal of one of several turns with the same question."""

    def __init__(self, stored: _StoredOnce) -> None:
        self._stored = stored
        self.reply_id: str | None = None

    @property
    def name(self) -> str | None:
        return self._stored.journal.name

    def message(self, message: Message, *, parent: str | None) -> str:
        return self._stored.message(message, parent=parent)

    def begin_reply(self, *, parent: str | None) -> Reply:
        reply = self._stored.journal.begin_reply(parent=parent)
        self.reply_id = reply.id
        return reply

    def refused(self, message_id: str, reason: str) -> None:
        self._stored.journal.refused(message_id, reason)
