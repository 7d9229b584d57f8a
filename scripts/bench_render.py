"""A long Markdown answer on a terminal, compared with programs that print plain text."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import bench_endpoint
from bench_answer import LAST_WORD, answer, marks_in
from bench_costs import Cost, show
from bench_pty import COLUMNS, LINES, Output, Running
from bench_stream import serve_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench_answer import Answer

ROOT: Final = Path(__file__).resolve().parent.parent

FEWER_TOKENS = 6_500
"""Enough for every kind of block and every language: to load what draws them is no growth."""
PACED_TOKENS, PACE_A_SECOND = 800, 100
SETTLED_AFTER_S = 5.0
"""By then the REPL has loaded all that it loads while nobody types."""

# The limits of the figures.
CPU_OF_LLM = 0.15
LAG_S = 0.05
CPU_GROWTH = 27 / 25
MEMORY_GROWTH = 4.0
CPU_AT_PACE = 0.1

CPU_OF_LLM_IN_RUST = 0.2
"""Measured elsewhere, without Markdown: how near one can come."""

PROMPT, QUESTION = "> ", "hi"

LLM = ROOT / ".bench" / "llm"
LLM_MODEL = '- model_id: "{name}"\n  model_name: "{name}"\n  api_base: "{base_url}"\n'


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to compare; model and question follow ``command``, ``shown`` splits its output in lines."""

    name: str
    command: Sequence[str]
    shown: Callable[[Output], str]


@dataclass(frozen=True, slots=True)
class Run:
    """``lag_s`` is the time from the client's reading the last token to the last word on the terminal."""

    cost: Cost
    peak_bytes: int
    lag_s: float


def render(runs: int, tokens: int) -> None:
    """Measure whole answers on a pseudo-terminal, and the REPL at the pace of a fast model."""
    if sys.platform == "win32":
        print("  not measured: it needs a pseudo terminal, which Python does not have on Windows")
        return
    install_llm()
    paced = f"{PACED_TOKENS}@{PACE_A_SECOND}"
    names = [str(tokens), str(FEWER_TOKENS), "1", paced]
    with tempfile.TemporaryDirectory() as folder, serve_streams(*names) as server:
        environment = {
            **bench_endpoint.environment(server.base_url, folder),
            "LLM_USER_PATH": folder,
            "TERM": "xterm-256color",
        }
        models = "".join(LLM_MODEL.format(name=name, base_url=server.base_url) for name in names)
        Path(folder, "extra-openai-models.yaml").write_text(models, "utf-8")
        measure_answers(runs, tokens, server, environment)
        if sys.platform == "linux":
            measure_pace(paced, environment)
        else:
            print("  the REPL at a pace is not measured: only Linux tells what a process takes while it runs")


def measure_answers(runs: int, tokens: int, server: serve_streams, environment: Mapping[str, str]) -> None:
    """Run the contenders alternately, so that a slowdown of the machine affects all of them."""
    whole, part = answer(tokens), answer(FEWER_TOKENS)
    print(f"  {described(whole)}, in a terminal of {COLUMNS}x{LINES}")
    llm = Contender(
        "llm, plain text", [str(LLM / "bin" / "llm"), "--no-log", "-m"], lambda output: output.text
    )
    plain = Contender(
        "plain openai script",
        [sys.executable, str(ROOT / "scripts" / "bench_plain.py")],
        lambda output: output.text,
    )
    chatcli = Contender("chatcli, Markdown", [sys.executable, "-m", "chatcli", "-m"], Output.on_terminal)
    turns = [
        *((contender, str(tokens)) for contender in (llm, plain, chatcli)),
        (chatcli, str(FEWER_TOKENS)),
        (chatcli, "1"),
    ]
    took: dict[tuple[str, str], list[Run]] = {(contender.name, name): [] for contender, name in turns}
    for number in range(runs + 1):
        for contender, name in turns:
            run, output = run_once(contender, name, server, environment)
            if number:
                took[contender.name, name].append(run)
            elif name == str(tokens):
                check(contender, output, whole)
    show({contender.name: [run.cost for run in took[contender.name, name]] for contender, name in turns[:3]})
    show_targets(took, whole, part)


