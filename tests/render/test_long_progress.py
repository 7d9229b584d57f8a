from __future__ import annotations

import pytest

from chatcli.core.events import LongProgress, TextDelta, Waiting
from chatcli.render.long_progress import LongProgressLine, bar, told

HALF = LongProgress(5, 10, 12_345, cost_usd=0.0123, left_s=75)


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (HALF, "5 of 10 · 12,345 tokens · $0.0123 · 1 min 15 s left"),
        (LongProgress(0, 10, 0), "0 of 10"),
        (LongProgress(9, 10, 5, cost_usd=0, left_s=3), "9 of 10 · 5 tokens · 3 s left"),
    ],
)
def test_what_is_known_is_told(progress, shown):
    assert told(progress) == shown


def test_a_bar_fills():
    assert bar(HALF, "#-") == "#" * 10 + "-" * 10
    assert bar(LongProgress(0, 0, 0), "#-") == "-" * 20


async def test_the_line_is_redrawn_and_taken_back():
    written = []
    line = LongProgressLine(written.append, color=False, columns=lambda: 200)
    await line(Waiting(1.0, "turn"))
    await line(HALF)
    await line(HALF)
    await line(TextDelta("x"))
    await line(TextDelta("y"))
    assert [text.startswith("\r━") for text in written] == [True, True, False]
    assert written[-1] == "\r\x1b[K"


async def test_the_line_never_wraps():
    written = []
    await LongProgressLine(written.append, color=True, columns=lambda: 30)(HALF)
    assert len(written[0].removeprefix("\r\x1b[2m").removesuffix("\x1b[0m\x1b[K")) == 29
