"""The progress shown while the sessions are read."""

from __future__ import annotations

from argparse import Namespace

import pytest

from chatcli.cli.commands.sessions.listing import refresh
from cli.fakes import terminal

LOUD, QUIET = Namespace(quiet=False), Namespace(quiet=True)
LINE = "reading conversations: "


class SlowLibrary:
    """A library that takes this many seconds for each of three files."""

    def __init__(self, each_s: float, *, interrupted: bool = False) -> None:
        self.now_s = 0.0
        self._each_s = each_s
        self._interrupted = interrupted

    def monotonic_s(self) -> float:
        return self.now_s

    def refresh(self, progress) -> None:
        for done in range(3):
            self.now_s += self._each_s
            progress(done + 1, 3)
        if self._interrupted:
            raise KeyboardInterrupt


def shown(library: SlowLibrary, options=LOUD, *, is_terminal=True, **environment: str) -> str:
    recorded = terminal(is_terminal=is_terminal, **environment)
    try:
        refresh(library, options, recorded, monotonic_s=library.monotonic_s)
    finally:
        assert recorded.out == ""
    return recorded.err


def test_what_takes_no_second_shows_nothing():
    assert shown(SlowLibrary(0.3)) == ""


def test_what_takes_longer_is_counted_and_leaves_nothing_behind():
    line = f"{LINE}2 of 3"
    assert shown(SlowLibrary(0.6)) == f"\r{line}\r{LINE}3 of 3\r{' ' * len(line)}\r"


@pytest.mark.parametrize(
    ("options", "setting"), [(QUIET, {}), (LOUD, {"is_terminal": False}), (LOUD, {"TERM": "dumb"})]
)
def test_nothing_is_shown_where_nobody_looks_or_nothing_can_be_redrawn(options, setting):
    assert shown(SlowLibrary(5), options, **setting) == ""


def test_ctrl_c_leaves_an_empty_line():
    recorded, library = terminal(is_terminal=True), SlowLibrary(5, interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        refresh(library, LOUD, recorded, monotonic_s=library.monotonic_s)
    assert recorded.err.endswith(f"{' ' * len(LINE + '3 of 3')}\r")
