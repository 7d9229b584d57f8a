"""Redrawing on standard output, read back with a terminal emulator."""

from __future__ import annotations

import io
import signal

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment

from chatcli.cli.live_screen import RESTED_AFTER_S, LiveScreen
from cli.sized_terminal import SizedTerminal
from conversation.fakes import ManualClock

COLUMNS, ROWS = 30, 8
ROW = st.text("abc 中", max_size=10)


class Pen:
    """A ``LiveScreen`` and the emulated terminal it draws on."""

    def __init__(self, columns=COLUMNS):
        self.clock = ManualClock()
        self.file = io.BytesIO()
        self.terminal = SizedTerminal(self.file, columns, ROWS)
        self.screen = LiveScreen(self.terminal, clock=self.clock)

    def draw(self, printed, tail):
        self.screen.draw([Segment(printed)] if printed else [], [[Segment(row)] for row in tail])

    def resize(self, columns):
        self.terminal.resize(columns, ROWS)

    @property
    def written(self):
        return self.file.getvalue().decode()

    @property
    def shown(self):
        shown = pyte.HistoryScreen(COLUMNS, ROWS, history=10_000, ratio=0.01)
        pyte.Stream(shown).feed(self.written.replace("\n", "\r\n"))
        history = ["".join(line[at].data for at in range(COLUMNS)) for line in shown.history.top]
        return [row.rstrip() for row in [*history, *shown.display]]


def test_the_tail_stands_below_what_is_printed_and_gives_way_to_it():
    pen = Pen()
    pen.draw("", ["one", "tw"])
    pen.draw("one\n", ["two", "thr"])
    assert pen.shown[:4] == ["one", "two", "thr", ""]
    pen.draw("two\nthree\n", [])
    assert pen.shown[:4] == ["one", "two", "three", ""]


def test_only_the_rows_that_changed_are_written_again():
    pen = Pen()
    pen.draw("", ["first", "second"])
    before = len(pen.written)
    pen.draw("", ["first", "second one"])
    assert "first" not in pen.written[before:]
    pen.draw("", ["first", "second one", "third"])
    assert pen.shown[:3] == ["first", "second one", "third"]
    before = len(pen.written)
    pen.draw("", ["first", "second one", "third"])
    assert len(pen.written) == before


def test_each_frame_is_marked_as_one():
    pen = Pen()
    pen.draw("one\n", ["two"])
    assert pen.written == "\x1b[?2026hone\ntwo\x1b[?2026l"


@given(st.lists(st.tuples(st.lists(ROW, max_size=6), st.lists(ROW, max_size=ROWS - 1)), max_size=12))
def test_everything_printed_is_in_the_scrollback_once_and_the_last_tail_below_it(frames):
    pen = Pen()
    expected = []
    tail = []
    for printed, tail in frames:
        pen.draw("".join(f"{row}\n" for row in printed), tail)
        expected += printed
    shown = [row.rstrip() for row in [*expected, *tail]]
    assert pen.shown[: len(shown)] == shown
    assert not any(pen.shown[len(shown) :])


def test_a_printed_line_wider_than_the_terminal_leaves_nothing_of_the_tail_behind():
    pen = Pen()
    pen.draw("", ["a long row of the tail", "another long row of it"])
    pen.draw("x" * 35 + "\n", ["end"])
    assert pen.shown[:4] == ["x" * 30, "x" * 5, "end", ""]


def test_it_waits_until_the_size_rests():
    pen = Pen()
    assert pen.screen.is_ready()
    pen.resize(20)
    assert not pen.screen.is_ready()
    assert pen.screen.columns() == 19
    pen.clock.now_s += RESTED_AFTER_S
    assert pen.screen.is_ready()


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="no process is stopped there")
def test_after_a_stop_it_begins_below_what_the_shell_wrote():
    pen = Pen()
    pen.screen.attach()
    try:
        pen.draw("", ["one", "two"])
        pen.file.write(b"\nshell\n")
        signal.raise_signal(signal.SIGCONT)
        pen.draw("", ["one", "two", "three"])
    finally:
        pen.screen.detach()
    assert pen.shown[:6] == ["one", "two", "shell", "one", "two", "three"]


def test_a_row_of_the_tail_that_a_narrower_terminal_wrapped_into_the_first_row_is_erased():
    pen = Pen()
    pen.draw("shell\n", ["a row of 21 characters"] * (ROWS - 1))
    pen.resize(20)
    pen.screen.restart()
    assert pen.shown == [""] * ROWS
    pen.draw("", ["two"])
    assert pen.shown[:3] == ["", "two", ""]


def test_a_tail_that_filled_the_screen_is_erased_when_it_starts_again():
    pen = Pen()
    pen.draw("shell\n", ["one"] * (ROWS - 1))
    pen.screen.restart()
    assert pen.shown == ["shell", *[""] * (ROWS - 1)]
    pen.draw("", ["two"])
    assert pen.shown[:3] == ["shell", "two", ""]
