"""A model server that notes when a request is complete and when it writes the first token.

It has a process of its own, and speaks HTTP or HTTPS, keeping connections open. Each answer begins with a word that
occurs nowhere else, ``first_word(N)`` for the N-th request, and ends with ``last_word(N)``. On stdout it writes its
ports, and for each answer ``N COMPLETE_S WRITTEN_S CONNECTION``: times of ``perf_counter``, which all processes of a
machine share on Linux, and how many requests the connection has carried.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from bench_stream import chunk, event

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "bench"
WINDOW_TOKENS = 400_000
THINKING_S = 0.05
"""The server's own time, which is subtracted."""

TOKENS, TOKEN_S = 12, 0.005
HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
HOST = "model.test"
"""The name in the certificate beside the loopback address; only the proxy knows where it is."""


def first_word(number: int) -> str:
    return f"qx{number:05}xq"


def last_word(number: int) -> str:
    return f"zj{number:05}jz"


class Answered(NamedTuple):
    """When the request was complete and the first token written; the requests the connection has carried."""

    complete_s: float
    written_s: float
    requests: int


class serve_first_tokens:  # noqa: N801 - used as a function
    """Serve for the length of a ``with``.

    With ``certificate`` it speaks HTTPS. It closes a connection that is idle for ``closes_after_s`` seconds.
    """

    def __init__(self, certificate: Path | None = None, closes_after_s: float | None = None) -> None:
        self._command = [sys.executable, __file__]
        if certificate is not None:
            self._command += ["--certificate", str(certificate)]
        if closes_after_s is not None:
            self._command += ["--closes-after", str(closes_after_s)]

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self.port, self.proxy_port = map(int, self._line())
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.wait()

    def answered(self, number: int) -> Answered:
        """Return the times of the N-th answer."""
        while (fields := self._line())[0] != str(number):
            pass
        return Answered(float(fields[1]), float(fields[2]), int(fields[3]))

    def _line(self) -> list[str]:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise SystemExit("the server of the bench ended")
        return line.split()


class FirstTokens:
    """Answers requests; ``closes_after_s`` as for ``serve_first_tokens``."""

    def __init__(self, closes_after_s: float | None) -> None:
        self._closes_after_s = closes_after_s
        self._answers = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError):
            requests = 0
            while True:
                async with asyncio.timeout(self._closes_after_s):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                complete_s = time.perf_counter()
                if head.startswith("POST"):
                    requests += 1
                    await self._answer(writer, complete_s, requests)
                else:
                    await _list_models(writer)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, complete_s: float, requests: int) -> None:
        self._answers += 1
        number = self._answers
        writer.write(HEADERS)
        await asyncio.sleep(THINKING_S)
        words = [first_word(number), *(f" word{place}" for place in range(TOKENS)), f" {last_word(number)}"]
        first = chunk(event({"content": words[0]}))
        written_s = time.perf_counter()
        writer.write(first)
        print(number, complete_s, written_s, requests, flush=True)
        for word in words[1:]:
            await asyncio.sleep(TOKEN_S)
            writer.write(chunk(event({"content": word})))
        writer.write(chunk(event({}, "stop")) + chunk(b"data: [DONE]\n\n") + chunk(b""))
        await writer.drain()


async def _list_models(writer: asyncio.StreamWriter) -> None:
    content = json.dumps({"data": [{"id": MODEL, "context_length": WINDOW_TOKENS}]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()


async def tunnel(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connect a CONNECT to ``port`` of loopback, whatever host it names."""
    with suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await source.read(65_536):
            target.write(block)
    target.close()


async def serve(certificate: str | None, closes_after_s: float | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(
        FirstTokens(closes_after_s), "127.0.0.1", 0, ssl=context, limit=64 * 1024 * 1024
    )
    port = server.sockets[0].getsockname()[1]
    proxy = await asyncio.start_server(lambda reader, writer: tunnel(port, reader, writer), "127.0.0.1", 0)
    print(port, proxy.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--closes-after", type=float)
    options = parser.parse_args()
    asyncio.run(serve(options.certificate, options.closes_after))


if __name__ == "__main__":
    main()
