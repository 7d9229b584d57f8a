"""Plain HTTP/1.1 for many requests at once to one endpoint, where a general client costs ten times as much.

A request of a batch differs from the one before only in its body: everything else is made once. Connections are kept and
used again, the one used last first. An endpoint behind a proxy, and Azure's older API, are left to the SDK: ``Endpoint.is_direct``.
Failures are raised as httpx2 raises them, and statuses as the SDK does, so that they have one translation.

RFC 9112: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import httpx2
import openai

from chatcli.client.http_responses import ERROR_BYTES, FIRST_ERROR, BodyTooLong, ResponseParser
from chatcli.client.network_faults import stalled
from chatcli.client.openai_client import check_key, trusted_context
from chatcli.client.response_limits import Unpacked
from chatcli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.wire_log import WireLog

_ERROR_S: Final = 5.0
_SHARE_OF_TIMEOUT: Final = 0.5
_IDLE_S: Final = 60.0
"""A connection that was unused for so long has probably been closed at the other end."""
_PORTS: Final = {"http": 80, "https": 443}


class DirectResponse(NamedTuple):
    """A whole response; ``headers`` have lower-case names."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    reason: str = ""


class DirectConnections:
    """The connections to ``endpoint``; ``environment`` names certificates, and the organization at OpenAI.

    Raise a ``ConfigurationError`` for certificates or a key that cannot be used.
    """

    def __init__(
        self, endpoint: Endpoint, environment: Mapping[str, str], wire_log: WireLog | None = None
    ) -> None:
        check_key(endpoint)
        self._wire_log = wire_log
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
        self._watch = _Watch()
        pause_s = min(endpoint.idle_timeout_s, endpoint.timeout_s)
        self._patience = _Patience(
            endpoint.timeout_s, pause_s, min(_ERROR_S, endpoint.timeout_s * _SHARE_OF_TIMEOUT)
        )

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
        url = f"{self._endpoint.base_url.rstrip('/')}{path}"
        if self._wire_log is not None:
            self._wire_log.sent("POST", url, self._headers.items(), body)
        response = await self._respond(content, most_bytes)
        if self._wire_log is not None:
            self._wire_log.answered(response.status_code, response.headers.items())
            self._wire_log.body("received", response.content)
        if response.status_code >= FIRST_ERROR:
            raise status_error_of(response, url)
        return response

    async def _respond(self, content: bytes, most_bytes: int) -> DirectResponse:
        """Return the response to a request."""
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
            if connection.is_usable:
                self._idle.append(connection)
            else:
                connection.close()
            return response

    async def close(self) -> None:
        self._watch.stop()
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
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._endpoint.connect_timeout_s):
                _, connection = await loop.create_connection(
                    partial(_Connection, self._watch, self._patience), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection") from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        except UnicodeError as error:
            # A part of the name is empty or too long: it is not looked up at all.
            raise httpx2.ConnectError(str(error)) from socket.gaierror(str(error))
        return connection

    async def _exchange(self, connection: _Connection, content: bytes, most_bytes: int) -> DirectResponse:
        reader = ResponseParser(most_bytes)
        packed_as = ""
        try:
            await connection.ask(content, reader)
            body = reader.body
            if packed_as := _packed_as(reader):
                most = ERROR_BYTES if reader.is_error else most_bytes
                body = await _unpacked(body, packed_as, most_bytes=most)
        except (TimeoutError, BodyTooLong, httpx2.HTTPError) as error:
            connection.is_usable = False
            if reader.is_error:
                # The status says enough, and what arrived may say more.
                body = b"" if packed_as or _packed_as(reader) else reader.body[:ERROR_BYTES]
            elif isinstance(error, TimeoutError) and reader.words:
                raise stalled(self._endpoint.host, self._patience.pause_s) from error
            else:
                raise
        return DirectResponse(reader.status_code, reader.headers, body, reader.reason)


def status_error_of(response: DirectResponse, url: str) -> openai.APIStatusError:
    """Return the error for a response with a status of 300 or more."""
    # The names of headers are ASCII, and their values any bytes.
    headers = [
        (name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()
    ]
    reason = response.reason.encode("latin-1", "replace")
    whole = httpx2.Response(
        response.status_code,
        headers=headers,
        content=response.content,
        request=httpx2.Request("POST", url),
        extensions={"reason_phrase": reason} if reason else None,
    )
    return openai.APIStatusError(f"status {response.status_code}", response=whole, body=None)


class _Stale(Exception):
    """The connection ended before any of a response came."""


class _Patience(NamedTuple):
    """How long a response is waited for: its head, and then its body, for ``begin_s`` each, a body that pauses for ``pause_s``.

    Blanks, with which servers keep a connection alive, neither begin a body nor end a pause. All of the body of an error
    has ``error_s``.
    """

    begin_s: float
    pause_s: float
    error_s: float


class _Watch:
    """Ends the waiting of connections when their time is over: one timer for all, as one for each request costs more."""

    def __init__(self) -> None:
        self.waiting: set[_Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def look_at(self, time_s: float) -> None:
        """Look at the connections at ``time_s`` of the loop, if not before."""
        if self._timer is None or time_s < self._timer.when():
            self.stop()
            self._timer = asyncio.get_running_loop().call_at(time_s, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        later_s = [connection.ends_s for connection in self.waiting if connection.ends_s > now_s]
        for connection in self.waiting:
            if connection.ends_s <= now_s:
                connection.fail(TimeoutError())
        if later_s:
            self.look_at(min(later_s))


class _Connection(asyncio.Protocol):
    """A connection that is asked for one response after the other."""

    def __init__(self, watch: _Watch, patience: _Patience) -> None:
        self.is_usable = True
        self.used_at_s = 0.0
        self.ends_s = 0.0
        """When the time for the response, or its next part, is over."""
        self._watch = watch
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._reader: ResponseParser | None = None
        self._response: asyncio.Future[None] = self._loop.create_future()
        self._poll: select.poll | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        if sys.platform != "win32":
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    async def is_silent(self) -> bool:
        """Return whether nothing has arrived since the last response, the end included.

        What has arrived was not asked for: it would be taken for the next response, and every row would get the
        answer of another.
        """
        if self.is_usable and (self._poll is None or self._poll.poll(0)):
            # What has reached this machine is received: the loop finds it in one pass, and reads it before the next.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return self.is_usable

    async def ask(self, content: bytes, reader: ResponseParser) -> None:
        """Send a request and have ``reader`` read the response.

        Raise ``TimeoutError``, ``_Stale`` if the connection ends before any of a response, and as the reader does.
        """
        self._reader, self._response = reader, self._loop.create_future()
        self.ends_s = self._loop.time() + self._patience.begin_s
        self._watch.waiting.add(self)
        self._watch.look_at(self.ends_s)
        try:
            self._transport.write(content)
            await self._response
        finally:
            self._reader = None
            self._watch.waiting.discard(self)
        self.used_at_s = self._loop.time()
        # An answer may come before all of the question was sent: what is left of it would begin the next one.
        is_sent = not self._transport.get_write_buffer_size()
        self.is_usable = self.is_usable and is_sent and reader.is_reusable and not reader.rest

    def close(self) -> None:
        self.is_usable = False
        with suppress(OSError, RuntimeError):
            self._transport.abort()

    def fail(self, error: Exception) -> None:
        if not self._response.done():
            self._response.set_exception(error)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self.close()  # nobody asked for it
            return
        if self._response.done():
            self.is_usable = False
            return
        had_head, words = reader.status_code, reader.words
        try:
            reader.feed(data)
        except (BodyTooLong, httpx2.HTTPError) as error:
            self.fail(error)
            return
        if reader.is_over:
            self._response.set_result(None)
        elif reader.status_code and not had_head:
            self._wait_for(self._patience.error_s if reader.is_error else self._patience.begin_s)
        if reader.words > words and not (reader.is_over or reader.is_error):
            self._wait_for(self._patience.pause_s)

    def _wait_for(self, time_s: float) -> None:
        self.ends_s = self._loop.time() + time_s
        self._watch.look_at(self.ends_s)

    def eof_received(self) -> None:
        """Have the transport closed; ``connection_lost`` follows in a later pass of the loop."""
        self.is_usable = self.is_usable and self._reader is not None

    def connection_lost(self, error: Exception | None) -> None:
        self.is_usable = False
        reader = self._reader
        if reader is None or self._response.done():
            return
        if error is None and reader.end():
            self._response.set_result(None)
        elif not reader.has_begun:
            self.fail(_Stale())
        else:
            part = "sending complete message body" if reader.status_code else "sending complete headers"
            self.fail(httpx2.RemoteProtocolError(f"peer closed connection without {part}"))


def _packed_as(reader: ResponseParser) -> str:
    """Take the name of a compression from the headers; it is empty for none."""
    packed_as = reader.headers.pop("content-encoding", "").lower()
    return "" if packed_as == "identity" else packed_as


async def _unpacked(body: bytes, packed_as: str, *, most_bytes: int) -> bytes:
    """Undo a compression nobody asked for; raise ``BodyTooLong`` if it makes more than ``most_bytes`` of kilobytes."""
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
