"""Preparing a conversation for the next question while the person reads or types."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ChatcliError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatcli.chat import Conversation
    from chatcli.repl.asking_ahead import AskingAhead

PATIENCE_S: Final = 2.0
"""How long a question waits for unfinished work: a nearly complete summary saves a repetition."""


class BetweenTurns:
    """Runs the summarizing or indexing that the context strategy wants, and then has the embedded model read ahead.

    Work the next question cannot wait for is cancelled without a trace, and the turn proceeds without it. A
    failure is reported once, through ``notify``: it would repeat with every turn. Questions are asked ``ahead`` if the
    person wants it.
    """

    def __init__(self, notify: Callable[[str], None], *, patience_s: float = PATIENCE_S) -> None:
        self._notify = notify
        self._patience_s = patience_s
        self._task: asyncio.Task[None] | None = None
        self._prefilling: asyncio.Task[None] | None = None
        self._prefilled: tuple[object, ...] = ()
        self._has_warned = False
        self.ahead: AskingAhead | None = None

    def begin(self, chat: Conversation, then: Callable[[], object] = lambda: None) -> None:
        """Start the work after a turn; call ``then`` once it has ended."""
        self._task = task = asyncio.create_task(self._get_ready(chat))

        def go_on(_: object) -> None:
            if self._task is task and not task.cancelled():
                self.prefill(chat)
                then()

        task.add_done_callback(go_on)

    def prefill(self, chat: Conversation) -> None:
        """Have the embedded model read the conversation, once for each state of it and when nothing else is going on."""
        state = chat.resolved, chat.session.head, chat.opened.changes
        is_embedded = chat.resolved is not None and chat.resolved.endpoint.embedded
        if is_embedded and not self._is_working and state != self._prefilled:
            self._prefilled = state
            self._prefilling = asyncio.create_task(_prefill(chat))

    @property
    def _is_working(self) -> bool:
        return any(task is not None and not task.done() for task in (self._task, self._prefilling))

    @property
    def proposals(self) -> Sequence[str]:
        """The questions that the person may ask next."""
        return () if self.ahead is None else self.ahead.proposals

    @property
    def status(self) -> str:
        """What is being asked ahead, empty for nothing."""
        return "" if self.ahead is None else self.ahead.status

    @property
    def is_asking(self) -> bool:
        """Whether this work, and not the person, is making a request."""
        return self._task is not None and asyncio.current_task() is self._task

    async def settle(self) -> None:
        """Wait a moment, then cancel unfinished work; what is done ahead is cancelled at once."""
        await self._stop_looking_ahead()
        if self._task is not None:
            try:
                await asyncio.wait([self._task], timeout=self._patience_s)
            finally:
                await self.stop()

    async def stop(self) -> None:
        """Cancel unfinished work."""
        await self._stop_looking_ahead()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _stop_looking_ahead(self) -> None:
        if self.ahead is not None:
            await self.ahead.stop()
        task, self._prefilling = self._prefilling, None
        if task is not None and not task.done():
            task.cancel()
            self._prefilled = ()
            with suppress(asyncio.CancelledError):
                await task

    async def _get_ready(self, chat: Conversation) -> None:
        try:
            await chat.get_ready()
        except ChatcliError as error:
            if not self._has_warned:
                self._notify(f"older turns could not be summarized and are left out: {error.traceable}")
            self._has_warned = True


async def _prefill(chat: Conversation) -> None:
    """Have the embedded model read what the next question will be asked after."""
    with suppress(ChatcliError):
        resolved, request = chat.turns.connected, chat.manager.request_ahead()
        if resolved.early is not None and request is not None:
            sent = tuple(map(resolved.as_sent, request.messages))
            await resolved.early.prefill(replace(request, messages=sent))
