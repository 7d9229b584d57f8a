"""A conversation that can be gone back in."""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from chatcli.chat.branches import Branches
from chatcli.chat.long_questions import LongQuestions
from chatcli.chat.memory import Memory
from chatcli.chat.seen import seen
from chatcli.chat.session_history import history_of
from chatcli.chat.summaries import Summaries
from chatcli.conversation.counting import MessageTokens, TiktokenCounter
from chatcli.conversation.history import History
from chatcli.conversation.manager import ConversationManager
from chatcli.conversation.strategies import strategy_of
from chatcli.conversation.summarizing import ModelSummarizer
from chatcli.conversation.vocabulary import vocabulary_for
from chatcli.core import messages
from chatcli.core.documents import name_of
from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.events import ContextFitted, Notice
from chatcli.core.messages import Message, TextPart
from chatcli.sessions.log import SessionLog
from chatcli.sessions.titles import title_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.chat.seen import Seen
    from chatcli.client.endpoint import Endpoint
    from chatcli.conversation.long_input.long_question import LongQuestion
    from chatcli.conversation.summarizing import Summarizer
    from chatcli.conversation.vocabulary import Vocabulary
    from chatcli.core.events import Event
    from chatcli.core.ports import Journal
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionFile, SessionStore
    from chatcli.target import Target


