"""How soon the prompt is drawn and a question sent, how much memory it takes, and how soon keys show during loading."""

from __future__ import annotations

import math
import os
import random
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import bench_endpoint
from bench_costs import Cost, children_cpu_s, medians, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROMPT = "> "
COLUMNS, LINES = 80, 24
PATIENCE_S = 30

REPL = [sys.executable, "-m", "chatcli"]
EMPTY = """
from prompt_toolkit import Application
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
Application(Layout(Window(FormattedTextControl("> ")))).run()
"""

IMPORT_RATIO, EMPTY_RATIO = 1.35, 1.2
SENT_S = 0.4
MEMORY_MB = 45
P99_S, WORST_S = 0.05, 0.15

TYPED_STARTS = 5
KEYS = "QXZJ" * 6  # letters that occur nowhere else on the screen
GAPS_S = (0.04, 0.4)
SETTLED_AFTER_S = 3


def start(runs: int) -> None:
    """Measure the REPL on a pseudo-terminal, comparing its start with importing prompt_toolkit."""
    if sys.platform == "win32":
        print("  not measured: it needs a pseudo terminal, which Python does not have on Windows")
        return
    answers = bench_endpoint.serve_answers()
    with tempfile.TemporaryDirectory() as folder, answers as base_url:
        environment = {
            **bench_endpoint.environment(base_url, folder),
            "CHATCLI_MODEL": bench_endpoint.MODEL,
            "TERM": "xterm-256color",
        }
        measure_drawing(runs, environment)
        measure_sending(runs, environment, answers.asked_s)
        measure_loading(environment)


def measure_drawing(runs: int, environment: Mapping[str, str]) -> None:
    """Run the contenders alternately, so that a slowdown of the machine affects all of them."""
    names = ("import prompt_toolkit", "an empty Application", "chatcli")
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    first_key_s: list[float] = []
    for run in range(runs + 1):
        once = [cost_of_import(environment)]
        for command in ([sys.executable, "-c", EMPTY], REPL):
            with Terminal(command, environment) as terminal:
                once.append(Cost(terminal.wait_for_prompt(), terminal.cpu_s()))
                if command is REPL and run:
                    first_key_s += terminal.type(KEYS[0], [0])
        for name, cost in zip(names, once, strict=True):
            costs[name] += [cost] if run else []
    print("  until the prompt is drawn")
    show(costs)
    imported, empty, drawn = (medians(costs[name]) for name in names)
    # Of CPU time where the system tells: another process on the same machine costs little of it.
    column = 0 if None in {imported[1], drawn[1]} else 1
    for floor, limit, name in ((imported, IMPORT_RATIO, names[0]), (empty, EMPTY_RATIO, names[1])):
        ratio = (drawn[column] or 0) / (floor[column] or 1)
        verdict = "met" if ratio <= limit else "not met"
        print(f"start: {ratio:.2f} of {name} (at most {limit}): {verdict}")
    # The prompt must not be a picture of one.
    verdict = "met" if max(first_key_s) <= WORST_S else "not met"
    print(
        f"start: a key typed the moment the prompt is drawn is shown after {statistics.median(first_key_s) * 1000:.0f} ms, "
        f"worst {max(first_key_s) * 1000:.0f} ms (at most {WORST_S * 1000:.0f}: {verdict})"
    )


def measure_sending(runs: int, environment: Mapping[str, str], asked_s: Sequence[float]) -> None:
    """Type a question and Enter the moment the prompt is drawn, and again once it has been answered."""
    first_s, second_s, cpu_s = [], [], []
    for _ in range(runs):
        with Terminal(REPL, environment) as terminal:
            terminal.wait_for_prompt()
            before_s = terminal.cpu_s()
            first_s.append(terminal.ask("hi", asked_s))
            cpu_s.append((terminal.cpu_s() or 0) - (before_s or 0))
            terminal.watch(SETTLED_AFTER_S)
            second_s.append(terminal.ask("ho", asked_s))
    first, second = statistics.median(first_s), statistics.median(second_s)
    verdict = "met" if first <= SENT_S else "not met"
    print(
        f"start: from Enter to the request: {first:.3f} s right after the prompt (at most {SENT_S}: {verdict}), "
        f"worst {max(first_s):.3f} s, of CPU {statistics.median(cpu_s):.3f} s; {second * 1000:.0f} ms on the second turn"
    )


