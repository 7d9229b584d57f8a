"""A million calls over a week and over three months: storing them, and every report on them, as whole processes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench_endpoint
from bench_recording import recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatcli.core.call_records import CallRecord

CALLS: Final = 1_000_000
DAYS: Final = (7, 90)
TOGETHER: Final = 1_000
GROUPINGS: Final = ("model", "endpoint", "day", "hour", "profile", "outcome", "operation")
DEFAULT_S, OTHER_S, MOST_MB = 0.5, 4.0, 100.0
ALERT_MS: Final = 10.0
MODELS: Final = {
    **{("api.openai.com", name): 25 for name in ("large", "small")},
    **{("openrouter.ai", f"vendor/model-{number}"): 5 for number in range(6)},
    ("localhost:11434", "local"): 20,
}
OUTCOMES: Final = {"ok": 95, "rate_limited": 2, "cancelled": 2, "timed_out": 1}


WATCHER: Final = """
import json, subprocess, sys, time
began_s = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
wall_s, cpu_s, peak_mb = time.perf_counter() - began_s, 0.0, 0.0
try:
    import resource
except ImportError:  # Windows
    pass
else:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    peak_mb = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print(json.dumps([wall_s, cpu_s, peak_mb]))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a process took; ``cpu_s`` and ``peak_mb`` are 0 where they are unknown (Windows)."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def telemetry(runs: int) -> None:
    """Measure what recording costs a turn, then what reports on very many calls take."""
    recording(runs)
    for days in DAYS:
        with tempfile.TemporaryDirectory() as folder:
            measure(days, folder, runs)


def measure(days: int, folder: str, runs: int) -> None:
    from chatcli.telemetry.call_store import FILE_NAME

    environment = bench_endpoint.environment("http://127.0.0.1:9", folder)
    path = Path(environment["CHATCLI_DATA_DIR"], FILE_NAME)
    print(f"  {CALLS:,} calls over {days} days, of {len(MODELS)} models")
    store_calls(path, days)
    bare = run_process([sys.executable, "-c", "pass"], environment)
    stats = [sys.executable, "-m", "chatcli", "stats"]
    first = run_process(stats, environment)
    print(f"  the first report of all, nothing added up: {first.wall_s:.2f} s, of CPU {first.cpu_s:.2f}")
    add_up(path, days)
    print(f"  {'':<34}{'wall s':>8}{'worst':>8}{'cpu s':>8}{'MB':>8}")
    default = show("chatcli stats", [run_process(stats, environment) for _ in range(runs + 1)][1:], bare)
    others = [
        show(
            f"--since {days}d --by {grouping}",
            [run_process([*stats, f"--since={days}d", "--by", grouping], environment)],
            bare,
        )
        for grouping in GROUPINGS
    ]
    others.append(
        show(
            f"--since {days}d --by hour -m local",
            [run_process([*stats, f"--since={days}d", "--by=hour", "-m=local"], environment)],
            bare,
        )
    )
    measure_windows(path, runs)
    size_mb = path.stat().st_size / 1e6
    peak_mb = max(run.peak_mb for run in (default, *others)) - bare.peak_mb
    slowest = max(others, key=lambda run: run.cpu_s or run.wall_s)
    for what, run, limit_s in (
        (f"the default report over {days} days", default, DEFAULT_S),
        ("the slowest other one", slowest, OTHER_S),
    ):
        # On a busy machine most of the time is spent waiting for the others.
        print(
            f"telemetry: {what} takes {run.wall_s:.2f} s, of CPU {run.cpu_s:.2f} (under {limit_s} on a quiet machine):"
            f" {verdict(run.cpu_s or run.wall_s, limit_s)}"
        )
    print(
        f"telemetry: {peak_mb:.0f} MB above the interpreter's (under {MOST_MB:.0f}): {verdict(peak_mb, MOST_MB)}"
    )
    print(f"telemetry: the file has {size_mb:.0f} MB (under {MOST_MB:.0f}): {verdict(size_mb, MOST_MB)}")