class Chat:
    """An open conversation: its session and, once ``connect`` was called, the model that is asked.

    ``branches`` goes back in it and across, ``memory`` says what the model keeps in mind of it, ``summaries`` what
    stands for its older turns. They only add marks to the session; nothing that was said is lost, and the conversation
    is at any time what a resume of its session would be. Methods raise ``UsageError`` where there is nothing to do, and
    ``LocalIOError`` where it cannot be written.

    ``system`` is the system prompt wished for this run; it is set on connecting.
    """

    def __init__(self, log: SessionLog, store: SessionStore, *, system: str | None = None) -> None:
        self.store = store
        self.target: Target | None = None
        self._log = log
        self.branches = Branches(log, self._resume)
        self.memory = Memory(log, self.branches, self._resume)
        self.summaries = Summaries(
            log,
            manager=lambda: self.manager,
            summarizer=self._summarizer,
            load_vocabulary=self.load_vocabulary,
        )
        self._wished_system = system
        self._manager: ConversationManager | None = None
        self._long: LongQuestions | None = None
        self._counters: dict[Vocabulary, TiktokenCounter] = {}
        self._tokens: dict[Vocabulary, MessageTokens] = {}
        self._last_is_unknown = False
        self._untold: list[Notice] = []

    @property
    def session(self) -> Session:
        return self._log.session

    @property
    def file(self) -> SessionFile | None:
        """Where the conversation is kept, or will be once something is asked; ``None`` when it is not."""
        return self._log.file

    @property
    def name(self) -> str | None:
        """What ``-s`` takes to resume; ``None`` when nothing is kept."""
        return self._log.name

    @property
    def is_kept(self) -> bool:
        """Whether all that was said is in the file."""
        return self._log.is_kept

    @property
    def answered_elsewhere(self) -> str | None:
        """The message another chatcli was at work on when this conversation was copied from its session."""
        return self._log.answered_elsewhere

    def untold(self) -> list[Notice]:
        """Return what became of the file that the person was not told yet."""
        told, self._untold = [*self._log.untold(), *self._untold], []
        return told

    @property
    def title(self) -> str:
        """The title the person gave, else their first words, on one line."""
        return title_of(self.session)

    @property
    def turns(self) -> int:
        """How many questions the conversation has, those before a ``clear`` too."""
        return len(self.session.questions)

    @property
    def system(self) -> str | None:
        """The system prompt in force, or about to be."""
        if self._wished_system is not None:
            return self._wished_system or None
        system = self.session.system
        return system.text or None if system else None

    @property
    def manager(self) -> ConversationManager:
        """What asks the model; ``ConfigurationError`` before ``connect``."""
        if self._manager is None:
            raise _not_connected()
        return self._manager

    @property
    def model_name(self) -> str:
        return self._connected().model_name

    @property
    def endpoint(self) -> Endpoint:
        return self._connected().endpoint

    def connect(self, target: Target) -> None:
        """Ask ``target`` from now on; the conversation stays as it is."""
        self.target = target
        self._long = self._long_questions(target)
        self._manager = self._manager_of(target, self._history(), self._log)
        system = self._wished_system
        if system is None and self.session.system is None:
            system = target.default_system
        if system is not None:
            self._keep_system(system)

    def switch(self, target: Target) -> None:
        """Connect to ``target`` as the person's choice for this conversation: a resume will ask the same model."""
        self.connect(target)
        self._mark_model(target)

    def seen(self, target: Target | None = None, question: Message | None = None) -> Seen:
        """Return what the model sees, or what that of another ``target`` would, with ``question`` or the next one."""
        connected = self._connected()
        if target is None:
            return seen(self.manager, connected, self.session, question)
        beside = self._manager_of(target, self.manager.history, self._log)
        return seen(beside, target, self.session, question)

    def counted_beyond(self) -> float:
        """Return how much more than by the vocabulary the endpoint was seen to count, as a share."""
        target = self._connected()
        return 0.0 if target.counts is None else target.counts.share(target.model_name)

    def cached_tokens(self) -> tuple[int, int]:
        """Return how many tokens were sent for the answers of the conversation, and how many the provider had cached."""
        replies = (record.reply for record in self.session.path() if record.role == "assistant")
        usages = [reply.usage for reply in replies if reply is not None and reply.usage is not None]
        return (
            sum(usage.input_tokens or 0 for usage in usages),
            sum(usage.cached_tokens or 0 for usage in usages),
        )

    def load_vocabulary(self) -> None:
        """Load what counts the tokens of the model's text, as a thread may while the person types."""
        if self.target is not None:
            self._counter_for(self.target.model_name).load()

    async def get_ready(self, question: Message | None = None) -> None:
        """Do what ``question``, or the next one, would have to wait for: sum older turns up, or look them through.

        Raise a ``ChatcliError`` where that fails; nothing has changed then, and less of them is sent.
        """
        await self.manager.look_ahead()
        await self.summaries.catch_up(question)

    def hurry(self) -> bool:
        """Ask again now where another attempt is waited for; return whether one was."""
        return self.target is not None and self.target.pause.cut_short()

    def close(self) -> None:
        """Let go of the session's file."""
        self._log.close()

    def send(self, question: Message) -> AsyncGenerator[Event]:
        """Ask; see ``ConversationManager.send``. The session becomes the one used last.

        Where a question is being edited, this one is asked in its place, beside it, with what was attached to that.
        """
        edited = self.branches.editing
        if edited is None:
            return self._remembering(self._asking(self.manager, question))
        question = _with_attached_of(edited.message, question)
        if edited.message == question:
            return self._ask_again(edited)
        manager, stood = self.manager, self.session.head
        self.branches.go_before(edited)
        return self._unless_unasked(self._asking(manager, question), stood)

    def retry(self, target: Target | None = None) -> AsyncGenerator[Event]:
        """Ask the last question again, for an answer in place of the one it has.

        The old answer is still in the session beside the new one, and stands again if nothing comes of this.
        ``target`` is asked this once in place of the conversation's own.
        """
        return self._ask_again(self.branches.latest(1)[0], target=target)

    def continue_answer(self) -> AsyncGenerator[Event]:
        """Ask for the rest of the last answer where that was cut, and keep the whole in its place."""
        last = [record for record in self.session.context() if record.role != "system"][-1:]
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
        return self._ask_again(self.branches.latest(1)[0], answer_so_far=last[0].message.text)

    def aside(
        self, question: Message, *, system: str | None = None, with_history: bool = True
    ) -> AsyncGenerator[Event]:
        """Ask beside the conversation: nothing of it is kept, and the model is not told of it later.

        ``system`` stands in for the system prompt; without ``with_history`` the model sees the question alone.
        """
        target = self._connected()
        history = self._history() if with_history else History()
        if system is not None:
            history.system = messages.system(system)
        return self._manager_of(target, history, SessionLog(None, app="aside")).send(question)

    def _ask_again(
        self, asked: MessageRecord, *, answer_so_far: str = "", target: Target | None = None
    ) -> AsyncGenerator[Event]:
        manager = self.manager
        if target is not None:
            manager = self._manager_of(target, manager.history, self._log)
        stood, path = self.session.head, self.session.path()
        at = self.branches.place(asked)
        if asked.id in self.session.dropped:
            # Who asks for another answer wants the model to know of the question.
            self._mark("undrop", asked.id)
        if any(record.role == "system" for record in path[at:]):
            # The system prompt was set after the question, which is asked anew to stand behind it.
            self.branches.go_before(asked)
            events = self._asking(manager, asked.message, target=target, answer_so_far=answer_so_far)
        else:
            self.branches.go_on_from(asked.id)
            events = self._asking(
                manager, asked.message, target=target, kept_as=asked.id, answer_so_far=answer_so_far
            )
        return self._again(manager, events, asked, stood)

    def set_system(self, text: str | None) -> None:
        """Make ``text`` the system prompt from here on; ``None`` takes it away."""
        if not text and self.system is None:
            raise UsageError("there is no system prompt", hint="set one first", code="no_system_prompt")
        self._keep_system(text or "")

    def fork(self, file: SessionFile | None = None) -> None:
        """Go on in a copy of the whole conversation, in ``file`` or beside the one there is, which stays as it is."""
        if file is None:
            copies = self.file.copies() if self.file else iter([self.store.new()])
            file = next(copy for copy in copies if not copy.path.exists())
        name, head = self.name, self.session.head
        self.save_as(file)
        if name is not None:
            self._mark("fork", {"session": name, "message": head})

    def set_title(self, text: str) -> None:
        if not text.strip():
            raise UsageError("a title cannot be empty", hint="give one", code="empty_title")
        self._mark("title", text)

    def save_as(self, file: SessionFile) -> None:
        """Copy the whole conversation to a new session file and go on there; an existing file is refused.

        A conversation that was not kept is from then on.
        """
        self._log.save_as(file)
        self.store.remember(file)

    def _connected(self) -> Target:
        if self.target is None:
            raise _not_connected()
        return self.target

    def _summarizer(self) -> Summarizer:
        target = self._connected()
        return ModelSummarizer(target.model, target.summary_model or target.model_name, target.parameters)

    @property
    def long_questions(self) -> LongQuestions:
        """What asks questions that do not fit; ``ConfigurationError`` before ``connect``."""
        if self._long is None:
            raise _not_connected()
        return self._long

    async def long_question(self, question: Message) -> LongQuestion | None:
        """Return ``question`` as one that does not fit, ``None`` for one that does."""
        edited = self.branches.editing
        asked = question if edited is None else _with_attached_of(edited.message, question)
        return await self.long_questions.look(asked, self.manager.history)

    def _history(self) -> History:
        return history_of(
            self.session,
            longest_tokens=self._long.longest_tokens if self._long else None,
            separates_reasoning=self.target is not None and self.target.separates_reasoning,
        )

    def _long_questions(self, target: Target) -> LongQuestions:
        counter = self._counter_for(target.model_name)
        return LongQuestions(target, self._tokens_at(target), counter, partial(self._manager_of, target))

    def _asking(
        self,
        manager: ConversationManager,
        question: Message,
        *,
        target: Target | None = None,
        kept_as: str | None = None,
        answer_so_far: str = "",
    ) -> AsyncGenerator[Event]:
        """Return the turn that ``manager`` makes of ``question``, or one that reads what does not fit."""
        long = self.long_questions if target is None else self._long_questions(target)
        if long.found(question, manager.history) is None:
            return manager.send(question, kept_as=kept_as, answer_so_far=answer_so_far)
        events = long.ask(
            question, lambda: manager.history, self._log, kept_as=kept_as, answer_so_far=answer_so_far
        )
        return self._then_resumed(events)

    async def _then_resumed(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Pass on a turn whose question was sent in another form than it is kept in."""
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            self._resume()

    def _manager_of(
        self, target: Target, history: History, journal: Journal, tokens: MessageTokens | None = None
    ) -> ConversationManager:
        return ConversationManager(
            model=target.model,
            model_name=target.model_name,
            history=history,
            journal=journal,
            tokens=tokens or self._tokens_at(target),
            window_tokens=target.window_tokens,
            parameters=target.parameters,
            strategy=strategy_of(target.context, target.turn_vectors),
        )

    def _tokens_at(self, target: Target) -> MessageTokens:
        """Return what counts as the endpoint does, as far as it has shown that."""
        tokens, counts, model = self._tokens_for(target.model_name), target.counts, target.model_name
        return tokens if counts is None else tokens.corrected(lambda: counts.share(model))

    def _tokens_for(self, model_name: str) -> MessageTokens:
        counter = self._counter_for(model_name)
        return self._tokens.setdefault(counter.vocabulary, MessageTokens(counter))

    def _counter_for(self, model_name: str) -> TiktokenCounter:
        vocabulary = vocabulary_for(model_name)
        return self._counters.setdefault(vocabulary, TiktokenCounter(vocabulary))

    def _mark_model(self, target: Target) -> None:
        """Have the session remember the model, so that whoever goes on with it asks the same one."""
        name, host = target.model_name, target.endpoint.host
        # The embedded model is chosen by its endpoint; no other endpoint knows its name.
        if not target.endpoint.embedded and (self.session.model, self.session.model_endpoint) != (name, host):
            self._log.mark("model", name, parent=self.session.head, endpoint=host)

    def _mark(self, kind: str, value: Any = None) -> None:
        self._log.mark(kind, value, parent=self.session.head)

    def _keep_system(self, text: str) -> None:
        message = messages.system(text) if text else Message("system", ())
        if message != self.session.system:
            self._log.message(message, parent=self.session.head)
            self._resume()
        self._wished_system = None

    def _resume(self) -> None:
        if self._manager is not None:
            self._manager.resume(self._history())

    async def _unless_unasked(
        self, events: AsyncGenerator[Event], stood: str | None
    ) -> AsyncGenerator[Event]:
        """Pass on a turn; where its question was not even stored, the conversation stands as before."""
        before = self.session.head
        try:
            async with aclosing(self._remembering(events)) as remembering:
                async for event in remembering:
                    yield event
        finally:
            if self.session.head == before:
                with suppress(LocalIOError):
                    self._mark("head", stood)
                self._resume()

    async def _again(
        self,
        manager: ConversationManager,
        events: AsyncGenerator[Event],
        asked: MessageRecord,
        stood: str | None,
    ) -> AsyncGenerator[Event]:
        history = self._history()
        if history.turns and history.turns[-1].ids[:1] == (asked.id,):
            history.drop_last()
        manager.resume(history)
        try:
            async with aclosing(self._remembering(events)) as remembering:
                async for event in remembering:
                    yield event
        finally:
            # Whatever cannot be written now, the turn itself has told its end already.
            with suppress(LocalIOError):
                self._stand_by(stood)
            self._resume()

    def _stand_by(self, stood: str | None) -> None:
        """Go back to the answer there was, unless another came."""
        head = self.session.head
        newest = None if head is None else self.session.message(head)
        if head != stood and (newest is None or newest.role != "assistant"):
            self._mark("head", stood)

    async def _remembering(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Pass on a turn and, before its last event, what became of its file."""
        async with aclosing(events):
            async for event in events:
                for notice in self.untold():
                    yield notice
                yield event
                if isinstance(event, ContextFitted):
                    self._remember()
                    if self.target is not None:
                        self._mark_model(self.target)

    def _remember(self) -> None:
        try:
            if self.file is not None and self.is_kept:
                self.store.remember(self.file)
        except LocalIOError as error:
            if not self._last_is_unknown:
                self._untold.append(Notice(error.code, f"{error.clause}; {error.hint}"))
            self._last_is_unknown = True


def _with_attached_of(edited: Message, question: Message) -> Message:
    """Return ``question`` with what was attached to the one before it and is not attached anew."""
    anew = {name_of(part.text) for part in question.documents}
    kept = (part for part in edited.parts if not isinstance(part, TextPart) or part.origin == "document")
    return replace(
        question,
        parts=question.parts
        + tuple(part for part in kept if not isinstance(part, TextPart) or name_of(part.text) not in anew),
    )


def _not_connected() -> ConfigurationError:
    return ConfigurationError(
        "no model is ready yet", hint="wait a moment, or choose one with /model", code="not_connected"
    )
