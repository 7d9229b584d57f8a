"""Questions that are asked ahead of time: what is proposed, shown, answered, paid for and counted."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import asked
from e2e.pseudo_terminal import CTRL_C, CTRL_D
from scripted_server import HOLD, Answer, event_stream, json_answer, serving_in_thread

CONFIGURED = """\
cache = "sqlite"
cache_patience_ms = 10000
prefetch = 2
[prices.small]
input = 1.0
output = 2.0
"""
RIGHT = "\x1b[C"
PROPOSED = ["How many people live in Paris?", "Which river is in Paris?", "Is it far?"]
ORDER = "You predict what a person will ask"


class Server:
    """Answers questions with themselves, and the request for proposals with those; ``held`` answers wait for ever."""

    def __init__(self, proposals=None, held=()):
        self.proposals = Answer(event_stream(json.dumps(PROPOSED))) if proposals is None else proposals
        self.held = held
        self.questions = []
        self.proposing = 0
        self.held_back = threading.Event()

    def __call__(self, request):
        messages = request.json["messages"]
        if messages[0]["content"].startswith(ORDER):
            self.proposing += 1
            return self.proposals
        question = messages[-1]["content"]
        self.questions.append(question)
        if question in self.held:
            self.held_back.set()
            return Answer([*event_stream("begun")[:1], HOLD])
        return Answer(event_stream(f"About {question}"))


@pytest.fixture
def talk(program, terminal):
    """Return a function that starts a conversation in which the capital of France was asked."""
    (program.config_folder / "config.toml").write_text(CONFIGURED)

    def start(server, *arguments, **environment):
        return terminal(*arguments, server=server, **environment)

    return start


def ask(screen, text="What is the capital of France?"):
    screen.wait_for("\n>")
    screen.type(f"{text}\r")
    screen.wait_for(f"About {text}")


def was_broken_off(served):
    """Whether the program hung up before the end of an answer."""
    return any(request.closed.done() and not request.closed.result() for request in served.requests)


def statistics(program):
    shown = json.loads(program.run("cache", "stats", "--json", CHATCLI_CACHE_PATIENCE_MS="10000").stdout)
    return shown["ahead"]


def until(screen, is_done):
    until_s = time.monotonic() + 60
    while not is_done():
        assert time.monotonic() < until_s, screen.shown
        screen.settle()


def test_the_likeliest_question_is_shown_taken_with_a_key_and_answered_without_a_request(program, talk):
    server = Server()
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        screen.wait_for(f"> {PROPOSED[0]}")
        until(screen, lambda: len(server.questions) == 3)
        # Nothing is sent before the person takes it.
        screen.type("\r")
        screen.settle()
        assert len(server.questions) == 3
        screen.type(RIGHT)
        screen.type("\r")
        screen.wait_for(f"About {PROPOSED[0]}")
        screen.wait_for("cached answer")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    assert server.questions.count(PROPOSED[0]) == 1
    assert server.questions[:3] == ["What is the capital of France?", *PROPOSED[:2]]
    counted = statistics(program)
    assert (counted["hits"], counted["misses"], counted["failed"]) == (1, 0, 0)
    assert counted["answers"] >= 1  # the next question may come before the other answer is whole
    assert counted["cost_usd"] > 0
    assert program.saved[2] == ("user", PROPOSED[0])


def test_another_question_counts_as_a_miss_and_stops_what_is_being_answered(program, talk):
    server = Server(held=PROPOSED[:1])
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        screen.wait_for("answering ahead 1 of 2")
        assert server.held_back.wait(20)
        ask(screen, "Something else?")
        until(screen, lambda: was_broken_off(served))
        assert PROPOSED[1] not in server.questions[:3]
        screen.type(CTRL_C + CTRL_D)
        assert screen.wait_for_exit() == 0
    assert statistics(program)["misses"] == 0  # nothing was ready


def test_a_miss_is_counted_where_answers_were_ready(program, talk):
    server = Server()
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        until(screen, lambda: len(server.questions) == 3)
        screen.settle()
        ask(screen, "Something else?")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    counted = statistics(program)
    assert (counted["hits"], counted["misses"]) == (0, 1)


@pytest.mark.parametrize(
    "proposals",
    [
        Answer(event_stream("1. How many people? 2. Which river?")),
        Answer(event_stream(json.dumps(["/quit", "!ls", "exit", "read @/etc/passwd", "a\x1b[31mb", "a\nb"]))),
        Answer(event_stream(json.dumps(PROPOSED), finish_reason="length")),
        json_answer(
            {"error": {"message": "no", "type": "invalid_api_key", "code": "invalid_api_key"}}, status=401
        ),
        json_answer({"error": {"message": "slow down"}}, status=429),
        Answer([b"data: nonsense\n\n"]),
    ],
    ids=["prose", "no questions", "cut", "401", "429", "rubbish"],
)
def test_proposals_that_fail_are_silent_and_counted(program, talk, proposals):
    server = Server(proposals)
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        # They have been read to their end: a request that is broken off has not failed.
        until(screen, lambda: server.proposing == 1 and all(each.closed.done() for each in served.requests))
        screen.type("/suggestions\r")
        screen.wait_for("no suggestions")
        assert "error" not in screen.shown
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    counted = statistics(program)
    assert (counted["failed"], counted["answers"]) == (1, 0)
    assert server.questions == ["What is the capital of France?"]


def test_a_slow_proposal_delays_no_question_and_is_broken_off(talk):
    server = Server(Answer([HOLD]))
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        screen.wait_for("looking ahead")
        until(screen, lambda: server.proposing == 1)
        ask(screen, "Something else?")
        until(screen, lambda: was_broken_off(served))
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0


def test_the_budget_of_what_is_asked_ahead_holds(program, talk):
    (program.config_folder / "config.toml").write_text(CONFIGURED + "[budget]\nprefetch = 0.001\n")
    server = Server()
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        # An answer of a usual length costs more than is left.
        screen.wait_for(f"> {PROPOSED[0]}")
        screen.settle()
        screen.type("/cost\r")
        screen.wait_for("asked ahead")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    assert server.questions == ["What is the capital of France?"]
    assert statistics(program)["cost_usd"] <= 0.001


def test_suggestions_are_listed_and_one_is_chosen_by_its_number(talk):
    server = Server()
    with serving_in_thread(choose=server) as served, talk(served) as screen:
        ask(screen)
        until(screen, lambda: len(server.questions) == 3)
        screen.type("/suggestions\r")
        screen.wait_for("/suggestions N puts one")
        assert f"3  {PROPOSED[2]}" in screen.shown
        screen.type("/suggestions 2\r")
        screen.wait_for(f"> {PROPOSED[1]}\n")
        sent = len(server.questions)
        screen.type("\r")
        screen.wait_for(f"About {PROPOSED[1]}")
        assert server.questions.count(PROPOSED[1]) == 1
        assert sent == 3
        screen.type(CTRL_D)


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        ((), {"CHATCLI_CACHE": "off"}, "prefetch needs the cache of answers, which is off"),
        (("--no-save",), {}, "this conversation is not saved"),
        ((), {"CHATCLI_MODEL": "unpriced"}, "the price of unpriced is unknown"),
    ],
)
def test_what_keeps_questions_from_being_asked_ahead_is_said_once(talk, arguments, environment, reason):
    server = Server()
    with serving_in_thread(choose=server) as served, talk(served, *arguments, **environment) as screen:
        ask(screen)
        screen.wait_for(reason)
        ask(screen, "And of Spain?")
        screen.settle()
        assert " ".join(screen.everything).count(reason) == 1
        screen.type(CTRL_D)
    assert server.proposing == 0


def test_nothing_is_asked_ahead_in_a_pipe_or_unless_it_is_wanted(program, talk):
    server = Server()
    with serving_in_thread(choose=server) as served:
        assert program.run("Hi", server=served, CHATCLI_PREFETCH="3").exit_code == 0
        with talk(served, CHATCLI_PREFETCH="0") as screen:
            ask(screen)
            screen.type("/suggestions\r")
            screen.wait_for("follow-up questions are suggested only with prefetch")
            screen.type(CTRL_D)
    assert server.proposing == 0
    assert asked(served)[-1] == ("user", "What is the capital of France?")
