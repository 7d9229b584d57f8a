"""Measurements as ratios: chatcli and its yardstick take turns in one run, and medians are compared.

usage: scripts/bench [oneshot] [--runs N]
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
ANSWER = [f"word{number} " for number in range(200)]

PLAIN_SCRIPT = """\
import os
from openai import OpenAI

client = OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key="none")
stream = client.chat.completions.create(
    model="bench", messages=[{"role": "user", "content": "hi"}], stream=True
)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
print()
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took, in seconds; ``cpu_s`` is user and system time, ``None`` where nobody tells."""

    wall_s: float
    cpu_s: float | None


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    command: Sequence[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHES)}")
    parser.add_argument(
        "--runs", type=int, default=9, metavar="N", help="counted runs of each, after one warm-up"
    )
    options = parser.parse_args()
    for name in options.names or BENCHES:
        if name not in BENCHES:
            parser.error(f"there is no bench {name}; there is {', '.join(BENCHES)}")
        print(f"{name}: Python {platform.python_version()}, {os.cpu_count()} cores, {options.runs} runs each")
        BENCHES[name](options.runs)
    return 0


def oneshot(runs: int) -> None:
    """One question and an answer of 200 tokens, against a plain script of the openai package."""
    with tempfile.TemporaryDirectory() as folder, serve_answers() as base_url:
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("CHATCLI_", "OPENAI_"))
            },
            **{f"CHATCLI_{kind}_DIR": str(Path(folder, kind)) for kind in ("CONFIG", "DATA", "CACHE")},
            "OPENAI_BASE_URL": base_url,
        }
        python, chatcli = sys.executable, [sys.executable, "-m", "chatcli"]
        contenders = [
            Contender("plain openai script", [python, "-c", PLAIN_SCRIPT]),
            Contender("chatcli, one-shot", [*chatcli, "-m", "bench", "hi"]),
            Contender("chatcli --version", [*chatcli, "--version"]),
            Contender("python -c pass", [python, "-c", "pass"]),
        ]
        if os.name == "posix":
            contenders.insert(
                3, Contender("scripts/chat --version", [str(ROOT / "scripts" / "chat"), "--version"])
            )
        show(measure(contenders, runs, environment))


BENCHES: dict[str, Callable[[int], None]] = {"oneshot": oneshot}


def measure(
    contenders: Sequence[Contender], runs: int, environment: Mapping[str, str]
) -> dict[str, list[Cost]]:
    """Run the contenders in turn, so that a machine that slows down slows all of them."""
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    for run in range(runs + 1):
        for contender in contenders:
            cost = run_once(contender, environment)
            if run:
                costs[contender.name].append(cost)
    return costs


def run_once(contender: Contender, environment: Mapping[str, str]) -> Cost:
    started_s, cpu_before_s = time.perf_counter(), children_cpu_s()
    finished = subprocess.run(
        contender.command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    wall_s, cpu_after_s = time.perf_counter() - started_s, children_cpu_s()
    if finished.returncode:
        raise SystemExit(f"{contender.name} failed:\n{finished.stderr.decode(errors='replace')}")
    return Cost(wall_s, None if cpu_after_s is None or cpu_before_s is None else cpu_after_s - cpu_before_s)


def children_cpu_s() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(costs: Mapping[str, Sequence[Cost]]) -> None:
    """Print medians, and each one's ratio to the first."""
    names = list(costs)
    base_wall_s, base_cpu_s = medians(costs[names[0]])
    print(f"  {'':<22}{'wall s':>8}{'ratio':>7}{'cpu s':>9}{'ratio':>7}")
    for name in names:
        wall_s, cpu_s = medians(costs[name])
        line = f"  {name:<22}{wall_s:>8.3f}{wall_s / base_wall_s:>7.2f}"
        if cpu_s is not None and base_cpu_s:
            line += f"{cpu_s:>9.3f}{cpu_s / base_cpu_s:>7.2f}"
        print(line)


def medians(costs: Sequence[Cost]) -> tuple[float, float | None]:
    cpu = [cost.cpu_s for cost in costs if cost.cpu_s is not None]
    return statistics.median(cost.wall_s for cost in costs), statistics.median(cpu) if cpu else None


class Answers(http.server.BaseHTTPRequestHandler):
    """An endpoint that answers everything with the same stream."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(
            "application/json", json.dumps({"data": [{"id": "bench", "context_length": 8192}]}).encode()
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.answer("text/event-stream", b"".join(events()))

    def answer(self, content_type: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep quiet."""


def events() -> Iterator[bytes]:
    deltas = [({"content": word}, None) for word in ANSWER]
    for delta, finish_reason in [*deltas, ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {
            "id": "b",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "bench",
            "choices": [choice],
        }
        yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


class serve_answers:  # noqa: N801 - used as a function
    """Serve on a free loopback port for the length of a ``with``; gives the base URL."""

    def __enter__(self) -> str:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    sys.exit(main())
