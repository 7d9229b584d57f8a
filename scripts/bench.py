"""Measurements as ratios: chatcli and its yardstick take turns in one run, and medians are compared.

usage: scripts/bench [oneshot] [start] [--runs N]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bench_endpoint
from bench_start import start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent

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
    with tempfile.TemporaryDirectory() as folder, bench_endpoint.serve_answers() as base_url:
        environment = bench_endpoint.environment(base_url, folder)
        python, chatcli = sys.executable, [sys.executable, "-m", "chatcli"]
        contenders = [
            Contender("plain openai script", [python, "-c", PLAIN_SCRIPT]),
            Contender("chatcli, one-shot", [*chatcli, "-m", bench_endpoint.MODEL, "hi"]),
            Contender("chatcli --version", [*chatcli, "--version"]),
            Contender("python -c pass", [python, "-c", "pass"]),
        ]
        if os.name == "posix":
            contenders.insert(
                3, Contender("scripts/chat --version", [str(ROOT / "scripts" / "chat"), "--version"])
            )
        show(measure(contenders, runs, environment))


BENCHES: dict[str, Callable[[int], None]] = {"oneshot": oneshot, "start": start}


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


if __name__ == "__main__":
    sys.exit(main())
