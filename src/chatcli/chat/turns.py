"""The turns of a conversation: each question goes to the manager, or to the reader of long questions."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.chat.context_report import context_report
from chatcli.chat.session_history import ModelInUse, history_of
from chatcli.conversation.context import Window
from chatcli.conversation.counting import VocabularyTokens
from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.messages import TextPart
from chatcli.sessions.log import SessionLog
from chatcli.text.documents import name_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from chatcli.chat.branches import Branches
    from chatcli.chat.context_report import ContextReport
    from chatcli.chat.long_questions import LongQuestions
    from chatcli.chat.open_session import OpenSession
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.long_question import LongQuestion
    from chatcli.conversation.manager import ConversationManager
    from chatcli.core.events import Event
    from chatcli.core.messages import Message
    from chatcli.core.request import ResponseFormat
    from chatcli.safety.screening import Suspect
    from chatcli.sessions.records import MessageRecord


_SHORT_BYTES: Final = 100_000
"""A text of this size is counted within a hundredth of a second."""


class Examined(NamedTuple):
    """A question as it will be sent; ``long`` has the options if it does not fit, else ``None``."""

    question: Message
    long: LongQuestion | None


class Turns:
    """Sends questions of a session to ``resolved``, once ``connect`` was called; ``ConfigurationError`` before that.

    The model always sees the conversation as the session defines it, after any undo, pin or drop.
    """

    def __init__(self, opened: OpenSession) -> None:
        self.resolved: ResolvedModel | None = None
        self._opened = opened
        self._vocabularies = VocabularyTokens()
        self._model: ModelInUse | None = None
        self._response_format: ResponseFormat | None = None
        self._manager: ConversationManager | None = None
        self._long_questions: LongQuestions | None = None
        self._applied_changes = 0

    @cached_property
    def branches(self) -> Branches:
        # Imported on first use: a question that is simply asked moves to no other branch.
        from chatcli.chat.branches import Branches  # noqa: PLC0415

        return Branches(self._opened)

    @property
    def manager(self) -> ConversationManager:
        """The manager, with the current history."""
        if self._manager is None:
            raise _not_connected()
        if self._applied_changes != self._opened.changes:
            self._adopt_history(self._manager, self._history())
        return self._manager

    @property
    def connected(self) -> ResolvedModel:
        if self.resolved is None:
            raise _not_connected()
        return self.resolved

    @property
    def long_questions(self) -> LongQuestions:
        """The handler of questions that do not fit."""
        if self._long_questions is None:
            self._long_questions = self.model_in_use.long_questions()
        return self._long_questions

    @property
    def response_format(self) -> ResponseFormat | None:
        """The form of the answers of the conversation, ``None`` for any; asides have none."""
        return self._response_format

    @response_format.setter
    def response_format(self, wanted: ResponseFormat | None) -> None:
        self._response_format = wanted
        self._long_questions = None
        if self._model is not None and self._manager is not None:
            self._model = self._model._replace(response_format=wanted)
            self._manager.response_format = wanted
            self._manager.resume(self._manager.history)  # the schema takes room of the window

    @property
    def model_in_use(self) -> ModelInUse:
        """The model, with its token counter and its window."""
        if self._model is None:
            raise _not_connected()
        return self._model

    def connect(self, resolved: ResolvedModel) -> None:
        """Ask ``resolved`` from now on; the conversation stays as it is."""
        self.resolved = resolved
        self._model = self.model_at(resolved)
        self._long_questions = None
        self._applied_changes = self._opened.changes
        self._manager = self._model.manager(self._history(), self._opened.journal)
        self._opened.apply_system(resolved.default_system)

    def model_at(self, resolved: ResolvedModel) -> ModelInUse:
        """Return ``resolved`` as this conversation asks it."""
        counts, model = resolved.counts, resolved.model_name
        share = None if counts is None else partial(counts.share, model)
        tokens = self._vocabularies.tokens_for(model, share, resolved.as_sent)
        window = Window.of(resolved.window_tokens, resolved.parameters.max_tokens)
        return ModelInUse(resolved, tokens, window, self._response_format)

    def load_vocabulary(self) -> None:
        """Load the vocabulary of the model; can run in a thread while the person types."""
        if self.resolved is not None:
            self._vocabularies.load(self.resolved.model_name)

    def retry_now(self) -> bool:
        """End the wait before the next attempt; return whether there was one."""
        return self.resolved is not None and self.resolved.retry_now()

    def report(self, resolved: ResolvedModel | None = None, question: Message | None = None) -> ContextReport:
        """Return the context of the model, or of ``resolved`` in its place, with ``question`` or the next one."""
        manager = self.manager
        if resolved is not None:
            manager = self.model_at(resolved).manager(manager.history, self._opened.journal)
        return context_report(manager, resolved or self.connected, self._opened.session, question)

    def counted_beyond(self) -> float:
        """Return the share by which the endpoint counts more tokens than the vocabulary does."""
        resolved = self.connected
        return 0.0 if resolved.counts is None else resolved.counts.share(resolved.model_name)

    async def examine(self, question: Message) -> Examined:
        """Check once per turn whether a question, as ``whole`` returns it, fits; large texts are counted in a thread."""
        whole, history = question, self.manager.history
        if self.model_in_use.tokens.upper_bound(whole) <= _SHORT_BYTES:
            return Examined(whole, self.long(whole, history))
        return Examined(whole, await asyncio.to_thread(self.long, whole, history))

    def long(self, question: Message, history: History | None = None) -> LongQuestion | None:
        """Return ``question`` as a long question, ``None`` if it fits."""
        history = history or self.manager.history
        is_long = self.model_in_use.cannot_fit(question, history)
        return self.long_questions.long(question, history) if is_long else None

    async def prepare(self, question: Message) -> None:
        """Do ahead what ``send`` does before the request of ``question`` leaves; see ``ConversationManager.anticipate``."""
        request = await self.manager.anticipate(self.whole(question))
        look_up, early = self.connected.look_up_early, self.connected.early
        if request is not None and early is not None:
            early.encode(request)
        if request is not None and look_up is not None and self._opened.editing is None:
            await look_up(request)

    async def blocked(
        self,
        question: Message,
        *,
        replaced: MessageRecord | None = None,
        resolved: ResolvedModel | None = None,
    ) -> Sequence[Suspect]:
        """Return the texts that keep ``question`` from being sent until the person allows them; usually none.

        It is asked next, or in place of the question ``replaced``; ``resolved`` is another model to ask.
        """
        screen = self.connected.screen
        if screen is None or not screen.blocks:
            return ()
        manager = self.manager
        if replaced is not None or resolved is not None:
            model = self.model_in_use if resolved is None else self.model_at(resolved)
            manager = model.manager(self.history_before(replaced), self._opened.journal)
        plan = manager.context(question)
        return await screen.blocked([message for part in plan.parts for message in part.messages])

    def history_before(self, question: MessageRecord | None) -> History:
        """Return a new history of the conversation up to ``question``, or of all of it."""
        history = self._history()
        if question is not None:
            ids = [record.id for record in self._opened.session.questions]
            history.drop_from(ids[ids.index(question.id) :])
        return history

    def whole(self, question: Message) -> Message:
        """Return ``question`` with those attachments of the question it replaces that are not attached anew."""
        edited = self._opened.editing
        if edited is None:
            return question
        anew = {name_of(part.text) for part in question.documents}
        kept = (
            part
            for part in edited.message.parts
            if not isinstance(part, TextPart)
            or (part.origin == "document" and name_of(part.text) not in anew)
        )
        return replace(question, parts=(*question.parts, *kept))

    def send(self, question: Message | Examined) -> AsyncGenerator[Event]:
        """Send a question; see ``ConversationManager.send``. The session becomes the last used.

        If a question is being edited, this one replaces it as its sibling, with the attachments of that one.
        """
        if isinstance(question, Examined):
            whole, long = question
        else:
            whole = self.whole(question)
            long = self.long(whole)
        edited = self._opened.editing
        if edited is None:
            asking = (
                self._asking(self.manager, whole, long)
                if long is not None
                else self.manager.send(whole, is_cacheable=True)
            )
            return self._opened.remembering(asking, self.connected)
        if edited.message == whole:
            return self._ask_again(edited)
        stood = self._opened.session.head
        self.branches.go_before(edited)
        return self._restoring_if_unsent(self._asking(self.manager, whole, long), stood)

    def retry(
        self, resolved: ResolvedModel | None = None, *, question: Message | None = None
    ) -> AsyncGenerator[Event]:
        """Ask the last question again, for an answer in place of the current one.

        The old answer stays in the session as a sibling, and becomes current again if the new one fails.
        ``resolved`` replaces the conversation's model for this answer, ``question`` the question, as a sibling.
        """
        return self._ask_again(self.branches.latest(1)[0], question, resolved=resolved)

    def continue_answer(self, *, question: Message | None = None) -> AsyncGenerator[Event]:
        """Request the remainder of a cut last answer, and store the whole in its place.

        ``question`` replaces the question it answers, as a sibling.
        """
        partial = self.partial_answer()
        return self._ask_again(self.branches.latest(1)[0], question, partial_answer=partial)

    def partial_answer(self) -> str:
        """Return the text of the last answer. Raise ``UsageError`` if there is none, or it is complete."""
        last = [record for record in self._opened.session.context() if record.role != "system"][-1:]
        if not last or last[0].role != "assistant":
            raise UsageError(
                "there is no answer to continue",
                hint="/retry asks the last question again",
                code="no_answer",
            )
        reply = last[0].reply
        if reply is not None and reply.finish_reason == "stop":
            raise UsageError(
                "the last answer is already complete",
                hint="ask for more in your own words",
                code="complete_answer",
            )
        return last[0].message.text

    def aside(self, question: Message, *, history: History | None = None) -> AsyncGenerator[Event]:
        """Ask outside the conversation: nothing is stored, and the model does not see it later.

        ``history`` replaces the conversation before the question.
        """
        return self.beside(history or self._history()).send(question)

    def beside(self, history: History) -> ConversationManager:
        """Return a manager for another history; nothing of it is stored."""
        model = self.model_in_use._replace(response_format=None)
        return model.manager(history, SessionLog(None, app="aside"))

    def go_back_to(self, asked: MessageRecord, question: Message) -> str | None:
        """Go back for another answer to ``asked``; return its id if it is what ``question`` says, else go before it."""
        session, path = self._opened.session, self._opened.session.path()
        at = self.branches.place(asked)
        if asked.id in session.dropped:
            # A retried question is sent even if the person had dropped it.
            self._opened.mark("undrop", asked.id)
        # If the system prompt was set after the question, the question is asked anew after it.
        if question == asked.message and all(record.role != "system" for record in path[at:]):
            self.branches.go_on_from(asked.id)
            return asked.id
        self.branches.go_before(asked)
        return None

    def _ask_again(
        self,
        question_record: MessageRecord,
        question: Message | None = None,
        *,
        partial_answer: str = "",
        resolved: ResolvedModel | None = None,
    ) -> AsyncGenerator[Event]:
        question = question or question_record.message
        stood = self._opened.session.head
        stored_id = self.go_back_to(question_record, question)
        model, manager, history = self.model_in_use, self.manager, self.manager.history
        if resolved is not None:
            model = self.model_at(resolved)
            manager = model.manager(history, self._opened.journal)
        long, long_questions = None, None
        if model.cannot_fit(question, history):
            long_questions = self.long_questions if resolved is None else model.long_questions()
            long = long_questions.long(question, history, partial_answer=partial_answer)
        events = self._asking(
            manager,
            question,
            long,
            long_questions=long_questions,
            stored_id=stored_id,
            partial_answer=partial_answer,
        )
        return self._again(manager, events, question_record, stood)

    def _asking(
        self,
        manager: ConversationManager,
        question: Message,
        long: LongQuestion | None,
        *,
        long_questions: LongQuestions | None = None,
        stored_id: str | None = None,
        partial_answer: str = "",
    ) -> AsyncGenerator[Event]:
        """Return the events of ``manager`` for ``question``, or those of reading a long question."""
        if long is None:
            return manager.send(question, stored_id=stored_id, partial_answer=partial_answer)
        asking = long_questions or self.long_questions
        return self._then_changed(
            asking.ask(
                question,
                long,
                lambda: manager.history,
                self._opened.journal,
                stored_id=stored_id,
                partial_answer=partial_answer,
            )
        )

    def _history(self) -> History:
        session = self._opened.session
        return history_of(session) if self._model is None else self._model.history_of(session)

    def _adopt_history(self, manager: ConversationManager, history: History) -> None:
        manager.resume(history)
        if manager is self._manager:
            self._applied_changes = self._opened.changes

    async def _then_changed(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Pass on a turn whose question was sent in another form than it is stored in."""
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            self._opened.changes += 1

    async def _restoring_if_unsent(
        self, events: AsyncGenerator[Event], stood: str | None
    ) -> AsyncGenerator[Event]:
        """Pass on a turn; if its question was not even stored, restore the conversation as it was."""
        before = self._opened.session.head
        try:
            async with aclosing(self._opened.remembering(events, self.connected)) as remembering:
                async for event in remembering:
                    yield event
        finally:
            if self._opened.session.head == before:
                with suppress(LocalIOError):
                    self._opened.mark("head", stood)
                self._opened.changes += 1

    async def _again(
        self,
        manager: ConversationManager,
        events: AsyncGenerator[Event],
        question_record: MessageRecord,
        stood: str | None,
    ) -> AsyncGenerator[Event]:
        history = self._history()
        if history.turns and history.turns[-1].ids[:1] == (question_record.id,):
            history.drop_last()
        self._adopt_history(manager, history)
        try:
            async with aclosing(self._opened.remembering(events, self.connected)) as remembering:
                async for event in remembering:
                    yield event
        finally:
            # The turn has reported its end already; a failing write changes nothing about that.
            with suppress(LocalIOError):
                self._restore_answer(stood)
            self._opened.changes += 1

    def _restore_answer(self, stood: str | None) -> None:
        """Restore the previous answer unless there is a new one."""
        session = self._opened.session
        newest = None if session.head is None else session.message(session.head)
        if session.head != stood and (newest is None or newest.role != "assistant"):
            self._opened.mark("head", stood)


def _not_connected() -> ConfigurationError:
    return ConfigurationError(
        "no model is ready yet", hint="wait a moment, or choose one with /model", code="not_connected"
    )
