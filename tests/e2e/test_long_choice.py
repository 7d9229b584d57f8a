"""On a terminal a person chooses what is done with a text that is too long."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import command
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from e2e.test_long_input import FACT, FACTS, TEXT, WINDOW_TOKENS, failing_at, state_facts
from scripted_server import HOLD, Answer, serving_in_thread, text_events

ONE_SHOT = ("-f", "long.txt", "Which facts?")


@pytest.fixture
def terminal(program):
    (program.working_folder / "long.txt").write_text(TEXT, encoding="utf-8")

    @contextmanager
    def start(*arguments, server, **environment):
        environment = {"CHATCLI_CONTEXT_WINDOW": str(WINDOW_TOKENS), **environment}
        started = on_terminal(
            command(*arguments),
            environment=program.environment(server, **environment),
            folder=program.working_folder,
        )
        with started as shown:
            yield shown

    return start


def test_one_question_offers_the_ways_with_what_they_take(terminal):
    with serving_in_thread(choose=state_facts) as server, terminal(*ONE_SHOT, server=server) as screen:
        shown = screen.wait_for("Which? [1-5")
        assert "1 map-reduce" in shown
        assert "5 middle-out" in shown
        assert "requests" in shown
        assert "1 request," in shown
        screen.type("\r")
        screen.wait_for("type a number from 1 to 5")
        assert server.requests == []
        screen.type("1\r")
        assert screen.wait_for_exit() == 0
        assert FACTS[-1] in screen.shown
    assert len(server.requests) > 5


def test_a_way_is_chosen_by_its_number(terminal):
    with serving_in_thread(choose=state_facts) as server, terminal(*ONE_SHOT, server=server) as screen:
        screen.wait_for("Which? [1-5")
        screen.type("9\r")
        screen.wait_for("a number from 1 to 5")
        screen.type("3\r")
        assert screen.wait_for_exit() == 0
    assert len(server.requests) == 1


def test_ctrl_c_sends_nothing(terminal):
    with serving_in_thread(choose=state_facts) as server, terminal(*ONE_SHOT, server=server) as screen:
        screen.wait_for("Which? [1-5")
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == 130
    assert server.requests == []


def test_nobody_is_asked_who_has_said_it_before(terminal):
    with serving_in_thread(choose=state_facts) as server:
        with terminal("--long", "fail", *ONE_SHOT, server=server) as screen:
            assert screen.wait_for_exit() == 2
        with terminal(*ONE_SHOT, server=server, CHATCLI_LONG="head") as screen:
            assert screen.wait_for_exit() == 0
    assert len(server.requests) == 1


def test_a_bar_tells_how_far_it_is(terminal):
    holding = Answer([*text_events("FACT"), HOLD])

    def choose(request):
        late = "part 4 of" in request.json["messages"][-1]["content"]
        return holding if late else state_facts(request)

    with (
        serving_in_thread(choose=choose) as server,
        terminal("--long", "map-reduce", *ONE_SHOT, server=server, CHATCLI_LONG_CONCURRENCY="1") as screen,
    ):
        shown = screen.wait_for("3 of ")
        assert "tokens" in shown
        assert "left" in shown
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == 130


def test_in_a_conversation_a_part_that_fails_gives_the_draft_back(terminal):
    with (
        serving_in_thread(choose=failing_at(3)) as server,
        terminal(server=server, CHATCLI_RETRIES="0", CHATCLI_LONG_CONCURRENCY="1") as screen,
    ):
        screen.wait_for("\n>")
        screen.type("Which facts are in @long.txt ?\r")
        screen.wait_for("Which? [1-5")
        screen.type("1\r")
        shown = screen.wait_for("asking again continues from there")
        assert "2 of " in shown
        screen.wait_for("\n> Which facts are in @long.txt ?\n")
        screen.type(CTRL_C + CTRL_D)
        assert screen.wait_for_exit() == 0


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_in_a_conversation_the_choice_can_be_turned_down_and_made(terminal, program, kind):
    with serving_in_thread(choose=state_facts) as server, terminal(server=server, TERM=kind) as screen:
        screen.wait_for("\n>")
        screen.type("Which facts are in @long.txt ?\r")
        screen.wait_for("Which? [1-5")
        screen.forget()
        screen.type(CTRL_C)
        # On the screen the draft is back in the composer, and Enter sends it again; a line cannot be taken back.
        screen.wait_for("Which facts are in")
        assert server.requests == []
        screen.type("\r" if kind != "dumb" else "Which facts are in @long.txt ?\r")
        screen.wait_for("Which? [1-5")
        screen.type("1\r")
        screen.wait_for(FACTS[-1])
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    assert [FACT.findall(text) for _, text in program.saved] == [FACTS, FACTS]
