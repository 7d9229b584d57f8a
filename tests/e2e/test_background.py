"""The terminal's background: asked for, answered by the terminal, and never taken for keys."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from chatcli.render.background import ANSWERED_WITHIN_S, BACKGROUND_QUERY
from chatcli.render.themes import theme
from e2e.program import command
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import HOLD, Answer, event_stream, serving_in_thread, text_events

ATTRIBUTES = "\x1b[?62;22c"
LIGHT = "theme: light (auto: the terminal reports its background)"
NO_REPLY = "theme: dark (auto: the terminal did not report its background)"


@pytest.fixture
def start_screen(program):
    @contextmanager
    def start(**environment):
        with (
            serving_in_thread() as server,
            on_terminal(
                command(),
                environment=program.environment(server, **environment),
                folder=program.working_folder,
            ) as screen,
        ):
            screen.wait_for("small")
            yield screen

    return start


def ends_well(screen):
    screen.type(CTRL_D)
    return screen.wait_for_exit() == 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("\x1b]11;rgb:ffff/ffff/ffff\x07" + ATTRIBUTES, LIGHT),
        ("\x1b]11;rgba:fdfd/f6f6/e3e3/ffff\x1b\\" + ATTRIBUTES, LIGHT),
        ("\x1b]11;#1e1e1e\x07" + ATTRIBUTES, "theme: dark (auto: the terminal reports its background)"),
        (ATTRIBUTES, NO_REPLY),
        ("", NO_REPLY),
    ],
    ids=["BEL", "ST", "dark", "only DA1", "silent"],
)
def test_what_the_terminal_answers_chooses_the_theme_and_is_no_key(start_screen, answer, message):
    with start_screen() as screen:
        screen.wait_until_received(BACKGROUND_QUERY)
        screen.type(answer + "/theme\r")
        shown = screen.wait_for(message)
        assert "rgb" not in shown
        assert "62;22" not in shown
        assert screen.received.count(BACKGROUND_QUERY.encode()) == 1
        assert ends_well(screen)


def test_an_answer_in_pieces_among_keys_is_reported_from_them(start_screen):
    with start_screen() as screen:
        screen.wait_until_received(BACKGROUND_QUERY)
        screen.type("/th")
        screen.wait_for("> /th")
        for chunk in ("\x1b]11;rgb:ff", "ff/ffff/ffff\x1b", "\\em", "\x1b[?62", ";22ce"):
            screen.type(chunk)
            screen.settle()
        screen.type("\r")
        screen.wait_for(LIGHT)
        assert ends_well(screen)


@pytest.mark.parametrize(
    "environment",
    [{"COLORFGBG": "15;0"}, {"CHATCLI_THEME": "light"}, {"NO_COLOR": "1"}, {"TERM": "linux"}],
    ids=lambda environment: next(iter(environment)),
)
def test_who_has_told_already_or_cannot_tell_is_not_asked(start_screen, environment):
    with start_screen(**environment) as screen:
        screen.type("/theme\r")
        screen.wait_for("theme: ")
        assert b"\x1b]11" not in screen.received
        assert ends_well(screen)


def test_the_terminal_is_asked_once_it_is_to_decide(start_screen):
    with start_screen(CHATCLI_THEME="dark") as screen:
        screen.type("/theme auto\r")
        screen.wait_until_received(BACKGROUND_QUERY)
        screen.type("\x1b]11;rgb:ffff/ffff/ffff\x07" + ATTRIBUTES)
        screen.wait_for(LIGHT)
        screen.type("/theme dark\r")
        screen.wait_for("theme: dark (chosen here)")
        assert ends_well(screen)


@pytest.fixture
def asking(program):
    @contextmanager
    def start(*arguments, answer, **environment):
        with (
            serving_in_thread(answer) as server,
            on_terminal(
                command("Capitals?", *arguments),
                environment=program.environment(server, **environment),
                folder=program.working_folder,
            ) as screen,
        ):
            yield screen

    return start


TITLE = Answer(event_stream("## Paris\n"))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("\x1b]11;rgb:ffff/ffff/ffff\x07" + ATTRIBUTES, "light"),
        ("\x1b]11;rgb:0000/0000/0000\x1b\\" + ATTRIBUTES, "dark"),
        (ATTRIBUTES, "dark"),
        ("", "dark"),
    ],
)
def test_a_single_answer_is_shown_as_the_background_needs_it(asking, answer, name):
    with asking(answer=TITLE) as screen:
        before = screen.attributes_before
        screen.wait_until_received(BACKGROUND_QUERY)
        screen.type(answer)
        screen.wait_for("Paris")
        assert screen.wait_for_exit() == 0
        assert screen.attributes == before
    assert theme(name, "256").paint("|", "heading2").partition("|")[0].encode() in screen.received
    assert screen.shown.startswith("Paris")
    assert b"rgb:" not in screen.received


@pytest.mark.parametrize("late_s", [1.5 * ANSWERED_WITHIN_S, 1.2])
def test_what_a_terminal_answers_late_does_not_reach_the_shell(asking, late_s):
    with asking(answer=Answer([*text_events("## Paris\n\nand"), HOLD])) as screen:
        before = screen.attributes_before
        screen.wait_until_received(BACKGROUND_QUERY)
        screen.wait_for("Paris")
        time.sleep(late_s)
        screen.type("\x1b]11;rgb:ffff/ffff/ffff\x07" + ATTRIBUTES)
        screen.settle()
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == 130
        assert screen.attributes == before
    assert b"rgb:" not in screen.received


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["-o", "text"], {}),
        (["-o", "json"], {}),
        (["-x"], {}),
        (["--plain"], {}),
        ([], {"NO_COLOR": "1"}),
        ([], {"COLORFGBG": "0;15"}),
        ([], {"CHATCLI_THEME": "dark"}),
        ([], {"TERM": "linux"}),
        ([], {"TERM": "vt220"}),
        ([], {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}),
        ([], {"SSH_TTY": "/dev/pts/3"}),
    ],
)
def test_for_an_answer_that_needs_no_theme_nobody_is_asked(asking, arguments, environment):
    with asking(*arguments, answer=Answer(event_stream("```\nParis\n```\n")), **environment) as screen:
        assert screen.wait_for_exit() == 0
    assert "Paris" in screen.shown
    assert b"\x1b]11" not in screen.received
