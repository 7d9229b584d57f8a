"""The waiting line."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.core.events import LongProgress, Retrying, TextDelta, TurnFinished, TurnResult, Waiting
from chatcli.render.waiting_line import WaitingLine, progress_bar, progress_facts, retry_line
from render.markdown.drawn import COLORED, PLAIN
from render.turns import show


async def written(*events, look=PLAIN, columns=80):
    chunks = []
    await show(WaitingLine(chunks.append, theme=look, columns=lambda: columns), events)
    return chunks


async def test_one_line_is_redrawn_and_taken_back_before_anything_else():
    end = TurnFinished(TurnResult("", "m"))
    assert await written(Waiting(1.0, ""), Waiting(2.2, "model"), TextDelta("a"), TextDelta("b"), end) == [
        "\rwaiting 1 s…\x1b[K",
        "\rwaiting 2 s… (model)\x1b[K",
        "\r\x1b[K",
    ]


async def test_nothing_is_taken_back_where_nothing_was_drawn():
    assert await written(TextDelta("a"), TurnFinished(TurnResult("", "m"))) == []


async def test_a_reason_from_outside_stays_short_and_harmless():
    (line,) = await written(Waiting(1.0, "\x1b[2J" + "x" * 500))
    assert "\x1b[2J" not in line
    assert len(line) < 80


async def test_with_color_the_line_is_dim():
    assert await written(Waiting(1.0, ""), look=COLORED) == ["\r\x1b[2mwaiting 1 s…\x1b[0m\x1b[K"]


async def test_on_a_narrow_terminal_the_line_does_not_wrap():
    assert await written(Waiting(1.0, "model"), columns=10) == ["\rwaiting 1\x1b[K"]


class Countdown:
    """A clock that advances while a task sleeps, and the output meanwhile."""

    def __init__(self):
        self.now_s = 0.0
        self.chunks = []
        self.line = WaitingLine(
            self.chunks.append,
            theme=PLAIN,
            columns=lambda: 80,
            hints=("Enter tries now",),
            clock=lambda: self.now_s,
            sleep=self.sleep,
        )

    async def sleep(self, time_s):
        await asyncio.sleep(0)
        self.now_s += time_s


async def test_the_wait_for_another_attempt_is_counted_down():
    countdown = Countdown()
    await countdown.line(Retrying(2, 2.5, "429"))
    assert countdown.chunks == []
    for _ in range(20):
        await asyncio.sleep(0)
    assert [chunk[1:-3] for chunk in countdown.chunks] == [
        "429, retrying in 3 s (attempt 2) · Enter tries now",
        "429, retrying in 2 s (attempt 2) · Enter tries now",
        "429, retrying in 1 s (attempt 2) · Enter tries now",
        "429, retrying now (attempt 2)",
    ]


async def test_a_countdown_ends_with_the_next_event():
    countdown = Countdown()
    await countdown.line(Retrying(2, 60.0, "429"))
    await asyncio.sleep(0)
    await countdown.line(TextDelta("a"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert [chunk[1:-3] for chunk in countdown.chunks] == [
        "429, retrying in 60 s (attempt 2) · Enter tries now",
        "",
    ]


BUSY = "503 from openrouter.ai: The model is overloaded, sorry about that!"
HINTS = ("Enter tries now", "Ctrl-C stops")


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (140, f"{BUSY[:-1]}, retrying in 7 s (attempt 2) · Enter tries now · Ctrl-C stops"),
        (80, "503 from openrouter.ai: The mode…, retrying in 7 s (attempt 2) · Enter tries now"),
        (70, "503 from openrouter.ai…, retrying in 7 s (attempt 2) · Enter tries now"),
        (40, "503 from openrouter.ai…, retrying in 7 s"),
        (16, "retrying in 7 s"),
    ],
)
def test_a_retry_says_why_and_when_in_the_columns_there_are(columns, shown):
    line = retry_line(BUSY, 2, 6.2, HINTS, columns)
    assert line == shown


@given(st.text(max_size=200), st.integers(1, 200), st.floats(0, 1e4))
def test_a_retry_fits_its_row_and_doubles_no_punctuation(reason, columns, left_s):
    line = retry_line(reason, 2, left_s, HINTS, columns)
    assert width(line) <= columns
    assert not re.search(r"[.!?:;,]\s*, retrying", line)


HALF = LongProgress(5, 10, 12_345, cost_usd=0.0123, left_s=75)


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (HALF, "5 of 10 · 12,345 tokens · $0.0123 · 1 min 15 s left"),
        (LongProgress(0, 10, 0), "0 of 10"),
        (LongProgress(9, 10, 5, cost_usd=0, left_s=3), "9 of 10 · 5 tokens · 3 s left"),
    ],
)
def test_known_progress_is_shown(progress, shown):
    assert progress_facts(progress) == shown


def test_a_bar_fills():
    assert progress_bar(HALF) == "━" * 10 + "╌" * 10
    assert progress_bar(LongProgress(0, 0, 0)) == "╌" * 20


async def test_how_far_a_text_is_read_is_redrawn_and_taken_back():
    chunks = []
    line = WaitingLine(chunks.append, theme=PLAIN, columns=lambda: 200)
    await line(Waiting(1.0, "turn"))
    await line(HALF)
    await line(HALF)
    await line(TextDelta("x"))
    await line(TextDelta("y"))
    assert [text.startswith("\r━") for text in chunks] == [False, True, True, False]
    assert chunks[-1] == "\r\x1b[K"


async def test_how_far_a_text_is_read_never_wraps():
    chunks = []
    await WaitingLine(chunks.append, theme=COLORED, columns=lambda: 30)(HALF)
    assert len(chunks[0].removeprefix("\r\x1b[2m").removesuffix("\x1b[0m\x1b[K")) == 29
