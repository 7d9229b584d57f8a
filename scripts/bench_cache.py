"""The cache of answers: a hit and a miss against a turn without a cache, for each store."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from chatcli import Chat

ANSWER_S: Final = 0.2
MOST_MISS: Final = 1.05
MOST_HIT: Final = 0.1

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))


def cache(runs: int) -> None:
    """Measure turns at a server that takes 200 ms: without a cache, asked for the first time, and again."""
    from redis_server import REDIS, running_redis

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        base_url = stack.enter_context(bench_endpoint.serve_answers(delay_s=ANSWER_S))
        stores = {"memory": "memory", "sqlite": "sqlite"}
        if REDIS is None:
            print("  no redis-server on this machine: Redis is left out")
        else:
            stores["redis"] = stack.enter_context(running_redis(Path(folder)))
        os.environ.update(bench_endpoint.environment(base_url, folder))
        turns_s = asyncio.run(measured(base_url, stores, runs))
    show(turns_s)


async def measured(base_url: str, stores: Mapping[str, str], runs: int) -> dict[str, list[float]]:
    """Return the times of turns; the contenders take turns, after one uncounted round."""
    turns_s: dict[str, list[float]] = {"no cache": []}
    async with AsyncExitStack() as stack:
        # As in a conversation: connection and store are open before the question.
        for store in ("off", *stores.values()):
            await stack.enter_async_context(conversation(base_url, store))
        for run in range(runs + 1):
            rounds = {"no cache": await turn_s(base_url, "off", f"question {run}", is_cached=False)}
            for name, store in stores.items():
                rounds[f"{name}, miss"] = await turn_s(base_url, store, f"question {run}", is_cached=False)
                rounds[f"{name}, hit"] = await turn_s(base_url, store, f"question {run}", is_cached=True)
            for name, time_s in rounds.items():
                turns_s.setdefault(name, []).extend([time_s] if run else [])
    return turns_s


def conversation(base_url: str, store: str) -> AbstractAsyncContextManager[Chat]:
    import chatcli

    settings = {"context_window": 8192, "cache_patience_ms": 10_000}
    return chatcli.open_chat(model=bench_endpoint.MODEL, base_url=base_url, cache=store, settings=settings)


async def turn_s(base_url: str, store: str, question: str, *, is_cached: bool) -> float:
    async with conversation(base_url, store) as chat:
        began_s = time.perf_counter()
        answer = await chat.ask(question)
        taken_s = time.perf_counter() - began_s
    if answer.cached != is_cached or str(answer) != "".join(bench_endpoint.ANSWER):
        raise SystemExit(f"{store}: the answer to {question} is not as it should be")
    return taken_s


def show(turns_s: Mapping[str, list[float]]) -> None:
    medians = {name: statistics.median(times_s) for name, times_s in turns_s.items()}
    base_s = medians["no cache"]
    print(f"  {'':<16}{'turn ms':>9}{'ratio':>8}{'worst ms':>10}")
    for name, median_s in medians.items():
        print(
            f"  {name:<16}{1000 * median_s:>9.1f}{median_s / base_s:>8.3f}{1000 * max(turns_s[name]):>10.1f}"
        )
    misses = [median_s / base_s for name, median_s in medians.items() if name.endswith("miss")]
    hits = [median_s / base_s for name, median_s in medians.items() if name.endswith("hit")]
    print(
        f"cache: a miss costs at most {max(misses):.3f} of a turn without (under {MOST_MISS}): {max(misses) < MOST_MISS}"
    )
    print(f"cache: a hit costs at most {max(hits):.3f} of it (under {MOST_HIT}): {max(hits) < MOST_HIT}")
