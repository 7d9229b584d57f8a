"""Resizing in the middle of an answer, in a terminal that reflows."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("tmux runs on POSIX", allow_module_level=True)

from e2e.program import command
from e2e.tmux_terminal import TMUX, on_tmux
from scripted_server import Answer, event_stream, serving_in_thread

pytestmark = pytest.mark.skipif(TMUX is None, reason="needs tmux")

PARAGRAPHS = [
    f"Mark {number:03} and some words that wrap where it is narrow, 中文也一样." for number in range(80)
]


@pytest.fixture
def socket():
    # A socket's path may only be about a hundred characters long, which a test's own folder is already.
    folder = Path(tempfile.mkdtemp())
    yield folder / "tmux"
    shutil.rmtree(folder, ignore_errors=True)


def test_no_committed_line_is_lost_and_at_most_one_stale_tail_a_step_is_left(program, socket):
    script = [
        step for chunk in event_stream(*(f"{text}\n\n" for text in PARAGRAPHS)) for step in (chunk, 0.02)
    ]
    widths = [60, 40, 100, 50, 80]
    with (
        serving_in_thread(Answer(script)) as server,
        on_tmux(
            command(),
            columns=80,
            environment=program.environment(server),
            folder=program.working_folder,
            socket=socket,
        ) as tmux,
    ):
        tmux.wait_for("\n>")
        tmux.type("Mark them all.\r")
        for step, width in enumerate(widths, start=1):
            tmux.wait_for(f"Mark {step * 12:03}")
            tmux.resize(width)
        tmux.type("typed meanwhile")
        tmux.wait_for("Mark 079")
        shown = tmux.wait_for("\n\n> typed meanwhile")
    marks = [int(mark) for mark in re.findall(r"^Mark (\d+)", shown, re.MULTILINE)]
    assert sorted(set(marks)) == list(range(80))
    assert marks == sorted(marks)
    assert len(marks) <= len(PARAGRAPHS) + len(widths)
    assert shown.count("> typed meanwhile") == 1
