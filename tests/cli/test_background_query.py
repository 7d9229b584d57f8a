"""Querying the background of a real terminal with a simulated reply."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

import pty
import termios

from chatcli.cli import background_query
from chatcli.cli.background_query import BackgroundQuery, answer_theme, answers_queries
from chatcli.render.background import BACKGROUND_QUERY
from cli.fakes import terminal
from e2e.pseudo_terminal import on_terminal

ATTRIBUTES = "\x1b[?62;22c"


@contextmanager
def answering(*answer):
    """Yield a terminal's descriptor; a thread replies to the query with ``answer``, pausing at numbers."""
    ours, theirs = pty.openpty()

    def act():
        asked = ""
        while BACKGROUND_QUERY not in asked:
            asked += os.read(ours, 100).decode()
        for part in answer:
            if isinstance(part, str):
                os.write(ours, part.encode())
            else:
                time.sleep(part)

    acting = threading.Thread(target=act)
    acting.start()
    try:
        yield theirs
    finally:
        acting.join()
        os.close(ours)
        os.close(theirs)


def ask(descriptor):
    """Return the reply, and what was typed in the meantime."""
    before = termios.tcgetattr(descriptor)
    question = BackgroundQuery(descriptor, lambda text: os.write(descriptor, text.encode()))
    found = question.answer()
    question.close()
    assert termios.tcgetattr(descriptor) == before
    return found, question.keys


@pytest.fixture(autouse=True)
def nobody_reads_what_is_given_back(monkeypatch):
    monkeypatch.setattr(background_query.BackgroundQuery, "_give_back", lambda self: None)


@pytest.mark.parametrize("end", ["\x07", "\x1b\\"], ids=["BEL", "ST"])
@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("rgb:ffff/ffff/ffff", "light"),
        ("rgb:1e1e/1e1e/1e1e", "dark"),
        ("rgba:ffff/ffff/ffff/ffff", "light"),
        ("#fdf6e3", "light"),
        ("rgb:a", None),
    ],
)
def test_a_terminal_that_answers_is_believed(color, end, expected):
    with answering(f"\x1b]11;{color}{end}", ATTRIBUTES) as descriptor:
        assert ask(descriptor) == (expected, b"")


def test_a_terminal_that_does_not_know_the_question_costs_no_wait(monkeypatch):
    # Waiting for the reply would last until the end of the test.
    monkeypatch.setattr(background_query, "ANSWERED_WITHIN_S", 10_000)
    with answering(ATTRIBUTES) as descriptor:
        assert ask(descriptor) == (None, b"")


def test_a_silent_terminal_is_not_waited_for_without_end():
    with answering() as descriptor:
        question = BackgroundQuery(descriptor, lambda text: os.write(descriptor, text.encode()))
        assert question.answer() is None
        question.close()


def test_an_answer_in_pieces_with_keys_around_it_is_put_together():
    chunks = ("he", "\x1b]11;rgb:ff", 0.01, "ff/ffff/ffff\x1b", 0.01, "\\ll", "\x1b[?6", 0.01, "2co\x1b[A")
    with answering(*chunks) as descriptor:
        assert ask(descriptor) == ("light", b"hello\x1b[A")


def test_an_answer_that_comes_late_does_not_become_keys():
    late = (0.15, "typed", "\x1b]11;rgb:ffff/ffff/ffff\x07", "on", ATTRIBUTES)
    with answering(*late) as descriptor:
        assert ask(descriptor) == (None, b"typedon")


def test_who_has_typed_already_is_not_asked():
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"ls\n")
        assert select.select([theirs], [], [], 5)[0]
        written = []
        assert BackgroundQuery(theirs, written.append).answer() is None
        assert not written
        assert os.read(theirs, 10) == b"ls\n"
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("term", ["dumb", "linux", "", "vt100", "xterm"])
def test_nobody_is_asked_where_there_is_no_terminal(term):
    assert not answers_queries(terminal(is_terminal=True, TERM=term))
    assert not answers_queries(terminal(None))


@dataclass
class Chosen:
    """The settings a theme depends on."""

    theme: str


@pytest.mark.parametrize(
    ("chosen", "environment", "color_system", "name"),
    [
        ("auto", {}, "256", "dark"),
        ("auto", {"COLORFGBG": "0;15"}, "256", "light"),
        ("auto", {"COLORFGBG": "0;15"}, None, "dark"),
        ("light", {"COLORFGBG": "15;0"}, "256", "light"),
        ("dark", {"COLORFGBG": "0;15"}, "truecolor", "dark"),
    ],
)
def test_a_choice_comes_before_what_the_environment_tells(chosen, environment, color_system, name):
    found = answer_theme(Chosen(chosen), terminal(is_terminal=True, **environment), color_system, pytest.fail)
    assert (found.name, found.color_system) == (name, color_system)


ASKING = """
import sys
from chatcli.cli.background_query import BackgroundQuery, answers_queries
from chatcli.cli.standard_streams import Terminal
here = Terminal.of_this_process()
print("asks" if answers_queries(here) else "asks not", flush=True)
if answers_queries(here):
    question = BackgroundQuery(0, here.stdout.write)
    print(question.answer(), flush=True)
    question.close()
    print("read", repr(sys.stdin.readline()), flush=True)
"""


def test_keys_typed_while_it_is_asked_reach_who_reads_next(tmp_path, monkeypatch):
    with on_terminal([sys.executable, "-c", ASKING], environment=dict(os.environ), folder=tmp_path) as screen:
        screen.wait_until_received(BACKGROUND_QUERY)
        screen.type("\x1b]11;rgb:ffff/ffff/ffff\x07ls" + ATTRIBUTES)
        screen.wait_for("light")
        screen.type(" -l\n")
        shown = screen.wait_for("read '")
        assert (
            "read 'ls -l\\n'" in shown or "read ' -l\\n'" in shown
        )  # the system may not allow keys to be returned


@pytest.mark.parametrize("term", ["linux", "dumb"])
def test_a_terminal_that_would_show_the_question_is_not_asked(tmp_path, term):
    environment = {**os.environ, "TERM": term}
    with on_terminal([sys.executable, "-c", ASKING], environment=environment, folder=tmp_path) as screen:
        screen.wait_for("asks not")
        assert screen.wait_for_exit() == 0
    assert b"\x1b" not in screen.received
