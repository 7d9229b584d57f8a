"""Reading ahead: bytes that have come meanwhile are handed on together, and many deltas at once as one."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from itertools import groupby
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
    from typing import TypeAlias

    from chatcli.core.events import ReasoningDelta, TextDelta

    Delta: TypeAlias = TextDelta | ReasoningDelta

_AHEAD_BYTES: Final = 64 * 1024
"""As much as httpx2 reads at once. A server that is faster than its reader is kept waiting."""

_WAITED_S: Final = 0.001
_FEW_BYTES: Final = 4 * 1024
TOGETHER_S: Final = 1 / 30
"""Where tokens trickle in, as long is slept between two looks: nobody sees it, and each look costs as much as a flood."""

_MANY: Final = 16
"""Nobody sees so many come one by one, but every layer and every observer would be asked for each."""


class ReadAhead:
    """Takes ``chunks`` while their reader does something else, for the length of an ``async with``.

    HTTP makes a chunk of every token, and one read from the network may bring hundreds. ``chunks`` runs in a task of
    its own, which comes to rest where it waits for the network: then everything before is there. Where little came
    since the last wait it rests for ``TOGETHER_S``, and what comes meanwhile is read at once.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._chunks = chunks
        self._clock = clock
        self._came: list[bytes] = []
        self._came_bytes = 0
        self._bytes_since_wait = 0
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
                asked_s = self._clock()
                async for chunk in self._chunks:
                    has_waited = self._clock() - asked_s > _WAITED_S
                    if not chunk:
                        continue
                    trickles = has_waited and self._bytes_since_wait < _FEW_BYTES
                    self._bytes_since_wait = len(chunk) + (0 if has_waited else self._bytes_since_wait)
                    self._came.append(chunk)
                    self._came_bytes += len(chunk)
                    self._news.set()
                    if self._came_bytes >= _AHEAD_BYTES:
                        self._room.clear()
                        await self._room.wait()
                    elif trickles:
                        await asyncio.sleep(TOGETHER_S)
                    asked_s = self._clock()
        finally:
            self._news.set()


def coalesced(deltas: Iterable[Delta]) -> Iterator[Delta]:
    """Yield ``deltas`` as they are; if they are many, text that follows text as one, and so with thoughts.

    Where ``deltas`` raises, what came before is yielded before that goes on.
    """
    read: list[Delta] = []
    try:
        read.extend(deltas)  # which keeps what it was given before it fails
    except Exception:
        yield from _runs(read)
        raise
    yield from _runs(read)


def _runs(read: list[Delta]) -> Iterator[Delta]:
    if len(read) < _MANY:
        yield from read
        return
    for kind, run in groupby(read, type):
        yield kind("".join(delta.text for delta in run))
