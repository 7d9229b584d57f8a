"""The program on a real terminal."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import command, messages_of
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import HOLD, Answer, event_stream, serving_in_thread, text_events

PARIS = Answer(event_stream("Par", "is."))
LINES = {"TERM": "dumb"}
"""A terminal that cannot redraw: the conversation is held line by line."""
HELD = Answer([*text_events("# Capitals\n\nIt is **Paris**.\n\n", "* unfinished"), HOLD])


@pytest.fixture
def terminal(program):
    @contextmanager
    def start(*arguments, server, **environment):
        started = on_terminal(
            command(*arguments),
            environment=program.environment(server, **environment),
            folder=program.working_folder,
        )
        with started as shown:
            yield shown

    return start


def test_markdown_is_shown_while_it_arrives(terminal):
    with serving_in_thread(HELD) as server, terminal("Capital of France?", server=server) as screen:
        shown = screen.wait_for("It is Paris.")
        assert "Capitals" in shown
        assert "#" not in shown
        screen.wait_for("• unfinished")
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == 130
        assert "• unfinished" in screen.shown
        assert "stopped; the partial answer is kept (chatcli -c, then /continue)" in screen.shown


def test_what_a_model_says_cannot_act_on_the_terminal(terminal):
    attack = Answer(event_stream("safe\x1b[2J\x1b]0;owned\x07 \x9b31m\u202eend\n"))
    with serving_in_thread(attack) as server, terminal("Hi", server=server) as screen:
        assert screen.wait_for_exit() == 0
        assert "safe␛[2J␛]0;owned␇ <U+009B>31m<U+202E>end" in screen.shown
        assert b"\x1b[2J" not in screen.received
        assert b"\x1b]0" not in screen.received


LATER = Answer(status=429, headers={"retry-after": "60"})


@pytest.mark.parametrize("arguments", [["Capital of France?"], []], ids=["one question", "line by line"])
def test_enter_ends_the_wait_for_another_attempt(terminal, arguments):
    lines = {} if arguments else LINES
    with (
        serving_in_thread(LATER, PARIS) as server,
        terminal(*arguments, server=server, CHATCLI_RETRIES="2", **lines) as screen,
    ):
        if not arguments:
            screen.wait_for("Ctrl-D leaves")
            screen.type("Capital of France?\n")
        screen.wait_for("retrying in 60 s")
        if arguments:
            screen.wait_for("retrying in 59 s (attempt 2) · Enter tries now")
        screen.type("\n")
        screen.wait_for("Paris.")
        if arguments:
            assert "retrying" not in screen.shown
    assert len(server.requests) == 2


def test_what_was_left_out_is_one_dim_line(program, terminal):
    with serving_in_thread(Answer(event_stream("no " * 300))) as server:
        window = {"CHATCLI_CONTEXT_WINDOW": "800"}
        for _ in range(2):
            program.run("-s", "long", "Say no", server=server, **window)
        with terminal("-s", "long", "Say no", server=server, **window) as screen:
            assert screen.wait_for_exit() == 0
    assert screen.is_dim("left out 1 older turn: ")


def titled(terminal, **environment):
    """Return what a terminal receives of an answer with a title and bold text."""
    title = Answer(event_stream("# Title\n\n**bold**\n"))
    with serving_in_thread(title) as server, terminal("Hi", server=server, **environment) as screen:
        assert screen.wait_for_exit() == 0
    assert "Title" in screen.shown
    return screen.received


def test_who_wants_no_colour_gets_none(terminal):
    assert re.search(rb"\x1b\[[0-9;]*m", titled(terminal))
    assert not re.search(rb"\x1b\[[0-9;]*m", titled(terminal, NO_COLOR="1"))


def test_a_terminal_that_cannot_redraw_gets_no_escape_sequence(terminal):
    assert b"\x1b" not in titled(terminal, TERM="dumb")


def test_questions_typed_at_the_prompt_are_answered_until_exit(program, terminal):
    answers = (PARIS, Answer(event_stream("Madrid.")))
    with serving_in_thread(*answers) as server, terminal("-s", "trip", server=server, **LINES) as screen:
        screen.wait_for("small · Ctrl-C stops an answer, Ctrl-D leaves\n>")
        screen.type("Capital of France?\n")
        screen.wait_for("> Capital of France?\nParis.\n\n>")
        screen.type("And of Spain?\n")
        screen.wait_for("> And of Spain?\nMadrid.\n\n>")
        screen.type("exit\n")
        assert screen.wait_for_exit() == 0
    assert screen.shown.endswith("> exit\nresume with: chatcli -s trip")
    assert [text for _, text in program.saved] == ["Capital of France?", "Paris.", "And of Spain?", "Madrid."]


def test_ctrl_c_stops_an_answer_and_keeps_the_program(program, terminal):
    with serving_in_thread(HELD, PARIS) as server, terminal("-s", "trip", server=server, **LINES) as screen:
        screen.wait_for("leaves\n>")
        screen.type("Capitals?\n")
        screen.wait_for("* unfinished")
        screen.type(CTRL_C)
        assert server.requests[0].closed.result(timeout=20) is False
        screen.wait_for("stopped; the partial answer is kept (/continue)")
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.\n\n>")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    (path,) = program.session_paths
    assert [text for _, text in messages_of(path)] == [
        "Capitals?",
        "# Capitals\n\nIt is **Paris**.\n\n* unfinished",
        "Capital of France?",
        "Paris.",
    ]


def test_ctrl_c_at_the_prompt_begins_a_new_line(terminal):
    with serving_in_thread(PARIS) as server, terminal(server=server, **LINES) as screen:
        screen.wait_for("leaves\n>")
        screen.type("half a question" + CTRL_C)
        screen.wait_for("^C\n>")
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.")
        screen.type("exit\n")
        assert screen.wait_for_exit() == 0
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Capital of France?"}]


def test_a_failed_turn_keeps_the_program(terminal):
    refused = Answer([b'{"error": {"message": "no"}}'], 400, {"content-type": "application/json"})
    with serving_in_thread(refused, PARIS) as server, terminal(server=server, **LINES) as screen:
        screen.wait_for("leaves\n>")
        screen.type("Hi\n")
        screen.wait_for("400 Bad Request: no")
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.")


def test_resuming_shows_the_last_exchange(program, terminal):
    with serving_in_thread(PARIS, Answer(event_stream("Madrid."))) as server:
        program.run("-s", "trip", "Capital of France?", server=server)
        program.run("-s", "trip", "And of Spain?", server=server)
        with terminal("-s", "trip", server=server, **LINES) as screen:
            shown = screen.wait_for("Madrid.\n>")
            assert "… 1 earlier turn" in shown
            assert "> And of Spain?\nMadrid." in shown
            assert "Capital of France?" not in shown


def test_waiting_is_shown_and_taken_back(terminal):
    slow = Answer([1.3, *event_stream("Paris.")])
    with serving_in_thread(slow) as server, terminal("Capital of France?", server=server) as screen:
        screen.wait_for("waiting 1 s…")
        assert screen.wait_for_exit() == 0
    assert screen.shown == "Paris."
