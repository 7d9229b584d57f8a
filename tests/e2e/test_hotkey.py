"""The key that turns a typed line into a command, in real shells on a real terminal."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from contextlib import contextmanager
from shlex import quote

import pytest

from e2e.program import asked
from e2e.pseudo_terminal import CTRL_C, on_terminal
from scripted_server import HOLD, Answer, event_stream, json_answer, serving_in_thread

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the shells of Windows have no hotkey")

SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["-N", "-i"]}
ALT_E, UNDO = "\x1be", "\x1f"
PROMPT = "here$"
PROMPTS = {"fish": f"function fish_prompt; echo -n '{PROMPT} '; end"}

HOSTILE = (
    "```sh\n\n\x1b]0;pwned\x07\x1b[201~touch ran\r\n\x9b201~touch ran\n\x00\x03\x04touch \u202eran\n"
    "\x1b]52;c;dG91Y2ggcmFu\x07\r\n\n\n```\n"
)


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"needs {name}"))
        for name in SHELLS
    ]
)
def shell(request, program, tmp_path):
    """Return a context manager: the shell at its prompt, with the hotkey of the program, which asks a server."""
    name = request.param
    binary = tmp_path / "bin" / "chatcli"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {quote(sys.executable)} -m chatcli "$@"\n')
    binary.chmod(0o755)
    script = tmp_path / "hotkey"
    prompt = PROMPTS.get(name, f"PS1='{PROMPT} '")
    script.write_text(f"{program.run('completion', '--hotkey', name).stdout}\n{prompt}\n")

    @contextmanager
    def opened(server, columns=80):
        path = f"{binary.parent}:{os.environ['PATH']}"
        environment = program.environment(server, PATH=path, LC_ALL="C.UTF-8", CHATCLI_RETRIES="0")
        line = [shutil.which(name), *SHELLS[name]]
        folder = program.working_folder
        with on_terminal(line, environment=environment, folder=folder, columns=columns) as terminal:
            terminal.type(f". {script}\r")
            terminal.wait_for(PROMPT)
            yield terminal

    opened.name = name
    return opened


def wait_for_line(terminal, typed):
    """Return once the prompt stands on the last line, with ``typed`` behind it."""
    line = f"{PROMPT} {typed}"
    for _ in range(200):
        terminal.settle()
        if terminal.wait_for(PROMPT).splitlines()[-1] == line:
            return
    raise AssertionError(f"no {line!r} at the end of:\n{terminal.shown}")


def type_and_wait_for_prompt(terminal, keys):
    """Return once the shell draws its prompt anew: what is typed before that is thrown away."""
    prompts = terminal.received.count(PROMPT.encode())
    terminal.type(keys)
    for _ in range(200):
        terminal.settle()
        if terminal.received.count(PROMPT.encode()) > prompts:
            return
    raise AssertionError(f"no new prompt in:\n{terminal.shown}")


def has_run(program):
    return (program.working_folder / "ran").exists()


def test_the_answer_takes_the_place_of_the_line_and_runs_only_with_enter(shell, program):
    answer = Answer(event_stream('```sh\necho o"n"e > ran\n```\n'))
    with serving_in_thread(answer) as server, shell(server) as terminal:
        terminal.type(f"make -- 'one' file{ALT_E}")
        wait_for_line(terminal, 'echo o"n"e > ran')
        assert not has_run(program)
        terminal.type("; echo d''one\r")
        terminal.wait_for("\ndone")
        assert (program.working_folder / "ran").read_text() == "one\n"
        _, question = asked(server)[-1]
        assert "make -- 'one' file" in question
        assert f"{shell.name} on " in question
    assert program.session_paths == []


def test_the_template_shell_is_your_own_if_you_have_one(program):
    (program.config_folder / "templates").mkdir()
    template = program.config_folder / "templates" / "shell.md"
    template.write_text('+++\nmodel = "quick"\n+++\nSay it in Latin: {{ input }}\n')
    with serving_in_thread(Answer(event_stream("`ls`"))) as server:
        ended = program.run("completion", "--hotkey", "zsh", "--line=-- help", server=server)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "ls\n", "")
        assert asked(server)[-1] == ("user", "Say it in Latin: -- help")
        assert server.requests[-1].json["model"] == "quick"
    template.write_text("Say it in {{ language }}: {{ input }}\n")
    ended = program.run("completion", "--hotkey", "zsh", "--line=help", server=server)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: the template shell needs language → ")


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (event_stream("```sh\nls", finish_reason="length"), 7, "error: the answer is incomplete (length)\n"),
        (event_stream(""), 10, "error: no command in the answer: it is empty\n"),
        (event_stream("x" * 5_000), 10, "error: a command of 5,000 characters is too long for a line\n"),
    ],
)
def test_an_answer_that_is_no_command_is_told_in_one_line(program, answer, code, told):
    with serving_in_thread(Answer(answer)) as server:
        ended = program.run("completion", "--hotkey", "bash", "--line=help", server=server)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (code, "", told)


def test_nothing_of_a_hostile_answer_acts(shell, program):
    with serving_in_thread(Answer(event_stream(HOSTILE))) as server, shell(server) as terminal:
        terminal.type(f"anything{ALT_E}")
        shown = terminal.wait_for("␛]52;c;dG91Y2ggcmFu␇")
        assert "<U+202E>ran" in shown
        assert "dG91Y2ggcmFu" in shown.splitlines()[-1]
        assert not has_run(program)
        assert b"\x1b]52" not in terminal.received
        assert b"\x1b]0;pwned" not in terminal.received
        assert shown.count("touch") == 3
        terminal.type(UNDO)
        wait_for_line(terminal, "anything")


def test_enter_pressed_while_waiting_does_not_run_what_is_inserted_then(shell, program):
    released = threading.Event()

    def answer(_request):
        assert released.wait(20)
        return Answer(event_stream("`touch ran`"))

    with serving_in_thread(choose=answer) as server, shell(server) as terminal:
        terminal.type(f"anything{ALT_E}")
        terminal.wait_for("waiting")
        terminal.type("\r\r")
        terminal.settle()
        released.set()
        wait_for_line(terminal, "touch ran")
        terminal.type("#")  # behind what was typed before, if that is still there
        wait_for_line(terminal, "touch ran#")
        assert not has_run(program)


def test_control_c_gives_the_line_back(shell):
    with serving_in_thread(Answer([HOLD])) as server, shell(server, columns=40) as terminal:
        terminal.type(f"echo t''his{ALT_E}")
        terminal.wait_for("waiting")
        type_and_wait_for_prompt(terminal, CTRL_C)
        server.requests[0].closed.result(timeout=20)
        wait_for_line(terminal, "echo t''his")
        assert "waiting" not in terminal.shown
        terminal.type(" one; stty -a\r")
        terminal.wait_for("\nthis one")
        terminal.wait_for(" echo ")


def test_without_a_command_the_line_stays_and_one_line_says_why(shell):
    refused = json_answer({"error": {"message": "bad key", "code": "invalid_api_key"}}, status=401)
    words = Answer(event_stream("I cannot\ndo that."))
    with serving_in_thread(refused, words) as server, shell(server) as terminal:
        terminal.type("echo t''his")
        wait_for_line(terminal, "echo t''his")
        type_and_wait_for_prompt(terminal, ALT_E)
        terminal.wait_for("error: ")
        wait_for_line(terminal, "echo t''his")
        type_and_wait_for_prompt(terminal, ALT_E)
        terminal.wait_for("error: no command in the answer: I cannot do that.")
        wait_for_line(terminal, "echo t''his")
        terminal.type(" one\r")
        terminal.wait_for("\nthis one")
