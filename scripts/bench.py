"""Benchmarks as ratios: chatcli and its yardstick alternate in one run, and medians are compared.

usage: scripts/bench [oneshot] [start] [ttft] [render] [sessions] [context] [models] [large] [load] [batch] [cache] [telemetry]
[--runs N] [--tokens N] [--sessions N]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bench_endpoint
from bench_batch import batch
from bench_cache import cache
from bench_context import context
from bench_costs import Cost, children_cpu_s, medians, show
from bench_large_texts import large_texts
from bench_load import load
from bench_models import models
from bench_render import render
from bench_resume import resume
from bench_sessions import sessions
from bench_start import start
from bench_telemetry import telemetry
from bench_ttft import ttft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
RUNS, LOADED_RUNS, FEWER_RUNS, TURNS = 9, 5, 3, 40
IMPORTING, PASSING = "python -c import chatcli", "python -c pass"
MOST_IMPORT_MS = 50
MOST_OF_PLAIN = 0.65


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    command: Sequence[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHES)}")
    parser.add_argument(
        "--runs",
        type=int,
        metavar="N",
        help="counted runs of each, after one warm-up (9; ttft: turns, 40; load and telemetry: 5; render, context, large and batch: 3)",
    )
    parser.add_argument(
        "--tokens", type=int, metavar="N", default=50_000, help="of the answer that render shows (50,000)"
    )
    parser.add_argument(
        "--sessions", type=int, metavar="N", default=10_000, help="that sessions lists and searches (10,000)"
    )
    options = parser.parse_args()
    for name in options.names or BENCHES:
        if name not in BENCHES:
            parser.error(f"there is no bench {name}; there is {', '.join(BENCHES)}")
        print(f"{name}: Python {platform.python_version()}, {os.cpu_count()} cores")
        BENCHES[name](options)
    return 0


def oneshot(runs: int) -> None:
    """One question with an answer of 200 tokens, against a plain script using the openai package."""
    with tempfile.TemporaryDirectory() as folder, bench_endpoint.serve_answers() as base_url:
        environment = bench_endpoint.environment(base_url, folder)
        python, chatcli = sys.executable, [sys.executable, "-m", "chatcli"]
        contenders = [
            Contender(
                "plain openai script",
                [python, str(ROOT / "scripts" / "bench_plain.py"), bench_endpoint.MODEL],
            ),
            Contender("chatcli, one-shot", [*chatcli, "-m", bench_endpoint.MODEL, "hi"]),
            Contender("chatcli --version", [*chatcli, "--version"]),
            Contender(IMPORTING, [python, "-c", "import chatcli"]),
            Contender(PASSING, [python, "-c", "pass"]),
        ]
        if os.name == "posix":
            contenders.insert(
                3, Contender("scripts/chat --version", [str(ROOT / "scripts" / "chat"), "--version"])
            )
        costs = measure(contenders, runs, environment)
        show(costs)
        ratio = (medians(costs["chatcli, one-shot"])[1] or 1) / (
            medians(costs["plain openai script"])[1] or 1
        )
        verdict = "met" if ratio <= MOST_OF_PLAIN else "not met"
        print(f"oneshot: {ratio:.2f} of the plain script's CPU (at most {MOST_OF_PLAIN}): {verdict}")
        import_ms = 1000 * (medians(costs[IMPORTING])[0] - medians(costs[PASSING])[0])
        print(
            f"oneshot: import chatcli takes {import_ms:.0f} ms (under {MOST_IMPORT_MS}): {import_ms < MOST_IMPORT_MS}"
        )


def long_conversations(runs: int) -> None:
    """Measure a turn in a very long conversation, and resuming it."""
    context(runs)
    resume(runs)


BENCHES: dict[str, Callable[[argparse.Namespace], None]] = {
    "oneshot": lambda options: oneshot(options.runs or RUNS),
    "start": lambda options: start(options.runs or RUNS),
    "ttft": lambda options: ttft(options.runs or TURNS),
    "render": lambda options: render(options.runs or FEWER_RUNS, options.tokens),
    "sessions": lambda options: sessions(options.runs or RUNS, options.sessions),
    "context": lambda options: long_conversations(options.runs or FEWER_RUNS),
    "load": lambda options: load(options.runs or LOADED_RUNS),
    "models": lambda options: models(options.runs or RUNS),
    "batch": lambda options: batch(options.runs or FEWER_RUNS),
    "cache": lambda options: cache(options.runs or RUNS),
    "telemetry": lambda options: telemetry(options.runs or LOADED_RUNS),
    "large": lambda options: large_texts(options.runs or FEWER_RUNS),
}


def measure(
    contenders: Sequence[Contender], runs: int, environment: Mapping[str, str]
) -> dict[str, list[Cost]]:
    """Run the contenders alternately, so that a slowdown of the machine affects all of them."""
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


if __name__ == "__main__":
    sys.exit(main())
