"""A loopback endpoint that always answers with the same stream, and an environment for it."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODEL = "bench"
ANSWER = [f"word{number} " for number in range(200)]


def environment(base_url: str, folder: str) -> dict[str, str]:
    """Return this process's environment without chatcli's variables but for the endpoint and new folders.

    Whoever installs a program has its modules compiled: they are kept by the run that warms up.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHATCLI_", "OPENAI_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    folders = {f"CHATCLI_{kind}_DIR": str(Path(folder, kind)) for kind in ("CONFIG", "DATA", "CACHE")}
    return {**inherited, **folders, "OPENAI_BASE_URL": base_url}


class serve_answers:  # noqa: N801 - used as a function
    """Serve the chunks of ``answer`` on a free loopback port while entered; yield the base URL.

    Each answer begins ``delay_s`` after its request.
    """

    def __init__(self, answer: Sequence[str] = ANSWER, *, delay_s: float = 0.0) -> None:
        self._answer = answer
        self._delay_s = delay_s
        self.asked_s: list[float] = []
        """When each question came, on the clock of ``time.perf_counter``."""

    def __enter__(self) -> str:
        served = {"chunks": self._answer, "asked_s": self.asked_s, "delay_s": self._delay_s}
        handler = type("Handler", (Answers,), served)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Answers(http.server.BaseHTTPRequestHandler):
    """Offers one model, which answers every request with the same stream."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every other answer on a connection waits for an acknowledgement
    chunks: Sequence[str] = ANSWER
    asked_s: ClassVar[list[float]] = []
    delay_s = 0.0

    def handle(self) -> None:
        with suppress(ConnectionError):  # whoever is ended need not say good-bye
            super().handle()

    def do_GET(self) -> None:
        self.answer(
            "application/json", json.dumps({"data": [{"id": MODEL, "context_length": 8192}]}).encode()
        )

    def do_POST(self) -> None:
        self.asked_s.append(time.perf_counter())
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.delay_s)
        self.answer("text/event-stream", b"".join(events(self.chunks)))

    def answer(self, content_type: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep quiet."""


def events(chunks: Sequence[str]) -> Iterator[bytes]:
    deltas = [({"content": chunk}, None) for chunk in chunks]
    for delta, finish_reason in [*deltas, ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {
            "id": "b",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": MODEL,
            "choices": [choice],
        }
        yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"
