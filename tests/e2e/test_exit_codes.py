"""How a run ends, and what it says then: the table is ``golden/exit-codes.json``."""

from __future__ import annotations

import json
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.interrupting import UNFINISHED, interrupted
from e2e.program import Ended, Program, ended
from scripted_server import Answer, ScriptedServer, event_stream, json_answer, serving_in_thread, text_events

GOLDEN = json.loads((Path(__file__).parent / "golden" / "exit-codes.json").read_text(encoding="utf-8"))
RENAMED_STATUSES = {
    "Request Entity Too Large": "Content Too Large",
    "Unprocessable Entity": "Unprocessable Content",
}
PARIS = Answer(event_stream("Paris."))
REFUSED = b'data: {"choices": [{"index": 0, "delta": {"refusal": "No."}}]}\n\n'
CALLED = (
    b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "1", '
    b'"function": {"name": "search", "arguments": "{}"}}]}}]}\n\n'
)


def refusal(status: int, message: str, code: str = "") -> Answer:
    return json_answer({"error": {"message": message, "code": code}}, status=status)


@dataclass(frozen=True)
class Case:
    """A run: what is asked, what the server answers, and what cuts it short: a signal, or a reader who leaves."""

    arguments: tuple[str, ...] = ("Capital of France?",)
    answer: Answer = PARIS
    signal_name: str | None = None
    reader_leaves: bool = False

    def run(self, program: Program, server: ScriptedServer) -> Ended:
        if self.signal_name:
            number = getattr(signal, self.signal_name)
            return interrupted(program, number, *self.arguments, server=server)
        if self.reader_leaves:
            return self._run_for_a_reader_who_leaves(program, server)
        return program.run(*self.arguments, server=server, CHATCLI_RETRIES="0")

    def _run_for_a_reader_who_leaves(self, program: Program, server: ScriptedServer) -> Ended:
        with program.started(*self.arguments, server=server) as process:
            process.stdout.readline()
            process.stdout.close()
            stderr = process.stderr.read().decode()
            return Ended(process.wait(), "", stderr)


CASES = {
    "done": Case(),
    "length that was chosen": Case(
        ("--max-tokens", "2", "Hi"), Answer(event_stream("Pa", finish_reason="length"))
    ),
    "unknown option": Case(("--modle", "x", "Hi")),
    "too long": Case(("word " * 4000,)),
    "no session to continue": Case(("-c", "Hi")),
    "key refused": Case(answer=refusal(401, "who are you?")),
    "bad request": Case(answer=refusal(400, "temperature too hot")),
    "forbidden": Case(answer=refusal(403, "not for you")),
    "no such model": Case(answer=refusal(404, "no such model")),
    "too large": Case(answer=refusal(413, "too large")),
    "unprocessable": Case(answer=refusal(422, "what?")),
    "quota": Case(answer=refusal(429, "pay first", "insufficient_quota")),
    "context overflow": Case(answer=refusal(400, "maximum context length is 10", "context_length_exceeded")),
    "rate limit": Case(answer=refusal(429, "slow down")),
    "server error": Case(answer=refusal(503, "overloaded")),
    "not an answer": Case(answer=Answer([b"<html>hello</html>"], headers={"content-type": "text/html"})),
    "cut": Case(answer=Answer(text_events("Par"))),
    "cut at the limit": Case(answer=Answer(event_stream("Par", finish_reason="length"))),
    "filtered": Case(answer=Answer(event_stream("Par", finish_reason="content_filter"))),
    "refused": Case(answer=Answer([REFUSED, *event_stream()[-2:]])),
    "refused where code was wanted": Case(("-x", "Hi"), Answer([REFUSED, *event_stream()[-2:]])),
    "a tool call nobody answers": Case(
        answer=Answer([CALLED, *event_stream(finish_reason="tool_calls")[-2:]])
    ),
    "no place for the file": Case(("--out", "missing/answer.txt", "Hi")),
    "nothing to extract": Case(("-x", "Hi")),
    "hung up": Case(answer=UNFINISHED, signal_name="SIGHUP"),
    "interrupted": Case(answer=UNFINISHED, signal_name="SIGINT"),
    "terminated": Case(answer=UNFINISHED, signal_name="SIGTERM"),
    "closed pipe": Case(
        answer=Answer(event_stream("first\n", "and a lot more\n" * 50_000)), reader_leaves=True
    ),
}


def comparable(stderr: str) -> str:
    """Return the lines without the port, and with the names statuses have had since RFC 9110 (Python 3.13)."""
    for older, newer in RENAMED_STATUSES.items():
        stderr = stderr.replace(older, newer)
    return re.sub(r"127\.0\.0\.1:[0-9]+", "127.0.0.1:PORT", stderr)


@pytest.mark.parametrize("name", CASES)
def test_every_end_has_its_code_and_says_what_to_do(program, name):
    case = CASES[name]
    if sys.platform == "win32" and (case.signal_name or case.reader_leaves):
        pytest.skip("Windows has neither these signals nor this error")
    with serving_in_thread(case.answer) as server:
        done = case.run(program, server)
    assert {"exit_code": done.exit_code, "stderr": comparable(done.stderr).splitlines()} == GOLDEN[name]


def test_the_golden_table_has_no_other_rows():
    assert list(GOLDEN) == list(CASES)


def test_no_server_there_is_a_network_error(program):
    done = program.run("--base-url", "http://127.0.0.1:1/v1", "-m", "small", "--retries", "0", "Hi")
    assert done.exit_code == 6
    assert "error: 127.0.0.1:1: " in done.stderr
    assert done.stderr.endswith("→ start the server, or correct base_url\n")


def test_nothing_configured_names_the_ways_out(program):
    done = program.run("Hi")
    assert done.exit_code == 3
    assert done.stderr.startswith("error: no model is set up\n→ ")
    assert "OPENAI_API_KEY" in done.stderr
    assert "chatcli local setup" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_answer_is_shown_and_kept_and_the_server_is_left_at_once(program, name):
    with serving_in_thread(UNFINISHED) as server:
        done = interrupted(program, getattr(signal, name), "Capital of France?", server=server)
        assert server.requests[0].closed.result(timeout=20) is False
    assert done.stdout == "Par\n"
    assert program.saved == [("user", "Capital of France?"), ("assistant", "Par")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_run_stopped_while_it_reads_stdin_says_nothing(program):
    with serving_in_thread(PARIS) as server, program.started(server=server, stdin=-1) as process:
        assert process.stderr.readline().startswith(b"waiting for text on stdin")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert ended_quietly(process)
    assert server.requests == []


def ended_quietly(process) -> bool:
    done = ended(process)
    return (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("-T", "./gone.md", "Hi"),
        ("--schema", "./gone.json", "Hi"),
        ("--load", "gone.txt"),
        ("batch", "gone.jsonl", "--out", "out.jsonl"),
        ("templates", "import", "gone"),
    ],
    ids=["template", "schema", "load", "batch", "import"],
)
def test_a_file_that_is_named_and_cannot_be_read_is_an_error_of_this_machine(program, arguments):
    with serving_in_thread(PARIS) as server:
        done = program.run(*arguments, server=server)
    assert (done.exit_code, "gone" in done.stderr) == (8, True)
    assert not [request for request in server.requests if request.method == "POST"]
