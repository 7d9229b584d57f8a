"""Bodies as far as they are of use: unpacked a piece at a time, and cut where a server does not end them."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LONGEST_ERROR_BYTES: Final = 1024 * 1024
_LONGEST_LIST_BYTES: Final = 32 * 1024 * 1024
_LONGEST_ERROR_S: Final = 5.0
_SHARE_OF_TIMEOUT: Final = 0.5
"""An error is told by its status in time, however slowly its words come."""
_PIECE_BYTES: Final = 64 * 1024
_PACKED: Final = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


async def bound(response: httpx2.Response) -> None:
    """Let no more of ``response`` be read than an error, a list of models or vectors can have.

    Answers are bounded elsewhere.
    """
    # All that is read is JSON or an error's plain text. Some of the charsets a server can name unpack, or raise.
    response.encoding = "utf-8"
    stream = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        return
    # Nothing packed was asked for. httpx2 would unpack every layer of it at once: kilobytes that become gigabytes.
    packed_as = response.headers.pop("content-encoding", "").strip().lower()
    if packed_as in _PACKED:
        stream = _Unpacked(stream)
    if not response.is_success:
        # An error that stays packed is told by its status alone.
        is_readable = packed_as in _PACKED | {"", "identity"}
        stream = _Bounded(stream, _LONGEST_ERROR_BYTES if is_readable else 0, _limit_s(response.request))
    elif response.request.method == "GET" or response.request.url.path.endswith(("/embeddings", "/api/show")):
        stream = _Bounded(stream, _LONGEST_LIST_BYTES)
    response.stream = stream


def _limit_s(request: httpx2.Request) -> float:
    """Return how long an error's body may take, in seconds."""
    timeout_s = request.extensions.get("timeout", {}).get("read")
    return _LONGEST_ERROR_S if timeout_s is None else min(_LONGEST_ERROR_S, timeout_s * _SHARE_OF_TIMEOUT)


class _Unpacked(httpx2.AsyncByteStream):
    """One layer of gzip or zlib taken away; raises ``httpx2.DecodingError`` for what is neither."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        async for chunk in self._stream:
            packed = chunk
            while packed:
                try:
                    piece = unpacker.decompress(packed, _PIECE_BYTES)
                except zlib.error as error:
                    raise httpx2.DecodingError("a body that cannot be unpacked") from error
                packed = unpacker.unconsumed_tail
                yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """So many bytes of a body; of one with a ``limit_s`` as much as comes in so many seconds, and before it breaks."""

    def __init__(
        self, stream: httpx2.AsyncByteStream, limit_bytes: int, limit_s: float | None = None
    ) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._limit_s = limit_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit_bytes
        passed_over: tuple[type[Exception], ...] = (httpx2.DecodingError,)
        deadline = None
        if self._limit_s is not None:
            passed_over = (httpx2.DecodingError, httpx2.TransportError, TimeoutError)
            deadline = asyncio.get_running_loop().time() + self._limit_s
        chunks = aiter(self._stream)
        with suppress(*passed_over):
            while left > 0:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk[:left]
                left -= len(chunk)

    async def aclose(self) -> None:
        await self._stream.aclose()
