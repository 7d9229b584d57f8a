"""Progress bars, as a terminal shows them."""

from __future__ import annotations

import io

import pyte
import pytest

from chatcli.cli.progress_bar import can_be_redrawn, progress_bar
from chatcli.cli.standard_streams import ClosedPipe, Stream
from cli.fakes import terminal
from cli.sized_terminal import SizedTerminal

ROWS = 6


class Bar:
    """A terminal with a progress bar, and its screen."""

    def __init__(self, columns, **environment):
        self.columns = columns
        self.file = io.BytesIO()
        self.terminal = SizedTerminal(io.BytesIO(), columns, ROWS)
        self.terminal.stderr = Stream(self.file, is_terminal=True)
        self.terminal.stderr_colors = environment.get("colors")

    @property
    def shown(self):
        screen = pyte.Screen(self.columns, ROWS)
        pyte.Stream(screen).feed(self.file.getvalue().decode().replace("\n", "\r\n"))
        return [row.rstrip() for row in screen.display if row.strip()]


@pytest.mark.parametrize("columns", [80, 40])
def test_a_bar_says_what_is_done_in_one_row_and_leaves_nothing_behind(columns):
    bar = Bar(columns)
    with progress_bar(bar.terminal, in_bytes=True) as show:
        show("fetching", 69_000_000, 138_000_000)
        show("fetching", 70_000_000, 138_000_000)
    drawn = bar.file.getvalue().decode()
    assert bar.shown == []
    assert "fetching" in drawn
    assert "70.0/138.0 MB" in drawn
    rows = [row for row in drawn.replace("\r", "\n").split("\n") if "fetching" in row]
    assert all("━" in row and "MB" in row for row in rows)


def test_without_colours_it_is_drawn_without_them():
    bar = Bar(80)
    with progress_bar(bar.terminal) as show:
        show("3 conversations", 1, 2)
    assert "3 conversations" in bar.file.getvalue().decode()
    assert "\x1b[3" not in bar.file.getvalue().decode()
    colored = Bar(80, colors="256")
    with progress_bar(colored.terminal) as show:
        show("3 conversations", 1, 2)
    assert b"\x1b[3" in colored.file.getvalue()


def test_what_is_done_goes_on_when_nobody_reads_the_bar_any_more():
    class Gone(Stream):
        def write(self, text):
            raise ClosedPipe

    bar = Bar(80)
    bar.terminal.stderr = Gone(io.BytesIO(), is_terminal=True)
    with progress_bar(bar.terminal) as show:
        show("3 conversations", 1, 2)


@pytest.mark.parametrize(
    ("is_terminal", "term", "can"),
    [(True, "xterm-256color", True), (True, "dumb", False), (False, "xterm", False)],
)
def test_a_bar_is_drawn_where_it_can_be_redrawn(is_terminal, term, can):
    assert can_be_redrawn(terminal(is_terminal=is_terminal, TERM=term)) is can