def show_targets(took: Mapping[tuple[str, str], Sequence[Run]], whole: Answer, part: Answer) -> None:
    llm, _, long, short, tiny = (Middle.of(runs) for runs in took.values())
    judge("CPU of what llm takes", long.cpu_s / llm.cpu_s, CPU_OF_LLM)
    print(f"  a client in Rust that prints plain text takes {CPU_OF_LLM_IN_RUST}")
    judge("last word after the last token was taken, in ms", long.lag_s * 1000, LAG_S * 1000)
    more = len(whole.tokens) / len(part.tokens)
    judge(f"CPU for {more:.1f} times the tokens, in times", long.cpu_s / short.cpu_s, more * CPU_GROWTH)
    without_start = (long.cpu_s - tiny.cpu_s) / (short.cpu_s - tiny.cpu_s)
    print(f"  without the start, which takes {tiny.cpu_s:.3f} s: {without_start:.1f} times")
    if not long.peak_bytes:
        print("  memory is not measured: only Linux tells the most a process had")
        return
    grown_bytes = long.peak_bytes - short.peak_bytes
    added_bytes = len(whole.text.encode()) - len(part.text.encode())
    print(
        f"  at most {short.peak_bytes / 1e6:.1f} MB for {described(part)}, and {grown_bytes / 1e6:.2f} MB more for all"
    )
    judge("memory for each byte that was added, in bytes", grown_bytes / added_bytes, MEMORY_GROWTH)


@dataclass(frozen=True, slots=True)
class Middle:
    """The medians of several runs."""

    cpu_s: float
    peak_bytes: float
    lag_s: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Self:
        return cls(
            statistics.median(run.cost.cpu_s or 0 for run in runs),
            statistics.median(run.peak_bytes for run in runs),
            statistics.median(run.lag_s for run in runs),
        )


def judge(what: str, figure: float, limit: float) -> None:
    print(f"render: {what}: {figure:.2f} (at most {limit:g}: {'met' if figure <= limit else 'NOT met'})")


def measure_pace(name: str, environment: Mapping[str, str]) -> None:
    """Ask in the REPL, and measure it while the answer arrives at its pace."""
    with Running([sys.executable, "-m", "chatcli", "-m", name], environment) as repl:
        repl.wait_for(PROMPT)
        repl.watch(SETTLED_AFTER_S)
        repl.type(f"{QUESTION}\r")
        began_s = repl.wait_for(answer(1).marks[0])
        cpu_before_s = repl.cpu_so_far_s()
        ended_s = repl.wait_for(LAST_WORD)
        cpu_s = repl.cpu_so_far_s() - cpu_before_s
    took_s = ended_s - began_s
    print(f"  the REPL at {PACE_A_SECOND} tokens a second: {cpu_s:.2f} s of CPU in {took_s:.2f} s")
    judge("CPU at that pace, in cores", cpu_s / took_s, CPU_AT_PACE)


def described(whole: Answer) -> str:
    size_kb = len(whole.text.encode()) / 1000
    return f"{len(whole.tokens):,} tokens, {size_kb:,.0f} kB of text, {len(whole.marks):,} marked lines"


def run_once(
    contender: Contender, name: str, server: serve_streams, environment: Mapping[str, str]
) -> tuple[Run, Output]:
    with Running([*contender.command, name, QUESTION], environment) as running:
        wall_s = running.wait_for_exit()
    lag_s = running.output.came_s(LAST_WORD) - server.taken_s(name)
    return Run(Cost(wall_s, running.cpu_s), running.peak_bytes, lag_s), running.output


def check(contender: Contender, output: Output, whole: Answer) -> None:
    """Return whether every marked line is shown once, in order."""
    shown = marks_in(contender.shown(output))
    missing, again = len(set(whole.marks) - set(shown)), len(shown) - len(set(shown))
    if shown == list(whole.marks):
        print(f"  {contender.name}: all {len(shown):,} marked lines are there, once and in order")
    else:
        print(f"  {contender.name}: {missing:,} marked lines are missing, {again:,} are there again")


def install_llm() -> None:
    """Install the llm package into an environment of its own, once."""
    if (LLM / ".ready").exists():
        return
    print("  installing llm into .bench/llm, for this bench alone …", flush=True)
    venv.create(LLM, with_pip=True, clear=True)
    python = str(LLM / "bin" / "python")
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "llm"], check=True)
    (LLM / ".ready").touch()
