"""Limits on the bodies of responses: their size, their time, and what they are packed as."""

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
"""An error is reported by its status in time, however slowly its body arrives."""
_UNPACKED_BYTES: Final = 64 * 1024
_PACKED: Final = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


async def bound(response: httpx2.Response) -> None:
    """Limit the body of ``response`` to the size of an error, a list of models or embeddings.

    Answers are limited elsewhere.
    """
    # All bodies are JSON or an error's plain text. Some charsets that a server can name decompress, or raise.
    response.encoding = "utf-8"
    stream = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        return
    # No compression was requested. httpx2 would undo every layer at once: kilobytes that become gigabytes.
    packed_as = response.headers.pop("content-encoding", "").strip().lower()
    if packed_as in _PACKED:
        stream = Unpacked(stream)
    if not response.is_success:
        # An error that stays compressed is reported by its status alone.
        is_readable = packed_as in _PACKED | {"", "identity"}
        stream = _Bounded(stream, _LONGEST_ERROR_BYTES if is_readable else 0, _limit_s(response.request))
    elif _is_short(response.request):
        stream = _Bounded(stream, _LONGEST_LIST_BYTES)
    response.stream = stream


def _is_short(request: httpx2.Request) -> bool:
    """Return whether the response is a list of models, embeddings, or the state of something."""
    path = request.url.path
    if request.method == "GET":
        return not path.endswith("/content")  # the results of a batch, read line by line
    return path.endswith(("/embeddings", "/api/show", "/files", "/batches"))


def _limit_s(request: httpx2.Request) -> float:
    """Return how long an error's body may take, in seconds."""
    timeout_s = request.extensions.get("timeout", {}).get("read")
    return _LONGEST_ERROR_S if timeout_s is None else min(_LONGEST_ERROR_S, timeout_s * _SHARE_OF_TIMEOUT)


class Unpacked(httpx2.AsyncByteStream):
    """One layer of gzip or zlib removed; raises ``httpx2.DecodingError`` for anything else.

    With ``whole``, it raises that for a body that was cut as well.
    """

    def __init__(self, stream: httpx2.AsyncByteStream, *, whole: bool = False) -> None:
        self._stream = stream
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        async for chunk in self._stream:
            packed, unpacked = chunk, b""
            # A full block may have more behind it even where nothing packed is left.
            while packed or len(unpacked) == _UNPACKED_BYTES:
                try:
                    unpacked = unpacker.decompress(packed, _UNPACKED_BYTES)
                except zlib.error as error:
                    raise httpx2.DecodingError("a body that cannot be unpacked") from error
                packed = unpacker.unconsumed_tail
                yield unpacked
        if self._whole and not unpacker.eof:
            raise httpx2.DecodingError("a body that is cut")

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A body limited in bytes and, with a ``limit_s``, in seconds.

    With one, an interrupted body counts as far as received.
    """

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
