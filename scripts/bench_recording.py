"""What it costs a turn that its calls are measured and kept."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench_endpoint
from bench_costs import Cost, children_cpu_s, medians, show

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatcli.core.events import ModelEvent
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request

TURNS: Final = 1_000
DELTAS: Final = 200
MOST_TURN_MS: Final = 1.0


class InstantModel:
    """Answers with ``DELTAS`` deltas, as fast as they are taken."""

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        from chatcli.core.events import Completion, TextDelta, Usage

        if request.trace is not None:
            request.trace.attempts += 1
        for _ in range(DELTAS):
            yield TextDelta("word ")
        yield Completion("stop", "small", Usage(10, DELTAS), 0.001)


def recording(runs: int) -> None:
    """Measure a turn in the conversation's own thread, and a one-shot with and without telemetry."""
    turn_ms = asyncio.run(_turn_ms())
    verdict = "met" if turn_ms < MOST_TURN_MS else "not met"
    print(
        f"telemetry: {turn_ms:.3f} ms a turn of {DELTAS} deltas in its own thread (under {MOST_TURN_MS:.0f} ms): {verdict}"
    )
    costs = _one_shots(runs)
    show(costs)
    wall, cpu = (
        [medians(costs[name])[at] or 0.0 for name in ("telemetry off", "telemetry on")] for at in (0, 1)
    )
    print(
        f"telemetry: a one-shot takes {1000 * (wall[1] - wall[0]):.0f} ms longer, and {1000 * (cpu[1] - cpu[0]):.0f} ms of CPU"
    )


async def _turn_ms() -> float:
    """Return what recording adds to a turn, in milliseconds: medians of turns that alternate with unrecorded ones."""
    from chatcli.client.call_recording import RecordedModel, Recording
    from chatcli.client.endpoint import Endpoint
    from chatcli.telemetry.call_store import FILE_NAME, CallStore
    from chatcli.telemetry.call_writer import CallWriter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE_NAME)
        writer = CallWriter([partial(CallStore, path)])
        bare = InstantModel()
        recorded = RecordedModel(bare, Recording(Endpoint("https://models.example/v1"), lambda: writer))
        spent_s: dict[str, list[float]] = {"bare": [], "recorded": []}
        for _ in range(TURNS):
            spent_s["bare"].append(await _turn_s(bare))
            spent_s["recorded"].append(await _turn_s(recorded))
        if (thread := writer.end()) is not None:
            thread.join()
        with closing(CallStore(path)) as store:
            if store.figures(0, 2 * time.time()).calls != TURNS or writer.lost:
                raise SystemExit(f"not every call was kept: {writer.problem}")
    return 1000 * (statistics.median(spent_s["recorded"]) - statistics.median(spent_s["bare"]))


async def _turn_s(model: ChatModel) -> float:
    from chatcli.core.messages import question
    from chatcli.core.request import Request

    request = Request("small", (question("Hi"),))
    began_s = time.perf_counter()
    async with aclosing(model.stream(request)) as events:
        async for _ in events:
            pass
    return time.perf_counter() - began_s


def _one_shots(runs: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {"telemetry off": [], "telemetry on": []}
    with tempfile.TemporaryDirectory() as folder, bench_endpoint.serve_answers() as base_url:
        environment = bench_endpoint.environment(base_url, folder)
        for run in range(runs + 1):
            for name, kept in costs.items():
                began_s, cpu_before_s = time.perf_counter(), children_cpu_s()
                subprocess.run(
                    [sys.executable, "-m", "chatcli", "-m", bench_endpoint.MODEL, "hi"],
                    env={**os.environ, **environment, "CHATCLI_TELEMETRY": name.split()[1]},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=True,
                )
                wall_s, cpu_s = time.perf_counter() - began_s, children_cpu_s()
                if run:
                    known = cpu_s is not None and cpu_before_s is not None
                    kept.append(Cost(wall_s, (cpu_s or 0) - (cpu_before_s or 0) if known else None))
    return costs