def measure_loading(environment: Mapping[str, str]) -> None:
    """Type as soon as the prompt is drawn, and again when everything is loaded."""
    at_prompt_mb, loaded_mb, latencies_s = [], [], []
    for number in range(TYPED_STARTS):
        pattern = random.Random(number)
        with Terminal(REPL, environment) as terminal:
            terminal.wait_for_prompt()
            at_prompt_mb.append(terminal.memory_mb())
            latencies_s += terminal.type(KEYS, [pattern.uniform(*GAPS_S) for _ in KEYS])
            terminal.watch(SETTLED_AFTER_S)
            loaded_mb.append(terminal.memory_mb())
    print(
        f"  memory: {statistics.median(at_prompt_mb):.1f} MB at the prompt (under {MEMORY_MB}), "
        f"{statistics.median(loaded_mb):.1f} MB when everything is loaded"
    )
    latencies_s.sort()
    print(
        f"  {len(latencies_s)} keys typed while it loads, shown after: p50 {percentile_ms(latencies_s, 50):.1f} ms, "
        f"p99 {percentile_ms(latencies_s, 99):.1f} ms (under {P99_S * 1000:.0f}), "
        f"worst {latencies_s[-1] * 1000:.1f} ms (under {WORST_S * 1000:.0f})"
    )


def cost_of_import(environment: Mapping[str, str]) -> Cost:
    command = [sys.executable, "-c", "import prompt_toolkit"]
    started_s, before_s = time.perf_counter(), children_cpu_s()
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True)
    wall_s, after_s = time.perf_counter() - started_s, children_cpu_s()
    return Cost(wall_s, None if after_s is None or before_s is None else after_s - before_s)


def percentile_ms(ordered_s: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile: that many percent are at most as long."""
    return ordered_s[math.ceil(len(ordered_s) * percent / 100) - 1] * 1000


class Terminal:
    """A process on a pseudo-terminal while entered, and what a person sees of it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        import pty
        import termios

        import pyte

        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._descriptor, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (LINES, COLUMNS))
        self._started_s = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._descriptor)

    def wait_for_prompt(self) -> float:
        """Return how long after the start of the process the prompt was drawn, in seconds."""
        return self._wait_for(PROMPT) - self._started_s

    def type(self, keys: str, gaps_s: Sequence[float]) -> list[float]:
        """Type each key after its gap, whether the previous one is shown or not; return the times to show."""
        written_s: list[float] = []
        shown_s: list[float] = []
        due_s = time.perf_counter()
        for key, gap_s in zip(keys, gaps_s, strict=True):
            due_s += gap_s
            while (left_s := due_s - time.perf_counter()) > 0:
                seen_s = self._read(left_s)
                while len(shown_s) < len(written_s) and self._shows(PROMPT + keys[: len(shown_s) + 1]):
                    shown_s.append(seen_s)
            written_s.append(time.perf_counter())
            os.write(self._descriptor, key.encode())
        while len(shown_s) < len(keys):
            shown_s.append(self._wait_for(PROMPT + keys[: len(shown_s) + 1]))
        return [shown - written for shown, written in zip(shown_s, written_s, strict=True)]

    def watch(self, duration_s: float) -> None:
        until_s = time.perf_counter() + duration_s
        while (left_s := until_s - time.perf_counter()) > 0:
            self._read(left_s)

    def ask(self, question: str, asked_s: Sequence[float]) -> float:
        """Type ``question`` and Enter; return the time until one more of them ``asked_s``."""
        asked, entered_s = len(asked_s), time.perf_counter()
        os.write(self._descriptor, f"{question}\r".encode())
        while len(asked_s) == asked:
            if time.perf_counter() - entered_s > PATIENCE_S:
                raise SystemExit(f"nothing was asked within {PATIENCE_S} s:\n{self._shown()}")
            self._read(0.01)
        return asked_s[-1] - entered_s

    def cpu_s(self) -> float | None:
        """Return the CPU time of the process so far as Linux reports it, in hundredths; ``None`` elsewhere."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        except FileNotFoundError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return the resident memory of the process."""
        process_id = self._process.pid
        try:
            status = Path(f"/proc/{process_id}/status").read_text("ascii")
            resident_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        except FileNotFoundError:  # no Linux
            ps = ["ps", "-o", "rss=", "-p", str(process_id)]
            resident_kib = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
        return int(resident_kib) * 1024 / 1e6

    def _wait_for(self, text: str) -> float:
        """Return when the line beginning with ``text`` appeared."""
        seen_s = time.perf_counter()
        while not self._shows(text):
            if time.perf_counter() - seen_s > PATIENCE_S:
                raise SystemExit(f"there is no {text!r} after {PATIENCE_S} s in:\n{self._shown()}")
            seen_s = self._read(PATIENCE_S)
        return seen_s

    def _read(self, timeout_s: float) -> float:
        """Read what arrives within ``timeout_s`` and return when it arrived."""
        came = select.select([self._descriptor], [], [], timeout_s)[0]
        seen_s = time.perf_counter()
        if came:
            try:
                content = os.read(self._descriptor, 65_536)
            except OSError:  # Linux: the terminal is no longer open anywhere
                content = b""
            if not content:
                raise SystemExit(f"{' '.join(REPL)} ended:\n{self._shown()}")
            self._stream.feed(content)
        return seen_s

    def _shows(self, text: str) -> bool:
        return any(line.startswith(text) for line in self._screen.display)

    def _shown(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()
