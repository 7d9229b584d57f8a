"""An open session: its records, its file, and the marks set on it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from chatcli.core import messages
from chatcli.core.errors import LocalIOError, UsageError
from chatcli.core.events import ContextFitted, Notice, TurnFailed, TurnFinished, TurnStarted
from chatcli.core.messages import Message
from chatcli.sessions.titles import title_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import Event
    from chatcli.core.ports import Journal
    from chatcli.sessions.log import SessionLog
    from chatcli.sessions.records import MessageRecord
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionFile, SessionStore


class OpenSession:
    """The log of a conversation and the store it is in. Records are only added, so nothing is lost.

    ``changes`` grows with every change of the context other than a new turn; a history made before it is
    outdated. ``system`` is the system prompt requested for this run, which is set once there is a model.
    Methods raise ``UsageError`` if there is nothing to do, and ``LocalIOError`` if the file cannot be
    written.
    """

    def __init__(self, log: SessionLog, store: SessionStore, *, system: str | None = None) -> None:
        self.store = store
        self.session: Session = log.session
        self.journal: Journal = log
        """The journal of the coming turns."""
        self.notices: list[Notice] = log.notices
        """Notices about the file that the person has not seen; whoever shows one removes it."""
        self.editing: MessageRecord | None = None
        """The question that the next one replaces."""
        self.resumes_with: ResolvedModel | None = None
        """The model that a resume goes on with, if another one is asked just now."""
        self.changes = 0
        self._log = log
        self._requested_system = system
        self._last_is_unknown = False

    @property
    def file(self) -> SessionFile | None:
        """The file of the conversation, or the one its first question will create; ``None`` if it is not saved."""
        return self._log.file

    @property
    def name(self) -> str | None:
        """The name to pass to ``-s`` to resume; ``None`` if nothing is saved, or not everything is in the file."""
        return self._log.name

    @property
    def title(self) -> str:
        """The person's title, else the beginning of the first question, on one line."""
        return title_of(self.session)

    @property
    def answered_elsewhere(self) -> str | None:
        """The message another chatcli was answering when this conversation was copied from its session."""
        return self._log.answered_elsewhere

    @property
    def system(self) -> str | None:
        """The system prompt in force, or about to be."""
        if self._requested_system is not None:
            return self._requested_system or None
        system = self.session.system
        return system.text or None if system else None

    def cached_tokens(self) -> tuple[int, int]:
        """Return the number of input tokens of the conversation's answers, and how many of them the provider had cached."""
        replies = (record.reply for record in self.session.path() if record.role == "assistant")
        usages = [reply.usage for reply in replies if reply is not None and reply.usage is not None]
        return (
            sum(usage.input_tokens or 0 for usage in usages),
            sum(usage.cached_tokens or 0 for usage in usages if usage.is_cache_possible),
        )

    def mark(self, kind: str, value: Any = None, *, changes_context: bool = False) -> None:
        """Add a mark after the newest message; ``changes_context``: the model sees another context from now on."""
        self._log.mark(kind, value, parent=self.session.head)
        self.changes += changes_context

    def mark_model(self, name: str, endpoint: Endpoint) -> None:
        """Store the model in the session, so that a resume asks the same one."""
        host = endpoint.host
        # The embedded model is selected by its endpoint; other endpoints do not have it.
        if not endpoint.embedded and (self.session.model, self.session.model_endpoint) != (name, host):
            self._log.mark("model", name, parent=self.session.head, endpoint=host)

    def go_on_from(self, message_id: str | None) -> None:
        """Move the head. The system prompt in force stays, even if it was set after that message."""
        system = self.session.system
        self.mark("head", message_id, changes_context=True)
        if system is not None and system != self.session.system:
            self._log.message(system, parent=self.session.head)

    def set_title(self, text: str) -> None:
        if not text.strip():
            raise UsageError("a title cannot be empty", hint="give one", code="empty_title")
        self.mark("title", text)

    def set_system(self, text: str | None) -> None:
        """Set the system prompt from here on; ``None`` removes it."""
        if not text and self.system is None:
            raise UsageError("there is no system prompt", hint="set one first", code="no_system_prompt")
        self._keep_system(text or "")

    def apply_system(self, default: str | None) -> None:
        """Set the system prompt requested for this run, else ``default`` if the session has none."""
        system = self._requested_system
        if system is None and default is not None and self.session.system is None:
            system = default
        if system is not None:
            self._keep_system(system)

    def save_as(self, file: SessionFile) -> None:
        """Copy the whole conversation to a new session file and continue there; an existing file is refused.

        A conversation that was not saved is saved from then on.
        """
        self._log.save_as(file)
        self.store.remember(file)

    def fork(self, file: SessionFile | None = None) -> None:
        """Continue in a copy of the whole conversation, in ``file`` or beside the current one, which stays unchanged."""
        if file is None:
            copies = self.file.copies() if self.file else iter([self.store.new()])
            file = next(copy for copy in copies if not copy.path.exists())
        name, head = self.name, self.session.head
        self.save_as(file)
        if name is not None:
            self.mark("fork", {"session": name, "message": head})

    def mark_last_used(self, model: str, endpoint: Endpoint) -> None:
        """Record this session as the last used, with its model; a failure is reported once."""
        try:
            if self._log.file is not None and self._log.name is not None:
                self.store.remember(self._log.file)
        except LocalIOError as error:
            if not self._last_is_unknown:
                self.notices.append(Notice(error.code, f"{error.clause}; {error.hint}"))
            self._last_is_unknown = True
        self.mark_model(model, endpoint)

    async def remembering(self, events: AsyncGenerator[Event], asked: ResolvedModel) -> AsyncGenerator[Event]:
        """Pass on a turn with the notices about its file before the last event, and mark the session as last used."""
        is_due, asked = False, self.resumes_with or asked
        try:
            async with aclosing(events):
                async for event in events:
                    if is_due and isinstance(event, TurnFinished | TurnFailed):
                        is_due = False
                        self.mark_last_used(asked.model_name, asked.endpoint)
                    if not isinstance(event, TurnStarted):  # nothing has been written before it
                        while self.notices:
                            yield self.notices.pop(0)
                    yield event
                    # Marked once the request has left and the first answer to it is shown.
                    if is_due:
                        is_due = False
                        self.mark_last_used(asked.model_name, asked.endpoint)
                    is_due = isinstance(event, ContextFitted)
        finally:
            if is_due:
                self.mark_last_used(asked.model_name, asked.endpoint)

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _keep_system(self, text: str) -> None:
        message = messages.system(text) if text else Message("system", ())
        if message != self.session.system:
            self._log.message(message, parent=self.session.head)
            self.changes += 1
        self._requested_system = None
