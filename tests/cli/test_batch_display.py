"""The progress of a batch, as a terminal shows it."""

from __future__ import annotations

import asyncio
import io

import pyte
import pytest

from chatcli.batching.batch_run import BatchProgress
from chatcli.cli import batch_display
from chatcli.cli.batch_display import BatchDisplay
from chatcli.core.events import Notice
from cli.fakes import terminal
from cli.sized_terminal import SizedTerminal

ROWS = 12


class Clock:
    now_s = 0.0

    def __call__(self):
        self.now_s += 1
        return self.now_s


def running(**changes):
    values = {
        "total": 10_000,
        "done": 4_213,
        "failed": 3,
        "in_flight": 12,
        "limit": 16,
        "retrying": 2,
        "held": 5,
        "held_by": "rate limit of 9 requests a minute",
        "input_tokens": 1_200_000,
        "cost_usd": 0.42,
    }
    return BatchProgress(**{**values, **changes})


def on(columns, progress, **options):
    shown = SizedTerminal(io.BytesIO(), columns, ROWS)
    shown.is_dumb = False
    options = {"plain": False, "quiet": False, **options}
    return shown, BatchDisplay(shown, progress, clock=Clock(), **options)


def screen_of(shown, columns):
    screen = pyte.Screen(columns, ROWS)
    pyte.Stream(screen).feed(shown.stderr.file.getvalue().decode().replace("\n", "\r\n"))
    return [row.rstrip() for row in screen.display if row.strip()]


@pytest.mark.parametrize("columns", [80, 40])
async def test_every_figure_is_shown_whole_within_the_width(columns, monkeypatch):
    monkeypatch.setattr(batch_display, "_FRAME_S", 0)
    progress = running()
    shown, display = on(columns, progress)
    with display.shown():
        for _ in range(20):
            progress.done += 1
            await asyncio.sleep(0)
        rows = screen_of(shown, columns)
        display.say("a line above")
    text = " · ".join(rows[1:])
    assert set(rows[0]) <= {"━", "╸", "╺"}
    assert all(len(row) < columns for row in rows)
    for figure in (
        "of 10,000 rows",
        "3 failed",
        "7 of 16 in flight",
        "5 not sent yet",
        "rate limit of 9 requests a minute",
        "2 waiting to retry",
        "1.2M tokens",
        "$0.42",
    ):
        assert figure in text
    assert "rows/s" in text
    assert "left" in text
    assert screen_of(shown, columns) == ["a line above"]


async def test_an_unknown_number_of_rows_has_no_bar_and_no_end(monkeypatch):
    monkeypatch.setattr(batch_display, "_FRAME_S", 0)
    shown, display = on(80, running(total=None))
    with display.shown():
        for _ in range(5):
            await asyncio.sleep(0)
        rows = screen_of(shown, 80)
    assert rows[0].startswith("4,213 rows · 3 failed")
    assert "left" not in " ".join(rows)


async def test_without_redrawing_a_line_comes_now_and_then(monkeypatch):
    monkeypatch.setattr(batch_display, "_LINE_EVERY_S", 0)
    plain = terminal()
    display = BatchDisplay(
        plain, running(phase="in progress at the provider"), plain=True, quiet=False, clock=Clock()
    )
    with display.shown():
        for _ in range(4):
            await asyncio.sleep(0)
    assert "4,213 of 10,000 rows · 3 failed · in progress at the provider" in plain.err
    assert "\x1b" not in plain.err


async def test_a_quiet_one_says_only_what_must_be_said(monkeypatch):
    monkeypatch.setattr(batch_display, "_LINE_EVERY_S", 0)
    quiet = terminal()
    progress = running(notices=[Notice("x", "a notice")])
    display = BatchDisplay(quiet, progress, plain=False, quiet=True, clock=Clock())
    with display.shown():
        for _ in range(4):
            await asyncio.sleep(0)
        display.say("a remark")
        display.say("a failure", always=True)
    assert quiet.err == "a failure\n"


def test_the_summary_names_what_went_wrong():
    display = BatchDisplay(
        terminal(), running(cut_off=2, has_unknown_price=True), plain=True, quiet=False, clock=Clock()
    )
    assert display.summary() == (
        "4,213 of 10,000 rows · 3 failed · 2 cut off at a length limit · 1.2M tokens · over $0.42 · in 1 s"
    )
