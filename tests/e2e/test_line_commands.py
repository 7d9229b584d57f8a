"""Slash commands where the conversation is held line by line."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

import pty
import signal
import subprocess
import termios

from e2e.program import asked, command, messages_of
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import CUT, HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

PARIS = Answer(event_stream("Paris."))
MADRID = Answer(event_stream("Madrid."))
MODELS = json_answer({"data": [{"id": "small", "context_length": 4096}, {"id": "large"}]})
NEVER = Answer([HOLD])
READY = "leaves.\nYou:"


@pytest.fixture
def plain(program):
    """Return what starts the program on a terminal with ``--plain``; nothing it writes may act on the terminal."""

    @contextmanager
    def start(*arguments, server=None, run=command, **environment):
        started = on_terminal(
            run("--plain", *arguments),
            environment=program.environment(server, **environment),
            folder=program.working_folder,
        )
        with started as shown:
            yield shown
        assert b"\x1b" not in shown.received
        # The terminal itself makes \r\n of \n.
        assert b"\r" not in shown.received.replace(b"\r\n", b"\n")

    return start


def leave(screen):
    screen.type("/exit\n")
    assert screen.wait_for_exit() == 0


def test_continue_asks_for_the_rest_of_a_cut_answer(program, plain):
    cut = Answer([*text_events("The capital of"), CUT])
    rest = Answer(event_stream("capital of France."))
    with (
        serving_in_thread(cut, rest) as server,
        plain("-s", "trip", server=server, CHATCLI_RETRIES="0") as screen,
    ):
        screen.wait_for(READY)
        screen.type("Go on\n")
        screen.wait_for("/continue gets the rest")
        screen.type("/continue\n")
        screen.wait_for("Assistant: France.\nEnd of answer.\n\nYou:")
        leave(screen)
    assert asked(server)[:2] == [("user", "Go on"), ("assistant", "The capital of")]
    assert program.saved[-1] == ("assistant", "The capital of France.")


def test_save_keeps_what_was_not_kept(program, plain):
    with serving_in_thread(PARIS) as server, plain("--no-save", server=server) as screen:
        screen.wait_for(READY)
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.\nEnd of answer.\n\nYou:")
        screen.type("/session\n")
        screen.wait_for("/save NAME saves it")
        screen.type("/save trip\n")
        screen.wait_for("Saved as trip; continuing there.\n\nYou:")
        leave(screen)
        assert screen.shown.endswith("To go on with it later, run: chatcli -s trip")
    assert program.saved == [("user", "Capital of France?"), ("assistant", "Paris.")]


def test_undo_says_what_could_be_sent_again_and_retry_asks_once_more(plain):
    with serving_in_thread(PARIS, MADRID, PARIS) as server, plain(server=server) as screen:
        screen.wait_for(READY)
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.\nEnd of answer.\n\nYou:")
        screen.type("/retry\n")
        screen.wait_for("Madrid.\nEnd of answer.\n\nYou:")
        screen.type("/undo\n")
        screen.wait_for("(still in /tree).\nTo send it again: Capital of France?\n\nYou:")
        screen.type("And now?\n")
        screen.wait_for("And now?\nAssistant: Paris.")
        leave(screen)
    assert asked(server, 1) == [("user", "Capital of France?")]
    assert asked(server) == [("user", "And now?")]


def test_another_model_is_listed_and_asked(plain):
    with serving_in_thread(MODELS, PARIS) as server, plain(server=server) as screen:
        screen.wait_for(READY)
        screen.type("/model\n")
        screen.wait_for("small: in use, 4,096 tokens.\nlarge.")
        screen.type("/model large\n")
        screen.wait_for("Model: large.\n\nYou:")
        screen.type("/verbose on\n")
        screen.wait_for("after each answer: on.")
        screen.type("Capital of France?\n")
        screen.wait_for("Assistant: Paris.")
        screen.wait_for(", first text ")
        leave(screen)
    assert server.requests[-1].json["model"] == "large"


def test_help_lists_what_makes_sense_on_lines(plain):
    with serving_in_thread(PARIS) as server, plain(server=server) as screen:
        screen.wait_for(READY)
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.\nEnd of answer.\n\nYou:")
        screen.type("/help\n")
        screen.wait_for("Control D or exit leaves.\n\nYou:")
        shown = "\n".join(screen.everything)
        assert "continue an answer that was cut off" in shown
        assert "Alt-Enter" not in shown
        assert "answers have no colours in this mode" in shown
        screen.type("/theme light\n")
        screen.wait_for("Error: /theme: answers have no colours in this mode.\nWhat to do: /help lists")
        screen.type("/config plain false\n")
        screen.wait_for("What to do: start chatcli with --plain, or without.")
        leave(screen)


def test_an_unknown_command_names_the_nearest_and_a_path_is_a_question(plain):
    with serving_in_thread(PARIS) as server, plain(server=server) as screen:
        screen.wait_for(READY)
        screen.type("/contniue\n")
        screen.wait_for(
            "Error: there is no command /contniue.\nWhat to do: did you mean /continue? (not now: nothing has been asked yet).\n\nYou:"
        )
        screen.type("/etc/hosts is what?\n")
        screen.wait_for("Assistant: Paris.")
        leave(screen)
    assert asked(server) == [("user", "/etc/hosts is what?")]


def test_going_to_another_conversation_shows_where_it_stands(program, plain):
    with serving_in_thread(PARIS, MADRID) as server:
        program.run("-s", "trip", "Capital of France?", server=server)
        with plain("-s", "other", server=server) as screen:
            screen.wait_for(READY)
            screen.type("/session trip\n")
            screen.wait_for(
                "Resuming: Capital of France?\n\nYou: Capital of France?\nAssistant: Paris.\nEnd of answer.\n\nYou:"
            )
            screen.type("And of Spain?\n")
            screen.wait_for("Assistant: Madrid.")
            leave(screen)
            assert screen.shown.endswith("chatcli -s trip")
    assert [text for _, text in program.saved] == ["Capital of France?", "Paris.", "And of Spain?", "Madrid."]


def test_ctrl_c_stops_a_command_and_keeps_the_program(plain):
    with serving_in_thread(NEVER, PARIS) as server, plain(server=server) as screen:
        screen.wait_for(READY)
        screen.type("/model\n")
        while not server.requests:
            screen.settle()
        screen.type(CTRL_C)
        screen.wait_for("^C\nYou:")
        screen.type("Capital of France?\n")
        screen.wait_for("Assistant: Paris.")
        leave(screen)


class TestAsking:
    def test_a_key_is_not_shown_and_is_used_from_then_on(self, program, plain):
        with serving_in_thread(MODELS, PARIS) as server, plain(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/login\n")
            screen.wait_for("  2  another server")
            screen.wait_for("Which one?")
            screen.type("9\n")
            screen.wait_for("Error: that is none of them.\nWhat to do: type a number from 1 to")
            screen.wait_for("Control C to skip.\nWhich one?")
            screen.type("2\n")
            screen.wait_for("Address")
            screen.type("ftp://host.example\n")
            screen.wait_for("the address must be a URL that starts with http:// or https://")
            screen.wait_for("https://host.example/v1\nWhich one?")
            screen.forget()
            screen.type("2\n")
            screen.wait_for("Address")
            screen.type(f"{server.base_url}\n")
            screen.wait_for("empty for none:")
            screen.type("sk-secret\n")
            screen.wait_for("The key works")
            screen.wait_for("Model: small at")
            screen.type("Capital of France?\n")
            screen.wait_for("Assistant: Paris.")
            leave(screen)
            assert "sk-secret" not in screen.shown
        assert server.requests[-1].headers["authorization"] == "Bearer sk-secret"

    def test_ctrl_c_turns_it_down(self, plain):
        with serving_in_thread(PARIS) as server, plain(server=server) as screen:
            screen.wait_for(READY)
            before = screen.attributes
            for typed in ("", "1\n"):
                screen.forget()
                screen.type("/login\n")
                screen.wait_for("Which one?")
                screen.type(typed)
                screen.wait_for("Key for" if typed else "Which one?")
                screen.type(CTRL_C)
                screen.wait_for("\nYou:")
            assert screen.attributes == before
            screen.type("Capital of France?\n")
            screen.wait_for("Assistant: Paris.")
            leave(screen)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_a_signal_ends_it_in_order(self, plain, number, code):
        with serving_in_thread() as server, plain(server=server) as screen:
            screen.wait_for(READY)
            before = screen.attributes
            screen.type("/login\n")
            screen.wait_for("Which one?")
            screen.type("1\n")
            screen.wait_for("Key for")
            assert not screen.attributes[3] & termios.ECHO
            screen.send_signal(number)
            assert screen.wait_for_exit() == code
            assert screen.attributes == before
            assert "Traceback" not in screen.shown

    def test_the_first_start_offers_what_there_is(self, plain):
        with serving_in_thread(MODELS, PARIS) as server, plain(CHATCLI_MODEL="small") as screen:
            screen.wait_for("No model is set up yet.")
            screen.wait_for("Which one?")
            screen.type("2\n")
            screen.wait_for("Address")
            screen.type(f"{server.base_url.removeprefix('http://')}\n")
            screen.wait_for("empty for none:")
            screen.type("\n")
            screen.wait_for("You are talking to small.")
            leave(screen)

    def test_a_first_start_that_is_turned_down_ends_with_what_is_missing(self, plain):
        with plain() as screen:
            screen.wait_for("Which one?")
            screen.type(CTRL_C)
            assert screen.wait_for_exit() == 3
            assert "error: " in screen.shown

    @pytest.mark.parametrize("leaving", [CTRL_D, "/exit\n"])
    def test_a_first_start_can_be_left(self, plain, leaving):
        with plain() as screen:
            screen.wait_for("Which one?")
            screen.type("/help\n")
            screen.wait_for("/help COMMAND explains one")
            screen.wait_for("leaves.\n  1  paste an OpenAI key")
            screen.type(leaving)
            assert screen.wait_for_exit() == 0
            assert screen.shown.endswith("Goodbye.")


def test_with_the_output_in_a_pipe_commands_are_taken_from_the_keyboard(program):
    ours, theirs = pty.openpty()
    with serving_in_thread(PARIS) as server:
        os.write(ours, f"Capital of France?\n/session\n/undo\n{CTRL_D}".encode())
        done = subprocess.run(
            command("-s", "trip"),
            stdin=theirs,
            capture_output=True,
            env=program.environment(server, TERM="xterm-256color"),
            cwd=program.working_folder,
            timeout=60,
            check=False,
        )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    output = done.stdout.decode()
    # Nothing is cut where nobody knows how wide it will be shown.
    assert f"file   {program.data_folder / 'sessions' / 'trip.jsonl'}\n\n> " in output
    assert output.startswith("> Paris.\n\n> name   trip\n")
    assert "to send it again: Capital of France?" in done.stderr.decode()
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout + done.stderr
    assert [text for _, text in messages_of(program.session_paths[0])] == ["Capital of France?", "Paris."]


def test_who_talks_in_lines_does_not_load_the_screen(plain):
    telling = (
        "import sys\n"
        "from chatcli.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print('loaded:', sorted({'prompt_toolkit', 'rich', 'markdown_it', 'pygments'} & set(sys.modules)))\n"
        "sys.exit(code)\n"
    )
    with (
        serving_in_thread(PARIS, MODELS) as server,
        plain(server=server, run=lambda *arguments: [sys.executable, "-c", telling, *arguments]) as screen,
    ):
        screen.wait_for(READY)
        screen.type("Capital of France?\n")
        screen.wait_for("Paris.\nEnd of answer.\n\nYou:")
        for typed in ("/help", "/model", "/model large", "/tokens"):
            screen.forget()
            screen.type(f"{typed}\n")
            screen.wait_for("\n\nYou:")
        screen.type("/sessions\n")
        screen.wait_for(
            "1: Capital of France?, current, just now, 1 turn.\nWhich one? [1, or words to search for]"
        )
        screen.type("\n")
        screen.wait_for("No session chosen.\n\nYou:")
        screen.type("exit\n")
        assert screen.wait_for_exit() == 0
        assert "loaded: []" in screen.shown
