"""An open conversation: its session, turns, branches, memory and summary."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from chatcli.chat.memory import Memory
from chatcli.chat.open_session import OpenSession
from chatcli.chat.session_history import history_of
from chatcli.chat.summaries import Summaries
from chatcli.chat.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.chat.branches import Branches
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.manager import ConversationManager
    from chatcli.core.messages import Message
    from chatcli.sessions.log import SessionLog
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionStore

__all__ = ["Conversation", "history_of"]


class Conversation:
    """An open conversation: its session and, once ``turns`` are connected, its model.

    ``opened`` is the session with its file and marks, ``turns`` sends questions, ``branches`` moves between
    branches, ``memory`` holds pins and notes, ``summaries`` the summary of older turns. The state always
    equals that of a resumed session. ``system`` is the system prompt requested for this run; it is set on
    connecting.
    """

    def __init__(self, log: SessionLog, store: SessionStore, *, system: str | None = None) -> None:
        self.session: Session = log.session
        self.opened = OpenSession(log, store, system=system)
        self.turns = Turns(self.opened)

    @property
    def branches(self) -> Branches:
        return self.turns.branches

    @cached_property
    def memory(self) -> Memory:
        return Memory(self.opened, self.branches)

    @cached_property
    def summaries(self) -> Summaries:
        return Summaries(self.opened, self.turns)

    @property
    def resolved(self) -> ResolvedModel | None:
        return self.turns.resolved

    @property
    def manager(self) -> ConversationManager:
        """The manager that asks the model; raises ``ConfigurationError`` before there is one."""
        return self.turns.manager

    def switch(self, resolved: ResolvedModel) -> None:
        """Connect to ``resolved`` as the person's choice for this conversation: a resume will ask the same model."""
        self.turns.connect(resolved)
        self.opened.mark_model(resolved.model_name, resolved.endpoint)

    @contextmanager
    def asking(self, resolved: ResolvedModel) -> Iterator[None]:
        """Ask ``resolved`` meanwhile; a resume goes on with the model of before, as this conversation does."""
        before = self.turns.connected
        self.opened.resumes_with = before
        self.turns.connect(resolved)
        try:
            yield
        finally:
            self.opened.resumes_with = None
            self.turns.connect(before)

    async def get_ready(self, question: Message | None = None) -> None:
        """Prepare for ``question``, or the next one: summarize older turns, or index them.

        Raise a ``ChatcliError`` if that fails; nothing has changed then, and fewer turns are sent.
        """
        await self.manager.look_ahead()
        await self.summaries.catch_up(question)

    def close(self) -> None:
        """Close the session's file."""
        self.opened.close()
