"""Large texts: the cost of four times the text, for each operation on a whole text.

A linear operation costs about four times as much, a quadratic one sixteen times as much or more.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_GROWTH = 4
_MOST = 6.0
_FAMILY = "👨‍👩‍👧"


def large_texts(runs: int) -> None:
    """Print each operation's CPU time at one size and at four times that size, and the ratio."""
    print(
        f"  {'CPU time, medians of ' + str(runs):<36}{'1 x ms':>9}{f'{_GROWTH} x ms':>9}{'ratio':>7}  at most {_MOST:g}"
    )
    for name, size, prepare in _WORKS:
        small, large = (_median_s(prepare, size * times, runs) for times in (1, _GROWTH))
        verdict = "met" if large <= _MOST * small else "NOT met"
        print(f"  {name:<36}{small * 1e3:>9.1f}{large * 1e3:>9.1f}{large / small:>7.2f}  {verdict}")


def _median_s(prepare: Callable[[int], Callable[[], object]], size: int, runs: int) -> float:
    taken_s = []
    for _ in range(runs):
        work = prepare(size)
        began_s = time.process_time()
        work()
        taken_s.append(time.process_time() - began_s)
    return max(statistics.median(taken_s), 1e-6)


def _clean(unit: str) -> Callable[[int], Callable[[], object]]:
    def prepare(size: int) -> Callable[[], object]:
        from chatcli.text.sanitizer import sanitize

        text = unit * size
        return lambda: sanitize(text)

    return prepare


def _hostile(size: int) -> Callable[[], object]:
    from chatcli.text.sanitizer import sanitize

    text = "\U0001f3f4" + "\U000e0067" * size + "\u200d" * size + "\r" * size
    return lambda: sanitize(text)


def _paste(size: int) -> Callable[[], object]:
    from chatcli.terminal.key_decoding import PASTE_BEGIN, PASTE_END, PasteGatherer

    sent = PASTE_BEGIN + "世界 x\r" * size + PASTE_END
    gatherer = PasteGatherer()
    chunks = [sent[at : at + 1_000] for at in range(0, len(sent), 1_000)]
    return lambda: [gatherer.feed(chunk) for chunk in chunks]


def _draft(size: int) -> Callable[[], object]:
    from chatcli.terminal.pastes import Pastes

    pastes = Pastes()
    draft = "größer " * size + pastes.folded("x" * size * 5, beside="")
    return lambda: pastes.likely_tokens(draft)


def _deltas(size: int) -> Callable[[], object]:
    from chatcli.core.events import TextDelta
    from chatcli.render.plain import PlainRenderer

    renderer = PlainRenderer(lambda _: None, sanitize=True)
    delta = TextDelta("hello ")

    async def show() -> None:
        for _ in range(size):
            await renderer(delta)

    return lambda: asyncio.run(show())


def _split(unit: str) -> Callable[[int], Callable[[], object]]:
    def prepare(size: int) -> Callable[[], object]:
        from chatcli.conversation.counting import O200K_BASE, TiktokenCounter
        from chatcli.conversation.long_input.splitting import split

        counter, text = TiktokenCounter(O200K_BASE), unit * size
        counter.load()
        return lambda: split(text, counter, budget_tokens=5_000, overlap_tokens=200)

    return prepare


_WORKS: tuple[tuple[str, int, Callable[[int], Callable[[], object]]], ...] = (
    ("sanitize, English", 500_000, _clean("The quick brown fox.\n")),
    ("sanitize, Chinese", 500_000, _clean("今天天气很好。\n")),
    ("sanitize, emoji", 500_000, _clean("one 👍 two\n")),
    ("sanitize, tags, joiners, returns", 50_000, _hostile),
    ("gather a paste", 500_000, _paste),
    ("measure a draft at a key", 500_000, _draft),
    ("print deltas", 25_000, _deltas),
    ("split words", 50_000, _split("word ")),
    ("split one long word", 200_000, _split("a")),
    ("split empty lines", 200_000, _split("\n")),
    ("split emoji", 10_000, _split(_FAMILY)),
    ("split a letter with marks", 100_000, _split("\u0301")),
)
