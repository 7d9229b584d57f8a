"""Preparing the next turn while the person types, so that Enter only sends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.app.threads import in_thread
from chatcli.core import messages
from chatcli.core.errors import ChatcliError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatcli.repl.queue import Submission
    from chatcli.repl.repl_session import ReplSession

QUIET_S: Final = 0.15
"""The pause in typing after which the draft is prepared."""

_CHECK_S: Final = 1.0
"""How often the connection of a standing draft is looked at: the server may have closed it."""

_CHECK_UNRESOLVED_S: Final = 0.1
"""The same before the model is resolved, while everything loads."""

_ABANDONED_S: Final = 120.0
"""A draft left alone for so long keeps no connection open."""

_QUICK_CHARACTERS: Final = 10_000
"""A longer draft is searched for keys in a thread."""


class Draft(NamedTuple):
    """What the person is writing: ``is_question`` tells quickly whether it would be asked, ``read`` returns it."""

    is_question: Callable[[], bool]
    read: Callable[[], Submission]


class DraftPreparation:
    """Follows a draft from its first key until it is sent or abandoned.

    With the first key, a connection to the endpoint is opened; nothing is sent over it. After a pause the draft is
    read with its attachments, scanned, counted and fitted. Errors are left to the turn, which uses what is prepared
    only if it would come to the same. Nothing is done while ``is_busy``: a turn is running.
    """

    def __init__(
        self, repl: ReplSession, draft: Draft, *, is_busy: Callable[[], bool], quiet_s: float = QUIET_S
    ) -> None:
        self._repl = repl
        self._draft = draft
        self._is_busy = is_busy
        self._quiet_s = quiet_s
        self._is_changed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._prepared: tuple[object, ...] = ()

    def changed(self) -> None:
        """Note that the draft has changed; called with every key."""
        self._is_changed.set()
        if not self._draft.is_question():
            return
        self._open_connection()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        for task in (self._following, self._opening):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _follow(self) -> None:
        repl = self._repl
        while self._draft.is_question() and repl.frontend.idle_s() < _ABANDONED_S:
            self._is_changed.clear()
            self._open_connection()
            if repl.chat.resolved is not None:
                await self._prepare_after_pause()
            if repl.chat.resolved is not None and not self._is_busy():
                repl.between_turns.prefill(repl.chat)
            check_s = _CHECK_UNRESOLVED_S if repl.chat.resolved is None else _CHECK_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_changed.wait(), check_s)

    def _open_connection(self) -> None:
        resolved = self._repl.chat.resolved
        if resolved is None or resolved.early is None or self._is_busy():
            return
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(_quietly(resolved.early.open_connection()))

    async def _prepare_after_pause(self) -> None:
        while (left_s := self._quiet_s - self._repl.frontend.idle_s()) > 0:  # noqa: ASYNC110 - a key is no change
            await asyncio.sleep(left_s)
        if self._is_busy() or not self._draft.is_question():
            return
        draft, chat = self._draft.read(), self._repl.chat
        basis = draft, chat.resolved, chat.session.head, chat.opened.changes
        if basis != self._prepared:
            self._prepared = basis
            await _quietly(self._prepare(draft))

    async def _prepare(self, draft: Submission) -> None:
        text, redactor = draft.text, self._repl.context.redactor
        is_short = len(text) <= _QUICK_CHARACTERS
        if redactor.keys_in(text) if is_short else await in_thread(lambda: redactor.keys_in(text)):
            return
        documents = await self._repl.attachments.read_ahead(draft.shown)
        if documents is not None:
            await self._repl.chat.turns.prepare(messages.question(text, *documents))


async def _quietly(preparation: Awaitable[None]) -> None:
    with suppress(ChatcliError, OSError):
        await preparation
