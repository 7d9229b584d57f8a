"""Endpoints with strict chat templates: questions and answers take turns, whatever happened before."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from e2e.interrupting import interrupted_before_the_first_word
from e2e.program import asked, messages_of, records_of
from scripted_server import SILENCE, Answer, event_stream, json_answer, serving_in_thread
from sessions.importing.exports import chatgpt, message, node

PARIS, MADRID = Answer(event_stream("Paris.")), Answer(event_stream("Madrid."))

ENTER = "\r"


def refusal(status, words):
    return json_answer({"error": {"message": words}}, status=status)


NOT_ALTERNATING = refusal(400, "Conversation roles must alternate user/assistant/user/assistant/...")


class StrictTemplate:
    """Answers as a server does whose chat template is Mistral's; ``before`` comes first, whatever is asked."""

    def __init__(self, *before):
        self._before = list(before)

    def __call__(self, request):
        roles = [message["role"] for message in request.json["messages"]]
        following = roles[roles[0] == "system" :]
        if following != ["user", "assistant"] * (len(following) // 2) + ["user"]:
            return NOT_ALTERNATING
        return self._before.pop(0) if self._before else PARIS


@pytest.mark.parametrize(
    ("first", "sent"),
    [
        (refusal(402, "no credit left"), [("user", "France?\n\nSpain?")]),
        (refusal(400, "bad input"), [("user", "Spain?")]),
        (Answer(event_stream(finish_reason="content_filter")), [("user", "Spain?")]),
    ],
    ids=["402", "400", "filtered"],
)
def test_the_question_after_one_without_an_answer_is_answered_also_after_a_resume(program, first, sent):
    with serving_in_thread(choose=StrictTemplate(first)) as server:
        failed = program.run("-s", "trip", "France?", server=server)
        done = program.run("-s", "trip", "Spain?", server=server)
        assert failed.exit_code != 0
        assert (done.exit_code, done.stdout) == (0, "Paris.\n"), done.stderr
        assert asked(server) == sent
        again = program.run("-s", "trip", "Italy?", server=server)
    assert again.exit_code == 0
    assert asked(server) == [*sent, ("assistant", "Paris."), ("user", "Italy?")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_question_stopped_before_its_first_word_is_asked_together_with_the_next(program):
    with serving_in_thread(choose=StrictTemplate(SILENCE)) as server:
        stopped = interrupted_before_the_first_word(
            program, signal.SIGINT, "-s", "trip", "France?", server=server
        )
        done = program.run("-s", "trip", "Spain?", server=server)
    assert stopped.exit_code == 130
    assert (done.exit_code, done.stdout) == (0, "Paris.\n"), done.stderr
    assert asked(server) == [("user", "France?\n\nSpain?")]


def test_what_is_joined_stays_apart_in_the_session(program):
    with serving_in_thread(choose=StrictTemplate(refusal(402, "no credit left"))) as server:
        program.run("-s", "trip", "France?", server=server)
        program.run("-s", "trip", "Spain?", server=server)
    assert program.saved == [("user", "France?"), ("user", "Spain?"), ("assistant", "Paris.")]


def test_an_imported_conversation_of_any_shape_goes_on(program):
    conversation = chatgpt(
        node("root", None),
        node("greeting", "root", message("assistant", "Hello, I am here.")),
        node("again", "greeting", message("assistant", "What is it?")),
        node("q", "again", message("user", "France?")),
        node("a", "q", message("assistant", "Let me think.")),
        node("b", "a", message("assistant", "Paris it is.")),
        node("r", "b", message("user", "Sure?")),
        node("s", "r", message("user", "And Spain?")),
    )
    path = program.working_folder / "conversations.json"
    path.write_text(json.dumps([conversation]), encoding="utf-8")
    assert program.run("sessions", "import", str(path)).exit_code == 0
    name = program.session_paths[0].stem
    with serving_in_thread(choose=StrictTemplate()) as server:
        done = program.run("-s", name, "Well?", server=server)
    assert (done.exit_code, done.stdout) == (0, "Paris.\n"), done.stderr
    assert asked(server) == [
        ("user", "France?"),
        ("assistant", "Let me think.\n\nParis it is."),
        ("user", "Sure?\n\nAnd Spain?\n\nWell?"),
    ]


class KnowsOnly:
    """Answers as a server does whose chat template knows only some roles."""

    def __init__(self, *roles):
        self._roles = roles

    def __call__(self, request):
        role = request.json["messages"][0]["role"]
        known = role in self._roles
        return PARIS if known else refusal(400, f"{role.capitalize()} role not supported")


@pytest.mark.parametrize(
    ("roles", "refused", "sent"),
    [
        (("developer", "user"), ["the system role"], [("developer", "Be brief."), ("user", "Spain?")]),
        (("user",), ["the system role", "the developer role"], [("user", "Be brief.\n\nSpain?")]),
    ],
)
def test_a_system_prompt_finds_its_place_at_an_endpoint_without_such_a_role(program, roles, refused, sent):
    with serving_in_thread(choose=KnowsOnly(*roles)) as server:
        first = program.run("-S", "Be brief.", "France?", server=server)
        requests = len(server.requests)
        again = program.run("-S", "Be brief.", "Spain?", server=server)
        assert len(server.requests) == requests + 1
    assert (first.exit_code, first.stdout) == (again.exit_code, again.stdout) == (0, "Paris.\n")
    assert requests == 1 + len(refused)
    assert [line.count("does not accept") for line in first.stderr.splitlines()] == [1] * len(refused)
    assert all(role in first.stderr for role in refused)
    assert again.stderr == ""
    assert asked(server) == sent
    roles_kept = [role for role, _ in messages_of(program.session_paths[0])]
    assert roles_kept == ["system", "user", "assistant"]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
def test_a_refused_question_is_shown_by_context_and_asked_again_by_retry(program, terminal):
    strict = StrictTemplate(PARIS, refusal(400, "too many pictures"), MADRID)
    with (
        serving_in_thread(choose=strict) as server,
        terminal("-s", "trip", server=server, columns=120) as screen,
    ):
        screen.wait_for("\n>")
        screen.type("France?" + ENTER)
        screen.wait_for("Paris.\n\n>")
        screen.type("Spain?" + ENTER)
        screen.wait_for("too many pictures")
        screen.type("/context" + ENTER)
        screen.wait_for("not sent: turn 2: refused (")
        screen.wait_for("/retry asks it again")
        screen.type("/retry" + ENTER)
        screen.wait_for("Madrid.")
        assert asked(server) == [("user", "France?"), ("assistant", "Paris."), ("user", "Spain?")]
    marks = [record["kind"] for record in records_of(program.session_paths[0]) if record["type"] == "mark"]
    assert "refused" in marks
