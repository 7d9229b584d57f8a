"""How soon the list of ten thousand sessions is drawn, and redrawn after each key of a search."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bench_corpus
import bench_endpoint
from bench_sessions import KEY_MS, OPENING_MS, verdict
from bench_start import REPL, Terminal

from chatcli.sessions.library import Library

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = (bench_corpus.MARKER, "function", "".join(bench_corpus._HAN[:2]))  # noqa: SLF001 - what it says is made of
ENTER = "\r"


class Watched(Terminal):
    """A terminal that times keys until their effect is shown."""

    def press(self, keys: str, *until: str) -> float:
        """Return how long after ``keys`` lines beginning with each of ``until`` appeared."""
        written_s = time.perf_counter()
        os.write(self._descriptor, keys.encode())
        return max(self._wait_for(line) for line in until) - written_s

    def wait(self, until: str) -> float:
        """Return how long after the start of the process a line beginning with ``until`` appeared."""
        return self._wait_for(until) - self._started_s


def picker(runs: int, folder: str) -> None:
    """Open and search the list of the sessions in the data folder of ``folder``, which is indexed."""
    with bench_endpoint.serve_answers() as base_url:
        environment = {
            **bench_endpoint.environment(base_url, folder),
            "CHATCLI_MODEL": bench_endpoint.MODEL,
            "TERM": "xterm-256color",
        }
        library = Library.of(Path(folder, "DATA"))
        library.refresh()
        total = library.count()
        counts = {word[:end]: library.count(word[:end]) for word in WORDS for end in range(1, len(word) + 1)}
        library.close()
        measure_opening(runs, environment, f"{total:,} sessions")
        measure_keys(environment, f"{total:,} sessions", counts, total=total)


def measure_opening(runs: int, environment: Mapping[str, str], everything: str) -> None:
    prompt_s, resumed_s, opened_s = [], [], []
    for _ in range(runs):
        with Watched(REPL, environment) as terminal:
            prompt_s.append(terminal.wait_for_prompt())
            terminal.watch(2.0)  # loading after the prompt is measured elsewhere
            opened_s.append(terminal.press("/sessions" + ENTER, everything))
        with Watched([*REPL, "--resume", "--all"], environment) as terminal:
            resumed_s.append(terminal.wait(everything))
    start_ms, resumed_ms, opened_ms = (
        statistics.median(times) * 1000 for times in (prompt_s, resumed_s, opened_s)
    )
    beyond_ms = resumed_ms - start_ms
    for what, time_ms in (
        ("/sessions to drawn", opened_ms),
        ("--resume to drawn, beyond the start", beyond_ms),
    ):
        print(
            f"sessions: {what} {time_ms:.0f} ms, {time_ms / start_ms:.2f} of the program's own start "
            f"(under {OPENING_MS}): {verdict(time_ms, OPENING_MS)}"
        )


def measure_keys(
    environment: Mapping[str, str], everything: str, counts: Mapping[str, int], *, total: int
) -> None:
    """Type words; time each key until its results are drawn."""
    took_ms: list[float] = []
    for word in WORDS:
        with Watched([*REPL, "--resume", "--all"], environment) as terminal:
            terminal.wait(everything)
            terminal.watch(1.0)
            for end in range(1, len(word) + 1):
                found = f"{counts[word[:end]]:,} of {total:,}"
                took_ms.append(terminal.press(word[end - 1], f"search: {word[:end]}", found) * 1000)
                terminal.watch(0.2)
    worst_ms = max(took_ms)
    print(
        f"sessions: each of {len(took_ms)} keys to drawn, median {statistics.median(took_ms):.0f} ms, "
        f"worst {worst_ms:.0f} ms (under {KEY_MS}): {verdict(worst_ms, KEY_MS)}"
    )
