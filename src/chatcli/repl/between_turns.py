"""Preparing a conversation for the next question while the person reads or types."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ChatcliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.chat import Conversation

PATIENCE_S: Final = 2.0
"""How long a question waits for unfinished work: a nearly complete summary saves a repetition."""


class BetweenTurns:
    """Runs the summarizing or indexing that the context strategy wants.

    Work the next question cannot wait for is cancelled without a trace, and the turn proceeds without it. A
    failure is reported once, through ``notify``: it would repeat with every turn.
    """

    def __init__(self, notify: Callable[[str], None], *, patience_s: float = PATIENCE_S) -> None:
        self._notify = notify
        self._patience_s = patience_s
        self._task: asyncio.Task[None] | None = None
        self._has_warned = False

    def begin(self, chat: Conversation) -> None:
        """Start the work after a turn."""
        self._task = asyncio.create_task(self._get_ready(chat))

    @property
    def is_asking(self) -> bool:
        """Whether this work, and not the person, is making a request."""
        return self._task is not None and asyncio.current_task() is self._task

    async def settle(self) -> None:
        """Wait a moment, then cancel unfinished work."""
        if self._task is not None:
            try:
                await asyncio.wait([self._task], timeout=self._patience_s)
            finally:
                await self.stop()

    async def stop(self) -> None:
        """Cancel unfinished work."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _get_ready(self, chat: Conversation) -> None:
        try:
            await chat.get_ready()
        except ChatcliError as error:
            if not self._has_warned:
                self._notify(f"older turns could not be summarized and are left out: {error.message}")
            self._has_warned = True
