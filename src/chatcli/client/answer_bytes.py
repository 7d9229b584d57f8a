"""The bytes of an answer: watched for silence, told apart by how they begin, bounded in length."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from chatcli.client.network_faults import timed_out
from chatcli.client.read_ahead import TOGETHER_S, ReadAhead
from chatcli.core.errors import AnswerTooLarge, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from chatcli.client.endpoint import Endpoint

_FLOOD_BYTES: Final = 64 * 1024
"""How much of what is no answer may come before its sender is kept waiting."""

_SHARE_FOR_FLOODS: Final = 9
"""Reading what is no answer takes at most a tenth of the time."""

_AFTER_END_S: Final = 5.0
_LEFTOVER_S: Final = 0.05
BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_STARTS_OF_EVENTS: Final = (b"data", b"event", b"id", b"retry", b":")
_STARTS_OF_DOCUMENTS: Final = (b"{", b"[", b"<")


class IdleTimeout:
    """How long nothing of an answer may come.

    Before the answer begins that is ``endpoint.timeout_s``, from then on ``endpoint.idle_timeout_s``. What counts is
    pieces of an answer, not the comments and empty events that keep a connection alive; and only the time that was
    spent waiting or on reading those, not that in which a slow reader kept the server waiting.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._limit_s = self._left_s = endpoint.timeout_s
        self._began = False
        self._is_over = False
        self._was_broken = False
        self._useless_bytes = 0
        self._rest_s = 0.0

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Count the time that passes in here; raise ``TimedOut`` when it is too long."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                yield
        except TimeoutError as error:
            raise self._too_long(error) from error
        self._left_s = max(0.0, self._left_s - (loop.time() - began_s))

    async def rest(self) -> None:
        """Keep a server waiting that floods its reader with what is no answer."""
        if self._rest_s:
            await asyncio.sleep(self._rest_s)

    def read(self, length: int, took_s: float) -> None:
        """Note that so many bytes were read in so many seconds; raise ``TimedOut`` where that went on for too long."""
        was_broken, self._was_broken = self._was_broken, False
        if was_broken:
            self._useless_bytes, self._rest_s = 0, 0.0
            return
        self._useless_bytes += length
        if self._useless_bytes > _FLOOD_BYTES:
            self._rest_s = max(TOGETHER_S, _SHARE_FOR_FLOODS * took_s)
        self._left_s -= took_s
        if self._left_s <= 0:
            raise self._too_long(TimeoutError())

    def broken(self) -> None:
        """Count anew: a piece of the answer came."""
        self._began = True
        if not self._is_over:
            self._was_broken = True
            self._allow(min(self._endpoint.idle_timeout_s, self._endpoint.timeout_s))

    def answer_is_complete(self) -> None:
        """Wait only a little longer, whatever comes: what may still be of use is the usage."""
        if not self._is_over:
            self._is_over = True
            self._allow(min(_AFTER_END_S, self._limit_s))

    def _too_long(self, error: TimeoutError) -> TimedOut:
        if self._began:
            return TimedOut(
                f"{self._endpoint.host}: nothing received for {self._limit_s:g} s",
                hint="try again, or allow more with idle_timeout_s",
            )
        return timed_out(self._endpoint, error)

    def _allow(self, limit_s: float) -> None:
        self._limit_s = self._left_s = limit_s


async def watched(chunks: AsyncGenerator[bytes], idle: IdleTimeout) -> AsyncGenerator[bytes]:
    """Yield ``chunks``, joined where they are there together; raise ``TimedOut`` when the silence is too long."""
    loop = asyncio.get_running_loop()
    async with ReadAhead(chunks) as reading:
        while True:
            async with idle.bounded():
                await idle.rest()
                came = await reading.next()
            if came is None:
                return
            began_s = loop.time()
            yield came
            idle.read(len(came), loop.time() - began_s)


async def beginning(chunks: AsyncGenerator[bytes]) -> bytes:
    """Take from ``chunks`` until something other than blanks has come, and return it without those before it."""
    async for chunk in chunks:
        if taken := chunk.lstrip(BLANK):
            return taken
    return b""


def are_events(start: bytes, content_type: str) -> bool:
    """Tell whether a body that begins with ``start`` is a stream of events; its type counts where the start does not."""
    text = start.lstrip(BLANK)
    if not text or text.startswith(_STARTS_OF_DOCUMENTS):
        return False
    if content_type.startswith("text/event-stream"):
        return True
    # Some proxies name any type; a first chunk may hold a part of the first word only.
    return any(text.startswith(word) or word.startswith(text) for word in _STARTS_OF_EVENTS)


async def rejoined(start: bytes, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield ``start`` and then ``chunks``."""
    async with aclosing(chunks):
        yield start
        async for chunk in chunks:
            yield chunk


async def whole(chunks: AsyncGenerator[bytes], idle: IdleTimeout, endpoint: Endpoint) -> bytes:
    """Return all of ``chunks``; raise ``AnswerTooLarge`` where they do not end."""
    pieces: list[bytes] = []
    length = 0
    async for chunk in chunks:
        pieces.append(chunk)
        length += len(chunk)
        if length > endpoint.largest_answer_bytes:
            raise too_large(endpoint)
        if chunk.strip(BLANK):
            idle.broken()
    return b"".join(pieces)


def too_large(endpoint: Endpoint) -> AnswerTooLarge:
    return AnswerTooLarge(
        f"{endpoint.host}: the answer is larger than {endpoint.largest_answer_mb:,} MB, the rest was left out",
        hint="allow more with largest_answer_mb; if this is no answer, check base_url",
    )


async def drained(chunks: AsyncGenerator[object]) -> None:
    """Read what follows the end of an answer, if it comes at once: only then can the connection be used again."""
    with suppress(TimeoutError, TimedOut):
        async with asyncio.timeout(_LEFTOVER_S):
            async for _ in chunks:
                pass
