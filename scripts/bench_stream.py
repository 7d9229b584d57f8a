"""A server process that streams prepared answers, as fast as they are read or at a given pace.

It uses HTTP like model servers: chunked, an event per token, a chunk per event. The model's name selects the
answer: ``50000`` has about so many tokens, ``50000@100`` sends a hundred of them a second, and
``counted-1000`` is a thousand numbered words. On stdout the server writes its port, and then ``NAME SECONDS``
whenever a client has read the last token of an answer.
"""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench_answer import answer, numbered_words

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

WINDOW_TOKENS = 200_000
COUNTED = "counted-"
_AT_ONCE = 256
_PATIENCE_S = 120.0
"""A system keeps megabytes for a slow client: it may take them long after the last write."""


class serve_streams:  # noqa: N801 - used as a function
    """Serve for the length of a ``with``."""

    base_url: str

    def __init__(self, *names: str) -> None:
        self._names = names

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, *self._names]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.base_url = f"http://127.0.0.1:{int(self._line())}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.wait()

    def taken_s(self, name: str) -> float:
        """Wait until a client has read the last token of ``name``; return the time of ``perf_counter``."""
        while (fields := self._line().split())[0] != name:
            pass
        return float(fields[1])

    def _line(self) -> str:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise SystemExit("the server of the bench ended")
        return line


class Streams(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        models = [{"id": name, "context_length": WINDOW_TOKENS} for name in sys.argv[1:]]
        content = json.dumps({"data": models}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        chunks, end = stream(name)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        _, _, a_second = name.partition("@")
        if a_second:
            for number, chunk in enumerate(chunks):
                time.sleep(max(0.0, self._due_s(number / int(a_second))))
                self.wfile.write(chunk)
        else:
            for start in range(0, len(chunks), _AT_ONCE):
                self.wfile.write(b"".join(chunks[start : start + _AT_ONCE]))
        wait_until_taken(self.connection)
        print(name, time.perf_counter(), flush=True)
        self.wfile.write(end)

    def _due_s(self, after_s: float) -> float:
        """Return the time until ``after_s`` seconds after the first call."""
        now_s = time.perf_counter()
        if not after_s:
            self._began_s = now_s
        return self._began_s + after_s - now_s

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep quiet."""


@functools.cache
def stream(name: str) -> tuple[list[bytes], bytes]:
    """Return the chunks of an answer's tokens, and those of its end."""
    length = name.partition("@")[0]
    counted = length.removeprefix(COUNTED)
    tokens = answer(int(length)).tokens if counted == length else numbered_words(int(counted))
    return [chunk(event({"content": token})) for token in tokens], b"".join(_end())


def _end() -> Iterator[bytes]:
    yield chunk(event({}, "stop"))
    yield chunk(b"data: [DONE]\n\n")
    yield chunk(b"")


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    fields = {
        "id": "chatcmpl-0123456789abcdefghijklmnop",
        "object": "chat.completion.chunk",
        "created": 1_764_000_000,
        "model": "bench",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


def wait_until_taken(connection: socket.socket) -> None:
    """Return once the client has read everything: on loopback, Linux reports what is left."""
    ours, theirs = (f":{end[1]:04X}" for end in (connection.getsockname(), connection.getpeername()))
    until_s = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < until_s:
        try:
            connections = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
        except FileNotFoundError:  # no Linux
            return
        waiting = 0
        for _, local, remote, _, queues, *_ in map(str.split, connections):
            if {local[-5:], remote[-5:]} == {ours, theirs}:
                waiting += sum(int(queue, 16) for queue in queues.split(":"))
        if not waiting:
            return
        time.sleep(0.001)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""


def main() -> None:
    for name in sys.argv[1:]:
        stream(name)
    server = Server(("127.0.0.1", 0), Streams)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
