"""Plain HTTP/1.1 for many requests at once to one endpoint, where a general client costs ten times as much.

A request of a batch differs from the one before only in its body: everything else is made once. Connections are kept and
used again, the one used last first. An endpoint behind a proxy, and Azure's older API, are left to the SDK: ``Endpoint.is_direct``.
Failures are raised as httpx2 raises them, and statuses as the SDK does, so that they have one translation.

RFC 9112: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2
import openai

from chatcli.client.network_faults import stalled
from chatcli.client.openai_client import Unpacked, check_key, trusted_context
from chatcli.core.frozen import frozen
from chatcli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from chatcli.client.endpoint import Endpoint

_HEAD_BYTES: Final = 64 * 1024
_BUFFER_BYTES: Final = 256 * 1024
_ERROR_BYTES: Final = 1024 * 1024
_ERROR_S: Final = 5.0
_SHARE_OF_TIMEOUT: Final = 0.5
_MOST_INTERIM: Final = 20
_IDLE_S: Final = 60.0
"""A connection that was unused for so long has probably been closed at the other end."""
_PORTS: Final = {"http": 80, "https": 443}
_EMPTY_STATUSES: Final = {204, 304}
_FIRST_ERROR: Final = 300


@frozen
class DirectResponse:
    """A whole response with a status below 300; ``headers`` have lower-case names."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class BodyTooLong(Exception):
    """A body passed its limit."""


class DirectConnections:
    """The connections to ``endpoint``; ``environment`` names certificates, and the organization at OpenAI.

    Raise a ``ConfigurationError`` for certificates or a key that cannot be used.
    """

    def __init__(self, endpoint: Endpoint, environment: Mapping[str, str]) -> None:
        check_key(endpoint)
        parts = urlsplit(endpoint.base_url)
        self._endpoint = endpoint
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._path = parts.path.rstrip("/")
        self._tls = trusted_context(endpoint, environment) if parts.scheme == "https" else None
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": f"chatcli/{__version__}",
        }
        if endpoint.key is not None:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        if endpoint.is_openai:
            given = {
                "OpenAI-Organization": environment.get("OPENAI_ORG_ID"),
                "OpenAI-Project": environment.get("OPENAI_PROJECT_ID"),
            }
            headers |= {name: value for name, value in given.items() if value}
        self._headers = headers
        self._heads: dict[str, bytes] = {}
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, *, most_bytes: int) -> DirectResponse:
        """Send ``body`` and return the response.

        Raise an ``httpx2.HTTPError``, an ``openai.APIStatusError`` for a status of 300 or more, ``TimeoutError`` if
        the answer does not begin in time, ``TimedOut`` if it does not go on, and ``BodyTooLong`` if it is longer
        than ``most_bytes``.
        """
        if path not in self._heads:
            lines = [
                f"POST {self._path}{path} HTTP/1.1",
                *(f"{name}: {value}" for name, value in self._headers.items()),
            ]
            self._heads[path] = ("\r\n".join(lines) + "\r\nContent-Length: ").encode()
        content = b"%b%d\r\n\r\n%b" % (self._heads[path], len(body), body)
        while True:
            connection = await self._reusable()
            is_fresh = connection is None
            if connection is None:
                connection = await self._connect()
            try:
                response = await self._exchange(connection, content, most_bytes)
            except _Stale:
                # The server closed the connection just as it was used again.
                connection.close()
                if is_fresh:
                    raise httpx2.RemoteProtocolError(
                        "Server disconnected without sending a response."
                    ) from None
                continue
            except BaseException:
                connection.close()
                raise
            if connection.is_reusable:
                self._idle.append(connection)
            else:
                connection.close()
            if response.status_code >= _FIRST_ERROR:
                raise status_error_of(response, f"{self._endpoint.base_url.rstrip('/')}{path}")
            return response

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)

    async def _reusable(self) -> _Connection | None:
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if now_s - connection.used_at_s < _IDLE_S and await connection.is_silent():
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(self._endpoint.connect_timeout_s):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._tls, limit=_BUFFER_BYTES
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection") from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        return _Connection(reader, writer)

    async def _exchange(self, connection: _Connection, content: bytes, most_bytes: int) -> DirectResponse:
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(endpoint.timeout_s):
                status, headers = await connection.send(content)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                raise httpx2.RemoteProtocolError("peer closed connection in the headers") from error
            raise _Stale from error
        except asyncio.LimitOverrunError as error:
            raise httpx2.RemoteProtocolError("the headers are too long") from error
        is_error = status >= _FIRST_ERROR
        is_packed = "content-encoding" in headers
        most = _ERROR_BYTES if is_error else most_bytes
        pause_s = min(endpoint.idle_timeout_s, endpoint.timeout_s)
        patience_s: tuple[float, float | None] = (endpoint.timeout_s, pause_s)
        if is_error:
            patience_s = (min(_ERROR_S, endpoint.timeout_s * _SHARE_OF_TIMEOUT), None)
        try:
            body = await connection.body(status, headers, most_bytes=most, patience_s=patience_s)
            body = await _unpacked(body, headers, most_bytes=most)
        except (
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            BodyTooLong,
            httpx2.HTTPError,
        ) as error:
            connection.is_reusable = False
            if is_error:
                # The status says enough, and what arrived may say more.
                body = b"" if is_packed else b"".join(connection.received)[:_ERROR_BYTES]
            elif isinstance(error, TimeoutError) and connection.has_begun:
                raise stalled(endpoint.host, pause_s) from error
            elif isinstance(error, BodyTooLong | TimeoutError | httpx2.HTTPError):
                raise
            else:
                raise httpx2.RemoteProtocolError(
                    "peer closed connection without sending complete message body"
                ) from error
        connection.used_at_s = asyncio.get_running_loop().time()
        return DirectResponse(status, headers, body)


