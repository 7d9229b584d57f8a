"""Completing when a key asks for it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from prompt_toolkit.buffer import CompletionState
from prompt_toolkit.completion import CompleteEvent

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.document import Document


class Completing:
    """Takes the first completion of what is written in ``buffer``, and the next ones after that.

    prompt_toolkit passes over a key that comes while it still looks for what it offers unasked: who types a few letters
    and Tab at once would get nothing.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._looking: asyncio.Future[None] | None = None

    @property
    def offers(self) -> bool:
        state = self._buffer.complete_state
        return state is not None and bool(state.completions)

    def forward(self) -> None:
        if self.offers and not self._took_a_folder():
            self._buffer.complete_next()
            return
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.ensure_future(self._take_first(self._buffer.document))

    def back(self) -> None:
        if self.offers:
            self._buffer.complete_previous()

    def _took_a_folder(self) -> bool:
        """Whether the only completion there was is taken and a folder: what is in it comes next."""
        state = self._buffer.complete_state
        is_taken = state is not None and state.current_completion is not None and len(state.completions) == 1
        return is_taken and self._buffer.document.char_before_cursor == "/"

    async def _take_first(self, document: Document) -> None:
        buffer = self._buffer
        event = CompleteEvent(completion_requested=True)
        async with aclosing(buffer.completer.get_completions_async(document, event)) as found:
            completions = [completion async for completion in found]
        if not completions or buffer.document != document:
            return
        buffer.complete_state = CompletionState(document, completions)
        buffer.go_to_completion(0)
        if len(completions) == 1 and buffer.document == document:
            buffer.complete_state = None
        buffer.on_completions_changed.fire()
