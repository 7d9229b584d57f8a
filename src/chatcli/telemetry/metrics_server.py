"""Metrics for a Prometheus server that asks for them, over HTTP on this machine."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import LocalIOError
from chatcli.telemetry.prometheus import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Callable, Iterable

    from chatcli.telemetry.prometheus import MetricFamily

LOOPBACK: Final = "127.0.0.1"
PATH: Final = "/metrics"
_HOSTS: Final = frozenset({LOOPBACK, "localhost"})
"""Names that a request may give this server: a page in a browser that had its own name lead here gives another."""
_MOST_CLIENTS: Final = 8
_LONGEST_HEAD: Final = 8_192
_PATIENCE_S: Final = 5.0
"""How long a client may take for its request, and again for taking the answer."""


@asynccontextmanager
async def serving_metrics(
    port: int, metrics: Callable[[], Iterable[MetricFamily]], *, patience_s: float = _PATIENCE_S
) -> AsyncIterator[int]:
    """Serve ``metrics`` at ``PATH`` meanwhile; yield the port, which the system chooses if it is 0.

    Raise ``LocalIOError`` if the port cannot be used.
    """
    service = _Service(metrics, patience_s)
    try:
        server = await asyncio.start_server(service.answer, LOOPBACK, port, limit=_LONGEST_HEAD)
    except OSError as error:
        # asyncio's own words name the address in Python's notation.
        reason = os.strerror(error.errno) if error.errno and os.name == "posix" else str(error)
        raise LocalIOError(
            f"cannot serve metrics on port {port}: {reason.lower()}",
            hint="use another port; with --metrics-port 0 the system chooses one",
        ) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await service.close()


class _Service:
    def __init__(self, metrics: Callable[[], Iterable[MetricFamily]], patience_s: float) -> None:
        self._metrics = metrics
        self._patience_s = patience_s
        self._clients: set[asyncio.Task[None]] = set()

    def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer one request, and close the connection; one client too many gets no answer."""
        if len(self._clients) >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._answer(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def close(self) -> None:
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await asyncio.sleep(0)  # what was broken off is closed

    async def _answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            # A client that resets, sends too much or is too slow gets no answer.
            with suppress(OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head))
                async with asyncio.timeout(self._patience_s):
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            writer.transport.abort()

    def _response(self, head: bytes) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        parts = first.split(" ")
        if len(parts) != len(("method", "target", "version")) or not parts[2].startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST)
        method, target, _ = parts
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        if headers.get("host", LOOPBACK).partition(":")[0].lower() not in _HOSTS:
            return _response(HTTPStatus.FORBIDDEN)
        if method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED)
        if target.partition("?")[0] != PATH:
            return _response(HTTPStatus.NOT_FOUND)
        text = "".join(exposition(self._metrics())).encode()
        return _response(HTTPStatus.OK, text, is_head=method == "HEAD")


def _response(status: HTTPStatus, body: bytes | None = None, *, is_head: bool = False) -> bytes:
    body = f"{status.phrase}\n".encode() if body is None else body
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if is_head else body)
