"""Bodies that are read in one piece, cut where a server does not end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LONGEST_ERROR_BYTES: Final = 1024 * 1024
_LONGEST_LIST_BYTES: Final = 32 * 1024 * 1024


async def bound(response: httpx2.Response) -> None:
    """Let no more of ``response`` be read than an error or a list of models can have; answers are bounded elsewhere."""
    if not response.is_success:
        # The package reads an error whole. A small one that unpacks to gigabytes stays packed, and unread.
        response.headers.pop("content-encoding", None)
        _bound(response, _LONGEST_ERROR_BYTES)
    elif response.request.method == "GET":
        _bound(response, _LONGEST_LIST_BYTES)


def _bound(response: httpx2.Response, limit_bytes: int) -> None:
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Bounded(response.stream, limit_bytes)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, limit_bytes: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit_bytes
        async for chunk in self._stream:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()