def store_calls(path: Path, days: int) -> None:
    from chatcli.telemetry.call_store import CallStore

    made = list(calls_over(days, TOGETHER))
    spent_s = 0.0
    with closing(CallStore(path)) as store:
        for batch in batches(days):
            began_s = time.perf_counter()
            store.append(batch)
            spent_s += time.perf_counter() - began_s
        one_ms = []
        for call in made[:200]:
            began_s = time.perf_counter()
            store.append([call])
            one_ms.append(1000 * (time.perf_counter() - began_s))
    one_ms.sort()
    print(
        f"  stored {CALLS / spent_s:,.0f} calls a second, {TOGETHER:,} at a time; one alone takes {one_ms[100]:.2f} ms, worst {one_ms[-1]:.2f}"
    )


def batches(days: int) -> Iterator[list[CallRecord]]:
    batch: list[CallRecord] = []
    for call in calls_over(days, CALLS):
        batch.append(call)
        if len(batch) == TOGETHER:
            yield batch
            batch = []


def calls_over(days: int, count: int) -> Iterator[CallRecord]:
    """Yield ``count`` calls in the last ``days``, in order, of all models, operations and outcomes."""
    from chatcli.core.call_records import CallRecord

    chance = random.Random(days)
    models, outcomes = list(MODELS), list(OUTCOMES)
    since_s, step_s = time.time() - days * 86_400 + 60, (days * 86_400 - 60) / count
    for number in range(count):
        endpoint, model = chance.choices(models, list(MODELS.values()))[0]
        latency_s = chance.lognormvariate(1.0, 0.8)
        yield CallRecord(
            since_s + (number + chance.random()) * step_s,
            endpoint,
            model,
            operation=chance.choice(("answer", "answer", "answer", "summary", "batch")),
            outcome=chance.choices(outcomes, list(OUTCOMES.values()))[0],
            profile=chance.choice(("", "", "work")),
            ttft_s=latency_s * 0.2,
            latency_s=latency_s,
            input_tokens=chance.randrange(10_000),
            cached_tokens=chance.choice((0, 0, 512)),
            output_tokens=chance.randrange(1_500),
            cost_usd=chance.random() * 0.02,
            sent_bytes=chance.randrange(40_000),
            received_bytes=chance.randrange(20_000),
        )


def add_up(path: Path, days: int) -> None:
    """Add up the days, as running conversations and batches have done each day."""
    from chatcli.telemetry.call_statistics import keep_sums
    from chatcli.telemetry.call_store import CallStore

    began_s = time.perf_counter()
    with closing(CallStore(path)) as store:
        keep_sums(store, datetime.now(UTC), days=days + 1)
    spent_s = time.perf_counter() - began_s
    print(f"  added up in {spent_s:.1f} s, {1000 * spent_s / days:.0f} ms for each day")


def measure_windows(path: Path, runs: int) -> None:
    """Ask for the figures that alerts watch."""
    from chatcli.telemetry.call_store import CallStore

    with closing(CallStore(path)) as store:
        for name, window in (("15 minutes", timedelta(minutes=15)), ("24 hours", timedelta(hours=24))):
            times_ms = []
            for _ in range(runs + 1):
                now_s, began_s = time.time(), time.perf_counter()
                calls = store.figures(now_s - window.total_seconds(), now_s).calls
                times_ms.append(1000 * (time.perf_counter() - began_s))
            print(
                f"  the figures of the last {name}, {calls:,} calls: {sorted(times_ms)[len(times_ms) // 2]:.1f} ms, the first time {times_ms[0]:.1f}"
            )


def run_process(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run ``command`` below an interpreter of its own: a process counts the memory of the one it was forked from as its own."""
    finished = subprocess.run(
        [sys.executable, "-c", WATCHER, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr}")
    return Run(*json.loads(finished.stdout))


def show(name: str, taken: Sequence[Run], bare: Run) -> Run:
    """Print the median run, and its memory above the interpreter's; return it."""
    middle = sorted(taken, key=lambda run: run.wall_s)[len(taken) // 2]
    worst_s = max(run.wall_s for run in taken)
    print(
        f"  {name:<34}{middle.wall_s:>8.2f}{worst_s:>8.2f}{middle.cpu_s:>8.2f}{middle.peak_mb - bare.peak_mb:>8.0f}"
    )
    return middle


def verdict(value: float, limit: float) -> str:
    return "met" if value < limit else "not met"
