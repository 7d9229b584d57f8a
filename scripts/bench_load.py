"""The first answer on a busy machine: how long the screen stands still."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import bench_endpoint
from bench_answer import marks_in
from bench_pty import Running
from bench_stream import COUNTED, serve_streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench_pty import Output

PACED, AT_ONCE = f"{COUNTED}1000@100", f"{COUNTED}20000"
P99_S: Final = 0.5
WORST_S: Final = 1.0
PROMPT, QUESTION = "> ", "hi"


def load(runs: int) -> None:
    """Ask in the REPL right after its prompt has appeared, with an endless process on every core."""
    if sys.platform == "win32":
        print("  not measured: it needs a pseudo terminal, which Python does not have on Windows")
        return
    with tempfile.TemporaryDirectory() as folder, serve_streams(PACED, AT_ONCE) as server:
        environment = {**bench_endpoint.environment(server.base_url, folder), "TERM": "xterm-256color"}
        for name, what in ((PACED, "100 tokens a second"), (AT_ONCE, "at full speed")):
            quiet = [gap for _ in range(runs) for gap in gaps_s(name, environment)]
            with busy_cores():
                busy = [gap for _ in range(runs) for gap in gaps_s(name, environment)]
            report(what, quiet, busy)


def gaps_s(name: str, environment: Mapping[str, str]) -> list[float]:
    """Return the times between updates of the answer on the screen, in seconds."""
    with Running([sys.executable, "-m", "chatcli", "--no-save", "-m", name], environment) as repl:
        repl.wait_for(PROMPT)
        repl.type(f"{QUESTION}\r")
        repl.wait_for(f"x{int(name.removeprefix(COUNTED).partition('@')[0]):05}x")
        return [later - earlier for earlier, later in pairwise(growing_s(repl.output))]


def growing_s(output: Output) -> list[float]:
    """Return the times at which a new word was shown."""
    times_s, newest = [], 0
    for at_s, content in output.chunks:
        shown = max((int(mark[1:-1]) for mark in marks_in(content.decode(errors="replace"))), default=0)
        if shown > newest:
            newest = shown
            times_s.append(at_s)
    return times_s


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy with a process of normal priority."""
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def report(what: str, quiet: list[float], busy: list[float]) -> None:
    p99_s, worst_s = percentile_99(busy), max(busy)
    usual = percentile_99(quiet)
    print(
        f"  {what}: {len(busy):,} gaps; p99 {p99_s * 1000:.0f} ms, {p99_s / usual:.1f} times that of a quiet machine"
    )
    for name, figure_s, limit_s in (("p99", p99_s, P99_S), ("worst", worst_s, WORST_S)):
        verdict = "met" if figure_s <= limit_s else "NOT met"
        print(f"load: {what}, {name} without new text: {figure_s:.2f} s (at most {limit_s:g}: {verdict})")


def percentile_99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
