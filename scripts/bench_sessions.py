"""Listing and searching ten thousand conversations, compared with listing the folder and grep."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench_corpus import MARKER, write_corpus

from chatcli.sessions.index_file import FILE_NAME
from chatcli.sessions.library import Library

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 20
OPENING_MS, KEY_MS = 300, 100
"""How long the picker may take to have its first list, and its next one after a key."""

TYPED = {
    "three English words": "function value pitamo",
    "a Chinese word of two characters": "北京",
    "a Chinese sentence": "我们今天去北京",
    "one letter": "t",
    "the commonest words": "the of and",
    "a word that is in ten": MARKER,
    "a word that is nowhere": "quetzalcoatl",
}


@dataclass(frozen=True, slots=True)
class Key:
    typed: str
    times_ms: list[float]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.times_ms)

    @property
    def worst_ms(self) -> float:
        return max(self.times_ms)


def sessions(runs: int, count: int) -> None:
    """Create a folder with ``count`` sessions, index it, and do what the picker does."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name, "DATA")
        write_corpus(data / "sessions", count, TURNS)
        print(f"  {count:,} sessions of {TURNS} turns, {_size_mb(data):,.0f} MB")
        library = Library.of(data)
        try:
            measure_building(library, count, data)
            measure_opening(library, runs, data)
            measure_keys(library, runs, data)
        finally:
            library.close()
        if os.name == "posix":
            from bench_picker import picker

            picker(runs, name)


def measure_building(library: Library, count: int, data: Path) -> None:
    built_s = _timed_ms(library.refresh) / 1000
    index_mb = (data / "sessions" / FILE_NAME).stat().st_size / 1e6
    print(f"  index built once in {built_s:.1f} s ({count / built_s:,.0f} sessions/s), {index_mb:,.0f} MB")


def measure_opening(library: Library, runs: int, data: Path) -> None:
    """Run yardstick and library alternately, so that a slowdown of the machine affects both."""
    folder = data / "sessions"
    changed = max(folder.glob("*.jsonl"))
    listing_ms, unchanged_ms, one_changed_ms, sessions_ms = [], [], [], []
    for run in range(runs + 1):
        once = (
            _timed_ms(lambda: _list_folder(folder)),
            _timed_ms(library.refresh),
            _timed_ms(library.sessions),
        )
        with changed.open("ab") as file:
            file.write(b'{"type":"mark","id":"m%d","parent":null,"at":"","kind":"note","value":"so"}\n' % run)
        changed_once_ms = _timed_ms(library.refresh)
        if run:
            for times, time_ms in zip((listing_ms, unchanged_ms, sessions_ms), once, strict=True):
                times.append(time_ms)
            one_changed_ms.append(changed_once_ms)
    yardstick_ms = statistics.median(listing_ms)
    print(f"  os.scandir and stat of the folder {yardstick_ms:.1f} ms (medians, and ratios to it)")
    for what, times in (
        ("refresh, nothing changed", unchanged_ms),
        ("refresh, one changed", one_changed_ms),
        ("sessions()", sessions_ms),
    ):
        median_ms = statistics.median(times)
        print(f"  {what:<26}{median_ms:6.1f} ms  {median_ms / yardstick_ms:5.2f}")
    opening_ms = [sum(pair) for pair in zip(unchanged_ms, sessions_ms, strict=True)]
    print(
        f"sessions: opening the list {statistics.median(opening_ms):.0f} ms, worst {max(opening_ms):.0f} ms "
        f"(under {OPENING_MS}): {verdict(max(opening_ms), OPENING_MS)}"
    )


def measure_keys(library: Library, runs: int, data: Path) -> None:
    """Type character by character; each key requests the first hits and their number."""
    worst: list[Key] = []
    grep_ms = _grep_ms(data)
    if grep_ms is not None:
        print(f"  grep -rl through the files {grep_ms:.0f} ms (ratios of the median key to it)")
    for what, words in TYPED.items():
        keys = [_press_key(library, words[:end], runs) for end in range(1, len(words) + 1)]
        slowest = max(keys, key=lambda key: key.worst_ms)
        worst.append(slowest)
        median_ms = statistics.median(key.median_ms for key in keys)
        ratio = "" if grep_ms is None else f"  1/{grep_ms / median_ms:,.0f}"
        print(
            f"  {what:<34}{len(keys):3} keys: median {median_ms:5.1f} ms{ratio}, "
            f"worst {slowest.worst_ms:5.1f} ms after {slowest.typed!r}; {library.count(words):,} found"
        )
    slowest = max(worst, key=lambda key: key.worst_ms)
    print(
        f"sessions: search worst key {slowest.worst_ms:.0f} ms, after {slowest.typed!r} (under {KEY_MS}): "
        f"{verdict(slowest.worst_ms, KEY_MS)}"
    )


def _press_key(library: Library, typed: str, runs: int) -> Key:
    def look() -> None:
        library.search(typed)
        library.count(typed)

    return Key(typed, [_timed_ms(look) for _ in range(runs)])


def verdict(time_ms: float, limit_ms: float) -> str:
    return "met" if time_ms < limit_ms else "NOT MET"


def _timed_ms(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return (time.perf_counter() - started_s) * 1000


def _list_folder(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            entry.stat()


def _grep_ms(data: Path) -> float | None:
    grep = shutil.which("grep")
    if grep is None:
        return None
    command = [grep, "-rl", MARKER, str(data / "sessions"), "--include=*.jsonl"]
    return _timed_ms(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.jsonl")) / 1e6
