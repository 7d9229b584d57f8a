"""Files of questions and commands, run by ``--load``."""

from __future__ import annotations

import signal
import sys

import pytest

from e2e.interrupting import UNFINISHED, interrupted
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

FINE = Answer(event_stream("Fine."))
REFUSED = json_answer({"error": {"message": "no"}}, status=400)


def asked(server):
    return [
        request.json["messages"][-1]["content"] for request in server.requests if request.method == "POST"
    ]


def write(program, name, text):
    (program.working_folder / name).write_text(text, encoding="utf-8")


def test_a_script_runs_a_file_and_ends_with_it(program):
    write(program, "a.txt", '# daily\nOne?\n"""\nTwo\nlines?\n"""\n/translate to=French Hello\n')
    with serving_in_thread(FINE) as server:
        done = program.run("--load", "a.txt", server=server, stdin="not read\n")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == ["Fine."] * 3
    assert asked(server)[:2] == ["One?", "Two\nlines?"]
    assert "Hello" in asked(server)[2]
    assert len(program.session_paths) == 1


def test_a_script_goes_on_with_the_schema_of_its_conversation(program):
    write(program, "a.txt", "One?\n")
    sets, ends = program.config_folder / "sets.txt", program.config_folder / "ends.txt"
    sets.write_text("/schema name, born int\nZero?\n", encoding="utf-8")
    ends.write_text("/schema off\nTwo?\n", encoding="utf-8")
    fitting = Answer(event_stream('{"name": "Ada", "born": 1815}'))
    with serving_in_thread(fitting) as server:
        for file in (str(sets), "a.txt", str(ends)):
            done = program.run("-s", "people", "--load", file, server=server, stdin="")
            assert done.exit_code == 0, done.stderr
    bodies = [request.json for request in server.requests if request.method == "POST"]
    assert ["response_format" in body for body in bodies] == [True, True, False]
    assert bodies[0]["response_format"] == bodies[1]["response_format"]


def test_a_conversation_begun_with_a_schema_on_the_command_line_goes_on_with_it(program):
    write(program, "a.txt", "One?\n")
    with serving_in_thread(Answer(event_stream('{"name": "Ada"}'))) as server:
        for options in (["--schema", "name str"], []):
            done = program.run("-s", "people", *options, "--load", "a.txt", server=server, stdin="")
            assert done.exit_code == 0, done.stderr
            assert "answers are JSON: name" in done.stderr
    bodies = [request.json for request in server.requests if request.method == "POST"]
    assert ["response_format" in body for body in bodies] == [True, True]


def test_a_script_sends_nothing_that_may_pass_its_limit(program):
    write(program, "a.txt", "One?\nTwo?\n")
    with serving_in_thread(FINE) as server:
        unknown = program.run("--load", "a.txt", "--max-cost", "1", server=server, stdin="")
        (program.config_folder / "config.toml").write_text('[prices."small"]\ninput = 1e6\noutput = 1e6\n')
        reached = program.run("--load", "a.txt", "--max-cost", "1", server=server, stdin="")
    assert (unknown.exit_code, reached.exit_code, asked(server)) == (9, 9, [])
    assert "the price of small at 127.0.0.1" in unknown.stderr
    assert "budget reached" in reached.stderr


def test_a_script_ends_at_the_first_error_with_its_code(program):
    write(program, "a.txt", "One?\nTwo?\n")
    with serving_in_thread(REFUSED) as server:
        done = program.run("--load", "a.txt", server=server, stdin="")
    assert (done.exit_code, asked(server)) == (5, ["One?"])
    assert done.stderr.endswith("a.txt:1: stopped here; 1 further line not run\n")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--load", "gone.txt"], 8, "error: cannot read gone.txt: No such file"),
        (["--load", "a.txt", "Hello"], 2, "error: --load and a prompt cannot be combined"),
        (["--load", "a.txt", "-T", "review"], 2, "error: --load and -T cannot be combined"),
        (["--load", "a.txt"], 2, "error: a.txt:2 reaches beyond the conversation: /save x.md"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the words of another system")
def test_what_cannot_be_run_is_reported(program, arguments, exit_code, message):
    write(program, "a.txt", "One?\n/save x.md\n")
    with serving_in_thread(FINE) as server:
        done = program.run(*arguments, server=server, stdin="")
    assert (done.exit_code, asked(server)) == (exit_code, []), done.stderr
    assert message in done.stderr


def test_the_persons_own_file_may_write_files(program):
    (program.config_folder / "daily.txt").write_text("One?\n/save copy.jsonl\n", encoding="utf-8")
    with serving_in_thread(FINE) as server:
        done = program.run("--load", str(program.config_folder / "daily.txt"), server=server, stdin="")
    assert done.exit_code == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another system")
def test_ctrl_c_ends_a_script_with_its_code_and_says_where(program):
    write(program, "a.txt", "One?\nTwo?\n")
    with serving_in_thread(UNFINISHED) as server:
        stopped = interrupted(program, signal.SIGINT, "--load", "a.txt", server=server)
    assert (stopped.exit_code, asked(server)) == (130, ["One?"]), stopped.stderr
    assert "a.txt:1: stopped here; 1 further line not run\n" in stopped.stderr
