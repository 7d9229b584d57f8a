"""How soon the list of ten thousand sessions is drawn, and how soon it is drawn anew after each key of a search.

usage: python scripts/bench_picker.py [--sessions N] [--runs N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bench_corpus
import bench_endpoint
from bench_start import REPL, Terminal, percentile_ms

from chatcli.sessions.library import Library

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSIONS, TURNS, RUNS = 10_000, 3, 5
OPENED_S, KEY_S = 0.3, 0.1
WORDS = (bench_corpus.MARKER, "function", "".join(bench_corpus._HAN[:2]))  # noqa: SLF001 - what it says is made of
ENTER = "\r"


class Watched(Terminal):
    """A terminal whose keys are timed until what they lead to is shown."""

    def press(self, keys: str, *until: str) -> float:
        """Return how long after ``keys`` lines that begin with each of ``until`` were there."""
        written_s = time.perf_counter()
        os.write(self._descriptor, keys.encode())
        return max(self._wait_for(line) for line in until) - written_s

    def wait(self, until: str) -> float:
        """Return how long after the process began a line that begins with ``until`` was there."""
        return self._wait_for(until) - self._started_s


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=SESSIONS, metavar="N")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, bench_endpoint.serve_answers() as base_url:
        environment = {
            **bench_endpoint.environment(base_url, folder),
            "CHATCLI_MODEL": bench_endpoint.MODEL,
            "TERM": "xterm-256color",
        }
        data = Path(folder, "DATA")
        bench_corpus.write_corpus(data / "sessions", options.sessions, TURNS)
        library = Library.of(data)
        library.refresh()
        everything = f"{library.count():,} sessions"
        counts = {word[:end]: library.count(word[:end]) for word in WORDS for end in range(1, len(word) + 1)}
        library.close()
        measure_opening(options.runs, environment, everything)
        measure_keys(environment, everything, counts, library_total=options.sessions)


def measure_opening(runs: int, environment: Mapping[str, str], everything: str) -> None:
    prompt_s, resumed_s, opened_s = [], [], []
    for _ in range(runs):
        with Watched(REPL, environment) as terminal:
            prompt_s.append(terminal.wait_for_prompt())
            terminal.watch(2.0)  # what is loaded after the prompt is another measurement's
            opened_s.append(terminal.press("/sessions" + ENTER, everything))
        with Watched([*REPL, "--resume", "--all"], environment) as terminal:
            resumed_s.append(terminal.wait(everything))
    start_s, resumed, opened = map(statistics.median, (prompt_s, resumed_s, opened_s))
    print(
        f"/sessions to drawn: {opened * 1000:.0f} ms (under {OPENED_S * 1000:.0f})\n"
        f"--resume to drawn: {resumed * 1000:.0f} ms, of which the program's own start {start_s * 1000:.0f} ms: "
        f"{(resumed - start_s) * 1000:.0f} ms (under {OPENED_S * 1000:.0f})"
    )


def measure_keys(
    environment: Mapping[str, str], everything: str, counts: Mapping[str, int], *, library_total: int
) -> None:
    for word in WORDS:
        took_s = []
        with Watched([*REPL, "--resume", "--all"], environment) as terminal:
            terminal.wait(everything)
            terminal.watch(1.0)
            for end in range(1, len(word) + 1):
                found = f"{counts[word[:end]]:,} of {library_total:,}"
                took_s.append(terminal.press(word[end - 1], f"search: {word[:end]}", found))
                terminal.watch(0.2)
        shown = " ".join(f"{key}:{key_s * 1000:.0f}" for key, key_s in zip(word, took_s, strict=True))
        took_s.sort()
        print(
            f"each key of {word}, ms: {shown}; worst {percentile_ms(took_s, 100):.0f} (under {KEY_S * 1000:.0f})"
        )


if __name__ == "__main__":
    if os.name == "nt":
        raise SystemExit("it needs a pseudo terminal, which Python does not have on Windows")
    main()
