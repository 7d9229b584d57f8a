"""Resuming a conversation of a hundred thousand messages, compared with one of a single exchange."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench_endpoint
from bench_pty import Running
from bench_sessions import verdict
from bench_start import REPL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MESSAGES = 100_000
MESSAGE_BYTES = 250  # the record around it makes it half a kilobyte

PROMPT_MS, ANSWER_MS, MEMORY_MB = 1000, 1000, 300
"""How much later than in a short conversation, and how much memory at all."""

_WORDS: Final = (
    *("the", "answer", "of", "context", "is", "window", "and", "function", "a", "return", "because", "value"),
    *("我们", "今天", "北京", "上下文", "für", "größer", "`code()`", "naïve", "→"),
)
_LAST: Final = "zanzibar"
_GREETING: Final = "/help lists"


@dataclass(frozen=True, slots=True)
class Resumed:
    """The times until the prompt and the last exchange were drawn, of a question, and the peak memory.

    ``cpu_s`` is the CPU time until the prompt was drawn: on a busy machine everything takes longer, but needs
    no more work. If unknown, it is the elapsed time.
    """

    cpu_s: float
    prompt_s: float
    recap_s: float
    answer_s: float
    peak_mb: float


def resume(runs: int) -> None:
    """Resume the long conversation and a short one alternately, and ask one question in each."""
    if sys.platform == "win32":
        print("  resuming is not measured: it needs a pseudo terminal, which Python does not have on Windows")
        return
    with tempfile.TemporaryDirectory() as folder, bench_endpoint.serve_answers() as base_url:
        environment = {
            **bench_endpoint.environment(base_url, folder),
            "CHATCLI_MODEL": bench_endpoint.MODEL,
            "TERM": "xterm-256color",
        }
        sessions = Path(folder, "DATA", "sessions")
        sessions.mkdir(parents=True)
        contents = {"short": session_of(2), "long": session_of(MESSAGES)}
        print(f"  resuming {MESSAGES:,} messages, {len(contents['long']) / 1e6:.0f} MB; medians of {runs}")
        found: dict[str, list[Resumed]] = {name: [] for name in contents}
        reading_s: list[float] = []
        for run in range(runs + 1):
            for name, content in contents.items():
                # Rewritten each time, because an answer is appended.
                (sessions / f"{name}.jsonl").write_bytes(content)
                resumed = _resumed(name, environment)
                if run:
                    found[name].append(resumed)
            once_s = _time_reading(sessions / "long.jsonl")
            if run:
                reading_s.append(once_s)
    report(found["short"], found["long"], _median_ms(reading_s))


def report(short: Sequence[Resumed], long: Sequence[Resumed], yardstick_ms: float) -> None:
    """Print what the long conversation took beyond the short one, relative to reading its lines as JSON."""
    print(f"  json.loads of each line {yardstick_ms:.0f} ms of CPU time")
    for what, most_ms, times in (
        ("the prompt is drawn, of CPU time", PROMPT_MS, attrgetter("cpu_s")),
        ("the prompt is drawn", PROMPT_MS, attrgetter("prompt_s")),
        ("the last exchange is drawn", PROMPT_MS, attrgetter("recap_s")),
        ("the first answer comes", ANSWER_MS, attrgetter("answer_s")),
    ):
        short_ms, long_ms = _median_ms(map(times, short)), _median_ms(map(times, long))
        beyond_ms = long_ms - short_ms
        print(
            f"context: {what} after {long_ms:.0f} ms, {beyond_ms:.0f} ms later than in a short conversation, "
            f"{beyond_ms / yardstick_ms:.2f} of json.loads (under {most_ms} ms): {verdict(beyond_ms, most_ms)}"
        )
    peak_mb = max(resumed.peak_mb for resumed in long)
    ratio = peak_mb / max(resumed.peak_mb for resumed in short)
    print(
        f"context: {peak_mb:.0f} MB in memory at most, {ratio:.2f} of a short conversation's (under {MEMORY_MB}): "
        f"{verdict(peak_mb, MEMORY_MB)}"
    )


def session_of(messages: int) -> bytes:
    """Return a session file of ``messages`` messages."""
    pattern = random.Random(20261123)
    return b"".join(
        json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for record in _records(messages, pattern)
    )


def _records(messages: int, pattern: random.Random) -> Iterator[dict[str, object]]:
    at = "2026-11-23T21:05:07.123Z"
    yield {"type": "header", "format": 1, "id": "5e5510", "at": at, "app": "bench"}
    parent = None
    for number in range(messages):
        words, text_bytes = [], 0
        while text_bytes < MESSAGE_BYTES:
            words.append(pattern.choice(_WORDS))
            text_bytes += len(words[-1].encode()) + 1
        if number == messages - 1:
            words = [_LAST]
        is_question = number % 2 == 0
        own = f"{pattern.getrandbits(48):012x}"
        part = {"type": "text", "text": " ".join(words), "origin": "person" if is_question else "model"}
        message = {"role": "user" if is_question else "assistant", "parts": [part]}
        record = {"type": "message", "id": own, "parent": parent, "at": at, "message": message}
        usage = {
            "input_tokens": 100,
            "output_tokens": 60,
            "cached_tokens": None,
            "reasoning_tokens": None,
            "estimated": False,
        }
        reply = {
            "model": "bench",
            "usage": usage,
            "finish_reason": "stop",
            "latency_s": 1.25,
            "cost_usd": None,
        }
        yield record if is_question else record | reply
        parent = own


def _resumed(name: str, environment: Mapping[str, str]) -> Resumed:
    with Running([*REPL, "-s", name], environment) as terminal:
        prompt_s = terminal.wait_for(_GREETING) - terminal.started_s
        cpu_s = terminal.cpu_so_far_s() if sys.platform == "linux" else prompt_s
        recap_s = terminal.wait_for(_LAST) - terminal.started_s
        # Loading after the prompt is measured elsewhere.
        terminal.watch(3.0)
        asked_s = time.perf_counter()
        terminal.type("hi\r")
        answer_s = terminal.wait_for("word199") - asked_s
        terminal.watch(0.5)
        return Resumed(cpu_s, prompt_s, recap_s, answer_s, terminal.peak_bytes / 1e6)


def _time_reading(file: Path) -> float:
    started_s = time.process_time()
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return time.process_time() - started_s


def _median_ms(times_s: Iterable[float]) -> float:
    return statistics.median(times_s) * 1000
