"""Plain text on a real terminal: whole lines, words for who speaks, nothing that acts on the terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import command
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import HOLD, Answer, event_stream, serving_in_thread, text_events

PARIS = Answer(event_stream("It is **Par", "is**.\n\n| a | b |\n|---|---|\n", "| 1 | 2 |"))
HELD = Answer([*text_events("# Capitals\n\nIt is **Par"), HOLD])
LATER = Answer(status=429, headers={"retry-after": "60"})
PLAIN_SETTINGS = [
    (["--plain"], {}),
    ([], {"CHATCLI_PLAIN": "true"}),
    ([], {"ACCESSIBLE": "1"}),
    ([], {"ACCESSIBLE": "1", "FORCE_COLOR": "3"}),
]
IDS = ["flag", "setting", "ACCESSIBLE", "FORCE_COLOR"]


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
        assert b"\x1b" not in shown.received
        # The terminal itself makes \r\n of \n.
        assert b"\r" not in shown.received.replace(b"\r\n", b"\n")

    return start


SPOKEN = "It is Paris.\nTable, 2 columns: a, b.\nRow 1: a: 1; b: 2.\nEnd of table, 1 row.\nEnd of answer."


@pytest.mark.parametrize(("arguments", "environment"), PLAIN_SETTINGS, ids=IDS)
def test_a_single_answer_is_read_in_words(terminal, arguments, environment):
    with serving_in_thread(PARIS) as server:
        with terminal("Capital of France?", *arguments, server=server, **environment) as screen:
            assert screen.wait_for_exit() == 0
        assert screen.shown == SPOKEN


def test_its_source_is_there_for_who_asks_for_text(terminal):
    with serving_in_thread(PARIS) as server:
        with terminal("Capital of France?", "--plain", "-o", "text", server=server) as screen:
            assert screen.wait_for_exit() == 0
        assert screen.shown == "It is **Paris**.\n\n| a | b |\n|---|---|\n| 1 | 2 |"


@pytest.mark.parametrize(("arguments", "environment"), PLAIN_SETTINGS, ids=IDS)
def test_a_conversation_names_who_speaks(terminal, arguments, environment):
    with (
        serving_in_thread(PARIS) as server,
        terminal("-s", "trip", *arguments, server=server, **environment) as screen,
    ):
        screen.wait_for("You are talking to small. Control C stops an answer, Control D leaves.\nYou:")
        screen.type("Capital of France?\n")
        # On a busy machine it says meanwhile that it waits.
        screen.wait_for("You: Capital of France?\n")
        screen.wait_for(f"Assistant: {SPOKEN}\n\nYou:")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
        assert screen.shown.endswith("To go on with it later, run: chatcli -s trip")


def test_words_are_reported_when_their_sentence_is_too_long_in_coming(terminal):
    with serving_in_thread(HELD) as server, terminal("--plain", server=server) as screen:
        screen.wait_for("You:")
        screen.type("Capitals?\n")
        screen.wait_for("Assistant: Heading: Capitals\nIt is\n")
        screen.wait_for("Nothing new for 5 seconds.")
        screen.type(CTRL_C)
        screen.wait_for("Par\nStopped; the partial answer is kept (/continue).")
        screen.type("exit\n")
        assert screen.wait_for_exit() == 0


def test_what_a_model_says_cannot_act_on_the_terminal(terminal):
    attack = Answer(event_stream("safe\x1b[2J\rover\x9b31m\n"))
    with serving_in_thread(attack) as server, terminal("--plain", "Hi", server=server) as screen:
        assert screen.wait_for_exit() == 0
        assert "safe␛[2J␍over<U+009B>31m" in screen.shown


def test_what_is_typed_while_another_attempt_is_waited_for_is_sent_afterwards(terminal):
    with (
        serving_in_thread(LATER, Answer(event_stream("Paris.")), Answer(event_stream("Madrid."))) as server,
        terminal("--plain", server=server, CHATCLI_RETRIES="2") as screen,
    ):
        screen.wait_for("You:")
        screen.type("Capital of France?\n")
        screen.wait_for("Enter tries at once, Control C stops.")
        screen.type("And of Spain?\n")
        screen.wait_for("That is sent after this answer.")
        screen.type("\n")
        screen.wait_for("Assistant: Paris.\nEnd of answer.\n\nYou: And of Spain?\nAssistant: Madrid.")


def test_failures_and_waits_are_reported_in_sentences(terminal):
    slow = Answer([3.2, *event_stream("Paris.")])
    with (
        serving_in_thread(LATER, slow) as server,
        terminal("--plain", server=server, CHATCLI_RETRIES="2") as screen,
    ):
        screen.wait_for("You:")
        screen.type("Capital of France?\n")
        shown = screen.wait_for("Enter tries at once, Control C stops.")
        assert "retrying in 60 s (attempt 2)." in shown
        screen.type("\n")
        screen.wait_for(", 3 seconds so far.")
        screen.wait_for("Assistant: Paris.")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0


def test_resuming_names_who_spoke(program, terminal):
    with serving_in_thread(Answer(event_stream("Paris.")), Answer(event_stream("Madrid."))) as server:
        program.run("-s", "trip", "Capital of France?", server=server)
        program.run("-s", "trip", "And of Spain?", server=server)
        with terminal("-s", "trip", "--plain", server=server) as screen:
            screen.wait_for("1 earlier turn.\nYou: And of Spain?\nAssistant: Madrid.\nEnd of answer.\nYou:")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0


def test_a_prompt_of_ones_own_stays(terminal):
    with (
        serving_in_thread() as server,
        terminal("--plain", server=server, CHATCLI_REPL_PROMPT="me> ") as screen,
    ):
        screen.wait_for("leaves.\nme>")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
