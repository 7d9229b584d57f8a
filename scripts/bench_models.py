"""The cost of looking up a model in the table of windows and prices, against parsing the table."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

from chatcli.cost import model_table
from chatcli.cost.model_table import SHIPPED_FILE, ModelTable

if TYPE_CHECKING:
    from collections.abc import Callable

ALLOWED_MS = 5
NAMES = ("gpt-6-sol-2026-10-01", "qwen3:8b-q4_K_M", "models/gemini-3.8-flash", "nobody-knows-it-1")


def models(runs: int) -> None:
    """Print median CPU times of the first and a later look-up of a process, and of the yardstick."""
    table = ModelTable()
    table.window_tokens("api.openai.com", NAMES[0])
    parse_ms, first_ms, next_ms = [], [], []
    for run in range(runs * 10):
        name = NAMES[run % len(NAMES)]
        parse_ms.append(timed_ms(parse_all))
        first_ms.append(timed_ms(lambda name=name: first_look_up(name)))
        next_ms.append(timed_ms(lambda name=name: look_up(ModelTable(), name)))
    parsed, first, following = map(statistics.median, (parse_ms, first_ms, next_ms))
    print(f"  {SHIPPED_FILE.stat().st_size:,} bytes; parsing all of it takes {parsed:.1f} ms (medians)")
    print(
        f"models: first look-up {first:.2f} ms, ratio {first / parsed:.2f}; under {ALLOWED_MS} ms: {first < ALLOWED_MS}"
    )
    print(f"  another one {following:.2f} ms, ratio {following / parsed:.3f}")


def look_up(table: ModelTable, name: str) -> None:
    """Look up everything a turn needs of a model: window and price, at a host that is not in the table."""
    table.window_tokens("models.example", name)
    table.passed_on_price("models.example", name)


def first_look_up(name: str) -> None:
    model_table._shipped.cache_clear()  # noqa: SLF001 - as in a process that has asked for nothing yet
    look_up(ModelTable(), name)


def parse_all() -> None:
    for line in SHIPPED_FILE.read_bytes().splitlines():
        json.loads(line)


def timed_ms(call: Callable[[], None]) -> float:
    started_s = time.process_time()
    call()
    return (time.process_time() - started_s) * 1000
