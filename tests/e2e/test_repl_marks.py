"""What the REPL tells the terminal beside its text: marks for each turn, the window's title, a bell."""

from __future__ import annotations

import re
import signal
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.pseudo_terminal import CTRL_C, CTRL_D
from scripted_server import HOLD, Answer, event_stream, json_answer, serving_in_thread, text_events

PARIS = Answer(event_stream("Par", "is."))
SLOW = Answer([0.3, *event_stream("Paris.")])
HELD = Answer([*text_events("It is Paris.\n\nunfinished"), HOLD])
REFUSED = json_answer({"error": {"message": "no such model"}}, status=404)

ENTER, CTRL_Z = "\r", "\x1a"
READY, DONE = "\n>", "\n\n>"
KEPT, TAKEN_BACK = b"\x1b[22;2t", b"\x1b[23;2t"


def marks(screen):
    """Return the marks as they came, with the text right behind each."""
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\r", b"", screen.received).decode()
    found = re.findall(r"\x1b\]133;([A-D])([^\x1b]*)\x1b\\([^\x1b\n]*)", plain)
    return [(letter, parameters, text) for letter, parameters, text in found]


def titles(screen):
    return [title.decode() for title in re.findall(rb"\x1b\]2;(.*?)\x1b\\", screen.received)]


