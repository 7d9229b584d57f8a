"""Reading ahead: what came meanwhile is handed on in one piece."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_AHEAD_BYTES: Final = 64 * 1024
"""As much as httpx2 reads at once. A server that is faster than its reader is kept waiting."""


class ReadingAhead:
    """Takes ``chunks`` while their reader does something else, for the length of an ``async with``.

    HTTP makes a chunk of every token, and one read from the network may bring hundreds. ``chunks`` runs in a task of
    its own, which comes to rest where it waits for the network: then everything before is there.
    """

    def __init__(self, chunks: AsyncGenerator[bytes]) -> None:
        self._chunks = chunks
        self._came: list[bytes] = []
        self._came_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        # The generator runs in the task until that ends.
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # which nobody may want to know any more

    async def next(self) -> bytes | None:
        """Return what has come once there is something, ``None`` at the end. Raise what reading it did."""
        await self._news.wait()
        if not self._came:
            self._task.result()
            return None
        came = b"".join(self._came)
        self._came.clear()
        self._came_bytes = 0
        self._room.set()
        if not self._task.done():
            self._news.clear()
        return came

    async def _read(self) -> None:
        try:
            async with aclosing(self._chunks):
                async for chunk in self._chunks:
                    if not chunk:
                        continue
                    self._came.append(chunk)
                    self._came_bytes += len(chunk)
                    self._news.set()
                    if self._came_bytes >= _AHEAD_BYTES:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._news.set()