def status_error_of(response: DirectResponse, url: str) -> openai.APIStatusError:
    """Return the error for a response with a status of 300 or more."""
    whole = httpx2.Response(
        response.status_code,
        headers=dict(response.headers),
        content=response.content,
        request=httpx2.Request("POST", url),
    )
    return openai.APIStatusError(f"status {response.status_code}", response=whole, body=None)


class _Stale(Exception):
    """The connection ended before any of a response came."""


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        self.is_reusable = True
        self.used_at_s = 0.0
        self.received: list[bytes] = []
        self.has_begun = False

    async def is_silent(self) -> bool:
        """Return whether nothing has arrived since the last response, the end included.

        What has arrived was not asked for: it would be taken for the next response, and every row would get the
        answer of another.
        """
        await asyncio.sleep(0)  # what has reached this machine is received
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(0):
                await self.reader.read(1)
            return False
        return self.reader.exception() is None

    def close(self) -> None:
        with suppress(OSError, RuntimeError):
            self._writer.transport.abort()

    async def send(self, content: bytes) -> tuple[int, dict[str, str]]:
        """Send a request and return status and headers of the response."""
        self._writer.write(content)
        if len(content) > _BUFFER_BYTES:
            await self._writer.drain()
        for _ in range(_MOST_INTERIM):
            head = await self.reader.readuntil(b"\r\n\r\n")
            if len(head) > _HEAD_BYTES:
                raise httpx2.RemoteProtocolError("the headers are too long")
            status, headers, is_old = _read_head(head)
            if status >= 200:  # noqa: PLR2004 - 100 to 199 announce another head
                options = headers.get("connection", "").lower()
                self.is_reusable = "close" not in options and (not is_old or "keep-alive" in options)
                return status, headers
        raise httpx2.RemoteProtocolError("too many interim responses")

    async def body(
        self,
        status: int,
        headers: Mapping[str, str],
        *,
        most_bytes: int,
        patience_s: tuple[float, float | None],
    ) -> bytes:
        """Return the body of a response, of which ``received`` has what arrived if it fails.

        Raise ``TimeoutError`` if it has not begun after the first of ``patience_s``, or pauses for the second. Blanks,
        with which servers keep a connection alive, neither begin a body nor end a pause. ``None`` allows no
        more than the first for all of it.
        """
        self.received, self.has_begun = [], False
        if status in _EMPTY_STATUSES:
            return b""
        begin_s, pause_s = patience_s
        async with asyncio.timeout(begin_s) as waiting:
            async with aclosing(self._pieces(headers, most_bytes)) as pieces:
                async for piece in pieces:
                    self.received.append(piece)
                    if not piece.isspace():
                        self.has_begun = True
                        if pause_s is not None:
                            waiting.reschedule(asyncio.get_running_loop().time() + pause_s)
        return b"".join(self.received)

    def _pieces(self, headers: Mapping[str, str], most_bytes: int) -> AsyncGenerator[bytes]:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunked(most_bytes)
        length = headers.get("content-length")
        if length is None:
            self.is_reusable = False
            return self._rest(most_bytes)
        if not length.isdecimal():
            raise httpx2.RemoteProtocolError(f"invalid content-length {length[:40]}")
        if int(length) > most_bytes:
            raise BodyTooLong
        return self._exactly(int(length))

    async def _exactly(self, length: int) -> AsyncGenerator[bytes]:
        left = length
        while left:
            piece = await self.reader.read(left)
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece

    async def _chunked(self, most_bytes: int) -> AsyncGenerator[bytes]:
        total = 0
        while size := _chunk_size(await self.reader.readuntil(b"\n")):
            total += size
            if total > most_bytes:
                raise BodyTooLong
            async with aclosing(self._exactly(size)) as pieces:
                async for piece in pieces:
                    yield piece
            if await self.reader.readexactly(2) != b"\r\n":
                raise httpx2.RemoteProtocolError("an invalid chunk")
        while (await self.reader.readuntil(b"\n")).strip():
            pass  # trailers

    async def _rest(self, most_bytes: int) -> AsyncGenerator[bytes]:
        total = 0
        while piece := await self.reader.read(_BUFFER_BYTES):
            total += len(piece)
            if total > most_bytes:
                raise BodyTooLong
            yield piece


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise httpx2.RemoteProtocolError("an invalid chunk")
    return int(digits, 16)


def _read_head(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Return status and headers, and whether it is HTTP/1.0; raise ``RemoteProtocolError`` for anything else."""
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdecimal():
        raise httpx2.RemoteProtocolError("illegal status line")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise httpx2.RemoteProtocolError("illegal header line")
        headers[name.lower()] = value.strip()
    return int(status), headers, version == "HTTP/1.0"


async def _unpacked(body: bytes, headers: dict[str, str], *, most_bytes: int) -> bytes:
    """Undo a compression nobody asked for; raise ``BodyTooLong`` if it makes more than ``most_bytes`` of kilobytes."""
    packed_as = headers.pop("content-encoding", "identity").strip().lower()
    if packed_as in ("", "identity"):
        return body
    if packed_as not in ("gzip", "x-gzip", "deflate"):
        raise httpx2.DecodingError("a body that cannot be unpacked")
    unpacked = bytearray()
    async with aclosing(Unpacked(_Whole(body), whole=True)) as pieces:
        async for piece in pieces:
            unpacked += piece
            if len(unpacked) > most_bytes:
                raise BodyTooLong
    return bytes(unpacked)


class _Whole(httpx2.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        yield self._content
