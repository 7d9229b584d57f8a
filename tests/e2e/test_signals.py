"""Asked to end, stopped or resized in the middle of anything: the terminal is restored, what had come is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import NamedTuple

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has other signals", allow_module_level=True)

import termios

from e2e.program import command, ended
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import HOLD, SILENCE, Answer, event_stream, serving_in_thread, text_events

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
ENDING = [signal.SIGTERM, signal.SIGHUP]
PARIS = Answer(event_stream("Par", "is."))
HELD = Answer([*text_events("# Capitals\n\nIt is **Paris**.\n\n", "* unfinished"), HOLD])
LATER = Answer(
    [b'{"error": {"message": "slow down"}}'], 429, {"content-type": "application/json", "retry-after": "30"}
)
ENDLESS = Answer([*text_events(*(f"{number} {'x' * 1000}\n" for number in range(400))), HOLD])
LINES = {"TERM": "dumb"}
"""A terminal that cannot redraw: the conversation is held line by line."""
ENTER, CTRL_R, CTRL_Z = "\r", "\x12", "\x1a"
READY = "\n>"
PATIENCE_S = 20


class State(NamedTuple):
    """What the program is at: what the server does, what was typed, and what the screen shows by then."""

    answer: Answer
    typed: str
    shown: str


REPL_STATES = {
    "text": State(PARIS, "half a question", "> half a question"),
    "waiting": State(SILENCE, "Hi" + ENTER, "waiting for 127.0.0.1"),
    "countdown": State(LATER, "Hi" + ENTER, "retrying in"),
    "question": State(PARIS, "/login" + ENTER, "Which one?"),
    "menu": State(PARIS, "/ver", "/verbose"),
    "search": State(PARIS, CTRL_R + "no such", "search: no such"),
}
LINE_STATES = {
    "prompt": State(PARIS, "", ">"),
    "text": State(PARIS, "half a question", "> half a question"),
    "waiting": State(SILENCE, "Hi\n", "> Hi"),
    "streaming": State(HELD, "Hi\n", "* unfinished"),
    "countdown": State(LATER, "Hi\n", "retrying in"),
}
ONE_SHOT_STATES = {
    "waiting": State(Answer([1.2, HOLD]), "", "waiting"),
    "streaming": State(HELD, "", "It is Paris."),
    "countdown": State(LATER, "", "retrying in"),
}


def wait_until(is_so):
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def is_left_in_order(screen, before):
    """Whether keys, cursor, paste and wrapping are as a shell expects them, and nobody complained."""
    received = screen.received
    return (
        screen.attributes == before
        and received.rfind(b"\x1b[?2004h") <= received.rfind(b"\x1b[?2004l")
        and received.rfind(b"\x1b[?25l") <= received.rfind(b"\x1b[?25h")
        and received.rfind(b"\x1b[?7l") <= received.rfind(b"\x1b[?7h")
        and b"Traceback" not in received
    )


class TestARunInAPipe:
    @pytest.mark.parametrize("answer", [SILENCE, LATER], ids=["waiting", "countdown"])
    @pytest.mark.parametrize("number", CODES)
    def test_ends_before_there_is_an_answer(self, program, answer, number):
        with serving_in_thread(answer) as server, program.started("Hi", server=server) as process:
            wait_until(lambda: server.requests)
            if answer is LATER:
                assert b"retrying in 30 s" in process.stderr.readline()
            process.send_signal(number)
            done = ended(process)
        assert (done.exit_code, done.stdout) == (CODES[number], "")
        assert done.stderr == "stopped before the answer began\n"
        assert program.saved == [("user", "Hi")]

    @pytest.mark.parametrize("number", CODES)
    def test_ends_although_nobody_reads_the_answer(self, program, number):
        with serving_in_thread(ENDLESS) as server, program.started("Hi", server=server) as process:
            wait_until(lambda: program.session_paths and "partial" in program.session_paths[0].read_text())
            process.send_signal(number)
            assert process.wait(timeout=PATIENCE_S) == CODES[number]
            assert (
                process.stderr.read() == b"stopped; the partial answer is kept (chatcli -c, then /continue)\n"
            )
            shown = process.stdout.read().decode()
        (_, (_, kept)) = program.saved
        assert kept.startswith(shown.rstrip("\n"))

    @pytest.mark.parametrize("number", ENDING)
    def test_ends_while_it_reads_stdin(self, program, number):
        with program.started(stdin=subprocess.PIPE) as process:
            assert process.stderr.readline().startswith(b"waiting for text on stdin")
            process.send_signal(number)
            assert process.wait(timeout=PATIENCE_S) == CODES[number]
            assert process.stderr.read() == b""

    def test_ends_while_it_opens_a_named_pipe(self, program):
        os.mkfifo(program.working_folder / "questions")
        with program.started("-f", "questions", "Hi") as process:
            assert process.stderr.readline() == b"waiting for text from questions\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=PATIENCE_S) == 130
            assert process.stderr.read() == b""

    @pytest.mark.parametrize("delay_s", [0.03, 0.06, 0.1, 0.2])
    def test_ends_without_a_traceback_while_it_starts(self, program, delay_s):
        with (
            serving_in_thread(SILENCE) as server,
            program.started("Hi", server=server, is_forked=False) as process,
        ):
            time.sleep(delay_s)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                # Before any line of the program runs, Python may drop the signal in a callback of its own.
                process.send_signal(signal.SIGINT)
            done = ended(process)
        # In the first moments the interpreter is not yet there to answer: it dies of the signal or, while it opens its
        # streams or imports its own modules, says so.
        is_interpreter = "Fatal Python error: init" in done.stderr or "Could not import runpy" in done.stderr
        assert done.exit_code in {130, -signal.SIGINT} or is_interpreter
        # Before ``main`` runs, no line of the program can answer.
        frames = [line for line in done.stderr.splitlines() if f"chatcli{os.sep}__main__.py" in line]
        assert [line for line in frames if line.endswith(" in main")] == []

    def test_goes_on_where_nohup_has_hang_ups_ignored(self, program):
        slow = Answer([0.5, *event_stream("Paris.")])
        with serving_in_thread(slow) as server:
            process = subprocess.Popen(
                ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("Hi")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=program.environment(server),
                cwd=program.working_folder,
            )
            with process:
                wait_until(lambda: server.requests)
                process.send_signal(signal.SIGHUP)
                done = ended(process)
        assert (done.exit_code, done.stdout) == (0, "Paris.\n")

    def test_stopped_and_continued_goes_on(self, program):
        slow = Answer([*text_events("Par"), 1.0, *event_stream("is.")])
        with serving_in_thread(slow) as server, program.started("Hi", server=server) as process:
            assert process.stdout.read(3) == b"Par"
            process.send_signal(signal.SIGTSTP)
            process.send_signal(signal.SIGCONT)
            assert ended(process, b"Par").stdout == "Paris.\n"


class TestOneAnswerOnATerminal:
    @pytest.mark.parametrize("state", ONE_SHOT_STATES)
    @pytest.mark.parametrize("number", CODES)
    def test_ends_in_order(self, program, terminal, state, number):
        answer, _, shown = ONE_SHOT_STATES[state]
        with serving_in_thread(answer) as server, terminal("Hi", server=server) as screen:
            before = screen.attributes_before
            screen.wait_for(shown)
            screen.send_signal(number)
            assert screen.wait_for_exit() == CODES[number]
            assert is_left_in_order(screen, before)
        stopped = "; the partial answer is kept" if state == "streaming" else " before the answer began"
        assert f"stopped{stopped}" in screen.shown
        assert program.saved[0] == ("user", "Hi")
        assert len(program.saved) == (2 if state == "streaming" else 1)

    def test_stopped_with_ctrl_z_goes_on_with_fg(self, terminal):
        slow = Answer([*text_events("One.\n\n"), 1.5, *event_stream("Two.")])
        with serving_in_thread(slow) as server, terminal("Hi", server=server, job=True) as screen:
            before = screen.attributes_before
            screen.wait_for("One.")
            screen.type(CTRL_Z)
            screen.wait_until_stopped()
            wait_until(lambda: screen._read() and is_left_in_order(screen, before))
            screen.send_signal(signal.SIGCONT)
            screen.wait_for("Two.")
            assert screen.wait_for_exit() == 0

    @pytest.mark.parametrize("number", CODES)
    def test_a_question_for_a_key_turns_the_echo_on_again(self, terminal, number):
        with terminal("config", "login", "--no-check") as screen:
            before = screen.attributes_before
            screen.wait_for("(it is not shown):")
            assert not screen.attributes[3] & termios.ECHO
            screen.send_signal(number)
            assert screen.wait_for_exit() == CODES[number]
            assert is_left_in_order(screen, before)


class TestLineByLine:
    @pytest.mark.parametrize("state", LINE_STATES)
    @pytest.mark.parametrize("number", ENDING)
    def test_ends_in_order(self, program, terminal, state, number):
        answer, typed, shown = LINE_STATES[state]
        with serving_in_thread(answer) as server, terminal(server=server, **LINES) as screen:
            before = screen.attributes_before
            screen.wait_for(READY)
            screen.type(typed)
            screen.wait_for(shown)
            if typed.endswith("\n"):
                wait_until(lambda: server.requests)
            screen.send_signal(number)
            assert screen.wait_for_exit() == CODES[number]
            assert is_left_in_order(screen, before)
        if state == "streaming":
            assert program.saved[-1] == ("assistant", "# Capitals\n\nIt is **Paris**.\n\n* unfinished")

    @pytest.mark.parametrize("state", ["waiting", "countdown"])
    def test_ctrl_c_stops_the_wait_and_keeps_the_program(self, terminal, state):
        answer, typed, shown = LINE_STATES[state]
        with serving_in_thread(answer, PARIS) as server, terminal(server=server, **LINES) as screen:
            screen.wait_for(READY)
            screen.type(typed)
            screen.wait_for(shown)
            wait_until(lambda: server.requests)
            screen.type(CTRL_C)
            screen.wait_for("stopped before the answer began")
            screen.type("Capital of France?\n")
            screen.wait_for("Paris.\n\n>")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0

    def test_a_terminal_that_is_closed_ends_it(self, program):
        with serving_in_thread(HELD) as server, hung_up(program, server, **LINES) as (process, hang_up):
            wait_until(lambda: program.session_paths and "unfinished" in program.session_paths[0].read_text())
            hang_up()
            assert process.wait(timeout=PATIENCE_S) == 129
        assert program.saved[-1][1].endswith("* unfinished")


class TestTheScreen:
    @pytest.mark.parametrize("state", REPL_STATES)
    @pytest.mark.parametrize("number", ENDING)
    def test_ends_in_order(self, program, terminal, state, number):
        answer, typed, shown = REPL_STATES[state]
        with serving_in_thread(answer) as server, terminal(server=server) as screen:
            before = screen.attributes_before
            screen.wait_for(READY)
            screen.type(typed)
            screen.wait_for(shown)
            screen.send_signal(number)
            assert screen.wait_for_exit() == CODES[number]
            assert is_left_in_order(screen, before)
        if typed == "Hi" + ENTER:
            assert program.saved == [("user", "Hi")]

    @pytest.mark.parametrize("sent_as", ["key", "signal"])
    @pytest.mark.parametrize("state", REPL_STATES)
    def test_ctrl_c_is_back_at_the_prompt(self, terminal, state, sent_as):
        answer, typed, shown = REPL_STATES[state]
        with serving_in_thread(answer, PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type(typed)
            screen.wait_for(shown)
            screen.type(CTRL_C) if sent_as == "key" else screen.send_signal(signal.SIGINT)
            wait_for_disappearance(screen, shown)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0

    @pytest.mark.parametrize("state", REPL_STATES)
    def test_stopped_it_gives_the_terminal_back_and_goes_on_where_it_was(self, terminal, state):
        answer, typed, shown = REPL_STATES[state]
        with serving_in_thread(answer) as server, terminal(server=server, job=True) as screen:
            before = screen.attributes_before
            screen.wait_for(READY)
            screen.type(typed)
            screen.wait_for(shown)
            screen.send_signal(signal.SIGTSTP)
            screen.wait_until_stopped()
            wait_until(lambda: screen._read() and is_left_in_order(screen, before))
            screen.forget()
            screen.send_signal(signal.SIGCONT)
            screen.wait_for(shown)

    def test_a_terminal_that_is_closed_ends_it(self, program):
        with serving_in_thread(HELD) as server, hung_up(program, server) as (process, hang_up):
            wait_until(lambda: program.session_paths and "unfinished" in program.session_paths[0].read_text())
            hang_up()
            assert process.wait(timeout=PATIENCE_S) == 129
        assert program.saved[-1][1].endswith("* unfinished")

    def test_two_signals_at_once_are_one(self, program, terminal):
        with serving_in_thread(HELD) as server, terminal(server=server) as screen:
            before = screen.attributes_before
            screen.wait_for(READY)
            screen.type("Hi" + ENTER)
            screen.wait_for("unfinished")
            screen.send_signal(signal.SIGHUP)
            screen.send_signal(signal.SIGTERM)
            assert screen.wait_for_exit() in {129, 143}
            assert is_left_in_order(screen, before)
        assert program.saved[-1][1].endswith("* unfinished")


def wait_for_disappearance(screen, text):
    wait_until(lambda: screen._read() and not last_line_with(screen, text))


def last_line_with(screen, text):
    """Whether ``text`` is still among the rows the program redraws."""
    return text.removeprefix("> ") in "\n".join(screen.shown.splitlines()[-3:])


@contextmanager
def hung_up(program, server, **environment):
    """Run a conversation that has asked, on a terminal that can be closed."""
    started = on_terminal(
        command(), environment=program.environment(server, **environment), folder=program.working_folder
    )
    with started as screen:
        screen.wait_for(READY)
        screen.type("Hi" + ("\n" if environment else ENTER))
        screen.wait_for("unfinished")
        closed = []

        def hang_up():
            closed.append(True)
            os.dup2(os.open(os.devnull, os.O_RDWR), screen._descriptor)

        yield screen._process, hang_up
