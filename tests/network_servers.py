"""Small servers on loopback for what a connection meets on its route: TLS, proxies, and broken connections.

In a coroutine::

    async with listening(speaking(OK_JSON), tls=authority.server_context("127.0.0.1")) as port:
        ...  # ask https://127.0.0.1:port

and for a program under test the same in a thread of its own: ``with listening_in_thread(...) as port``.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import trustme

from in_a_thread import in_a_thread
from scripted_server import stop_accepting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

Handler: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"


def http_response(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


MODELS = http_response("200 OK", b'{"data": [{"id": "small"}]}', content_type="application/json")


class Authority:
    """A certificate authority that only the tests trust."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="Authority of the tests")

    def server_context(self, *names: str, **options: object) -> ssl.SSLContext:
        """Return the context of a server with a certificate for ``names``; see ``trustme.CA.issue_cert``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names, **options).configure_cert(context)
        return context

    def write_bundle(self, folder: Path) -> Path:
        path = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(path))
        return path


def speaking(content: bytes) -> Handler:
    """Return a handler that answers any request with ``content``."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()

    return speak


async def stay_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def reject_immediately(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer any bytes as a plain HTTP server answers a TLS greeting."""
    await reader.read(1)
    writer.write(http_response("400 Bad Request"))
    await writer.drain()


async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Closing with a linger of nothing sends RST in place of FIN.
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class TunnelProxy:
    """An HTTP proxy that connects every CONNECT to ``port`` of loopback, whatever host it names.

    With ``credentials`` (``user:password``) it requires those. ``asked`` are the request lines received.
    """

    port: int
    credentials: str | None = None
    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.splitlines()[0])
        if not self._lets_through(head):
            writer.write(http_response("407 Proxy Authentication Required"))
            await writer.drain()
            return
        await _lead(self.port, reader, writer, b"HTTP/1.1 200 Connection established\r\n\r\n")

    def _lets_through(self, head: str) -> bool:
        if self.credentials is None:
            return True
        wanted = base64.b64encode(self.credentials.encode()).decode()
        return f"proxy-authorization: basic {wanted}".lower() in head.lower()


@dataclass
class SocksProxy:
    """A SOCKS 5 proxy without authentication that connects everything to ``port`` of loopback."""

    port: int
    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        *_, kind, length = await reader.readexactly(5)
        name = await reader.readexactly(length) if kind == 3 else b""
        await reader.readexactly(2)
        self.asked.append(name.decode())
        await _lead(self.port, reader, writer, b"\x05\x00\x00\x01" + bytes(6))


async def _lead(
    port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes
) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(greeting)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
    finally:
        back.transport.abort()
        with suppress(OSError):
            await back.wait_closed()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await source.read(65_536):
            target.write(block)
            await target.drain()
    target.close()


@asynccontextmanager
async def listening(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve every connection with ``handler`` and yield the port; open connections are closed at the end."""
    writers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_accepting(server)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        await server.wait_closed()


def listening_in_thread(
    handler: Handler, *, tls: ssl.SSLContext | None = None
) -> AbstractContextManager[int]:
    return in_a_thread(listening(handler, tls=tls))
