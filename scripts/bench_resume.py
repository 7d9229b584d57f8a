"""How long it takes to resume a conversation of a hundred thousand messages, against one in which nothing was said."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench_endpoint
from bench_pty import Running
from bench_sessions import verdict
from bench_start import REPL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MESSAGES = 100_000
MESSAGE_BYTES = 250  # what a record adds makes it half a kilobyte

BEYOND_START_MS, MEMORY_MB = 1000, 300
BEYOND_EMPTY_QUESTION_MS = 1000

_WORDS: Final = (
    *("the", "answer", "of", "context", "is", "window", "and", "function", "a", "return", "because", "value"),
    *("我们", "今天", "北京", "上下文", "für", "größer", "`code()`", "naïve", "→"),
)
_LAST: Final = "zanzibar"


def resume(runs: int) -> None:
    """Resume the long conversation and the empty one by turns, and ask one question in each."""
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
        content = long_session()
        print(f"  resuming {MESSAGES:,} messages, {len(content) / 1e6:.0f} MB; medians of {runs}")
        empty_s, long_s, reading_s, answer_empty_s, answer_long_s, memory_mb = [], [], [], [], [], []
        for run in range(runs + 1):
            # Written anew each time: it is given an answer.
            sessions.mkdir(parents=True, exist_ok=True)
            file = sessions / "long.jsonl"
            file.write_bytes(content)
            reading = _time_reading(file)
            empty, answer_empty, _ = _resumed(f"empty{run}", "/help lists", environment)
            drawn, answer_long, memory = _resumed("long", _LAST, environment)
            if run:
                reading_s.append(reading)
                empty_s.append(empty)
                long_s.append(drawn)
                answer_empty_s.append(answer_empty)
                answer_long_s.append(answer_long)
                memory_mb.append(memory)
    beyond_ms = _median_ms(long_s) - _median_ms(empty_s)
    yardstick_ms = _median_ms(reading_s)
    print(
        f"  json.loads of each line {yardstick_ms:.0f} ms, the empty conversation drawn {_median_ms(empty_s):.0f} ms, "
        f"the long one {_median_ms(long_s):.0f} ms"
    )
    print(
        f"context: resuming takes {beyond_ms:.0f} ms beyond the empty start, {beyond_ms / yardstick_ms:.2f} of "
        f"json.loads (under {BEYOND_START_MS}): {verdict(beyond_ms, BEYOND_START_MS)}"
    )
    waited_ms = _median_ms(answer_long_s) - _median_ms(answer_empty_s)
    print(
        f"context: the first answer comes {waited_ms:.0f} ms later than in the empty one, "
        f"{_median_ms(answer_long_s) / _median_ms(answer_empty_s):.2f} of its {_median_ms(answer_empty_s):.0f} ms "
        f"(under {BEYOND_EMPTY_QUESTION_MS}): {verdict(waited_ms, BEYOND_EMPTY_QUESTION_MS)}"
    )
    peak_mb = max(memory_mb)
    print(f"context: at most {peak_mb:.0f} MB in memory (under {MEMORY_MB}): {verdict(peak_mb, MEMORY_MB)}")


def long_session() -> bytes:
    """Return a session file of ``MESSAGES`` messages."""
    pattern = random.Random(20261123)
    return b"".join(
        json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for record in _records(pattern)
    )


def _records(pattern: random.Random) -> Iterator[dict[str, object]]:
    at = "2026-11-23T21:05:07.123Z"
    yield {"type": "header", "format": 1, "id": "5e5510", "at": at, "app": "bench"}
    parent = None
    for number in range(MESSAGES):
        words, text_bytes = [], 0
        while text_bytes < MESSAGE_BYTES:
            words.append(pattern.choice(_WORDS))
            text_bytes += len(words[-1].encode()) + 1
        if number == MESSAGES - 1:
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


def _resumed(name: str, until: str, environment: Mapping[str, str]) -> tuple[float, float, float]:
    """Return when ``until`` was drawn, how long a question asked then took, both in seconds, and the most memory in MB."""
    with Running([*REPL, "-s", name], environment) as terminal:
        drawn_s = terminal.wait_for(until) - terminal.started_s
        # What is loaded behind the prompt is another measurement's.
        terminal.watch(3.0)
        asked_s = time.perf_counter()
        terminal.type("hi\r")
        answered_s = terminal.wait_for("word199") - asked_s
        terminal.watch(0.5)
        return drawn_s, answered_s, terminal.peak_bytes / 1e6


def _time_reading(file: Path) -> float:
    started_s = time.perf_counter()
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return time.perf_counter() - started_s


def _median_ms(times_s: list[float]) -> float:
    return statistics.median(times_s) * 1000