def bells(screen):
    """Return how often the bell rang; the same character may end a command."""
    return re.sub(rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", b"", screen.received).count(b"\x07")


class TestMarks:
    def test_stand_around_the_question_and_its_answer(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            assert marks(screen) == []
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("> Capital of France?\n\nParis.\n\n>")
            screen.type("/verbose" + ENTER)
            screen.wait_for("after each answer: on\n\n>")
        turn = [("A", ";redraw=0", "> "), ("B", "", "Capital of France?"), ("C", "", ""), ("D", ";0", "")]
        assert marks(screen)[:4] == turn
        assert [letter for letter, _, _ in marks(screen)] == list("ABCDABCD")

    @pytest.mark.parametrize(
        ("answer", "asked", "keys", "code"),
        [(REFUSED, "Hi", "", ";1"), (HELD, "Hi", CTRL_C, ";130"), (PARIS, "/nothing", "", ";1")],
        ids=["failed", "stopped", "a wrong command"],
    )
    def test_tell_how_it_ended(self, terminal, answer, asked, keys, code):
        with serving_in_thread(answer) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type(asked + ENTER)
            if keys:
                screen.wait_for("unfinished")
                screen.type(keys)
            screen.wait_until_received(f"\x1b]133;D{code}\x1b\\")
        assert marks(screen)[-1][:2] == ("D", code)

    def test_of_a_resumed_exchange_are_there_as_well(self, program, terminal):
        with serving_in_thread(PARIS) as server:
            program.run("-s", "trip", "Capital of France?", server=server)
            with terminal("-s", "trip", server=server) as screen:
                screen.wait_for("Paris.\n\n>")
        assert [letter for letter, _, _ in marks(screen)] == list("ABCD")


@pytest.mark.parametrize(
    ("arguments", "environment", "prompt"),
    [
        (["--plain"], {}, "You:"),
        ([], {"TERM": "dumb"}, ">"),
        ([], {"TERM": "eterm-color"}, ">"),
        ([], {"TERM": "vt100"}, ">"),
        ([], {"TERM": "vt220"}, ">"),
    ],
    ids=["plain", "dumb", "a terminal that would show them", "vt100", "vt220"],
)
def test_a_terminal_that_may_not_take_commands_gets_none(terminal, arguments, environment, prompt):
    linked = Answer(event_stream("[Paris](https://example.com)."))
    with serving_in_thread(linked) as server, terminal(*arguments, server=server, **environment) as screen:
        screen.wait_for(prompt)
        screen.type("Capital of France?" + ENTER)
        screen.wait_for("Paris")
        screen.type("/copy" + ENTER)
        screen.wait_for("clipboard")
        screen.type(CTRL_D)
        screen.wait_for_exit()
    assert b"\x1b]" not in screen.received
    assert KEPT not in screen.received


class TestTheTitle:
    def test_names_the_conversation_and_whether_an_answer_is_coming(self, terminal):
        with serving_in_thread(HELD) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            assert titles(screen) == ["chatcli"]
            screen.type("Capital of France?" + ENTER)
            screen.wait_until_received("\x1b]2;… chatcli: Capital of France?\x1b")
            screen.type(CTRL_C)
            screen.wait_until_received("\x1b]2;chatcli: Capital of France?\x1b")
            screen.type("/session other" + ENTER)
            screen.wait_until_received("\x1b]2;chatcli\x1b", times=2)

    @pytest.mark.parametrize(
        "leave",
        [
            lambda screen: screen.type(CTRL_D + CTRL_D),
            lambda screen: screen.send_signal(signal.SIGTERM),
            lambda screen: screen.send_signal(signal.SIGHUP),
        ],
        ids=["Ctrl-D", "SIGTERM", "SIGHUP"],
    )
    @pytest.mark.parametrize("doing", ["nothing", "answering"])
    def test_that_was_there_comes_back_after_every_way_out(self, terminal, leave, doing):
        with serving_in_thread(HELD) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            if doing == "answering":
                screen.type("Capital of France?" + ENTER)
                screen.wait_for("unfinished")
            leave(screen)
            screen.wait_for_exit()
        assert screen.received.count(KEPT) == screen.received.count(TAKEN_BACK) == 1
        assert screen.received.rindex(TAKEN_BACK) > screen.received.rindex(b"\x1b]2;")

    def test_is_the_shells_while_the_program_is_stopped(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server, job=True) as screen:
            screen.wait_for(READY)
            screen.type(CTRL_Z)
            screen.wait_until_stopped()
            screen.wait_until_received(TAKEN_BACK.decode())
            screen.send_signal(signal.SIGCONT)
            screen.wait_for(READY)
            screen.type(CTRL_D)
            screen.wait_for_exit()
        assert titles(screen) == ["chatcli", "chatcli"]
        assert screen.received.count(KEPT) == screen.received.count(TAKEN_BACK) == 2

    def test_is_left_alone_where_the_person_wants_that(self, terminal):
        with (
            serving_in_thread(PARIS) as server,
            terminal(server=server, CHATCLI_WINDOW_TITLE="off") as screen,
        ):
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris." + DONE)
            screen.type(CTRL_D)
            screen.wait_for_exit()
        assert titles(screen) == []
        assert TAKEN_BACK not in screen.received


class TestALongAnswer:
    @pytest.mark.parametrize("notify", ["bell", "desktop", "off"])
    def test_is_reported_of_as_the_person_wants(self, terminal, notify):
        settings = {
            "CHATCLI_NOTIFY_AFTER_S": "0.1",
            "CHATCLI_NOTIFY": notify,
            "TERM_PROGRAM": "iTerm.app",
        }
        with serving_in_thread(SLOW) as server, terminal(server=server, **settings) as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_until_received("\x1b]133;D")
            screen.wait_for("> Capital of France?\n\nParis.\n\n>")
        notified = b"\x1b]9;chatcli: answered: Capital of France?\x1b\\" in screen.received
        assert (bells(screen), notified) == (int(notify == "bell"), notify == "desktop")

    def test_is_not_reported_of_before_its_time(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_until_received("\x1b]133;D")
        assert bells(screen) == 0

    def test_that_was_a_single_one_is_reported_of_as_well(self, terminal):
        with (
            serving_in_thread(SLOW) as server,
            terminal("Capital of France?", server=server, CHATCLI_NOTIFY_AFTER_S="0.1") as screen,
        ):
            assert screen.wait_for_exit() == 0
        assert bells(screen) == 1

    def test_rings_in_a_plain_terminal_whatever_it_could_show(self, terminal):
        settings = {
            "CHATCLI_NOTIFY_AFTER_S": "0.1",
            "CHATCLI_NOTIFY": "desktop",
            "TERM_PROGRAM": "iTerm.app",
        }
        with serving_in_thread(SLOW) as server, terminal("--plain", server=server, **settings) as screen:
            screen.wait_for("You:")
            screen.type("Capital of France?" + ENTER)
            screen.wait_until_received("\x07")
        assert b"\x1b]" not in screen.received
