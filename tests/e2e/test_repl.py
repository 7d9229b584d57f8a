"""The conversation in a terminal, as the person at the keyboard sees it."""

from __future__ import annotations

import signal
import sys
import termios

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import asked, messages_of, records_of
from e2e.pseudo_terminal import CTRL_C, CTRL_D
from scripted_server import HOLD, SILENCE, Answer, event_stream, json_answer, serving_in_thread, text_events

PARIS = Answer(event_stream("Par", "is."))
MADRID = Answer(event_stream("Madrid."))
HELD = Answer([*text_events("# Capitals\n\nIt is **Paris**.\n\n", "* unfinished"), HOLD])
LATER = Answer(
    [b'{"error": {"message": "slow down"}}'], 429, {"content-type": "application/json", "retry-after": "30"}
)

ENTER, ALT_ENTER, CTRL_J, CTRL_R, CTRL_Z = "\r", "\x1b\r", "\n", "\x12", "\x1a"
READY = "\n>"


def pasted(text):
    return f"\x1b[200~{text}\x1b[201~"


class TestTalking:
    def test_a_question_is_answered_and_exit_says_how_to_come_back(self, program, terminal):
        with serving_in_thread(PARIS, MADRID) as server, terminal("-s", "trip", server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("> Capital of France?\n\nParis.\n\n>")
            screen.type("And of Spain?" + ENTER)
            screen.wait_for("> And of Spain?\n\nMadrid.\n\n>")
            screen.type("/exit" + ENTER)
            assert screen.wait_for_exit() == 0
        assert screen.shown.endswith("resume with: chatcli -s trip")
        assert [text for _, text in program.saved] == [
            "Capital of France?",
            "Paris.",
            "And of Spain?",
            "Madrid.",
        ]

    def test_commands_to_type_are_named_as_the_program_was_started(self, terminal):
        with (
            serving_in_thread(PARIS) as server,
            terminal("-s", "trip", server=server, _CHATCLI_COMMAND="scripts/chat") as screen,
        ):
            screen.wait_for(READY)
            screen.type("/config alerts off" + ENTER)
            screen.wait_for("→ scripts/chat alerts list shows the rules")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type("/exit" + ENTER)
            assert screen.wait_for_exit() == 0
        assert screen.shown.endswith("resume with: scripts/chat -s trip")

    def test_a_warning_about_the_settings_is_given_once(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server, CHATCLI_MODLE="small") as screen:
            screen.wait_for(READY)
            screen.type("/reasoning hide" + ENTER)
            screen.wait_for("reasoning: hide")
            screen.type("/exit" + ENTER)
            assert screen.wait_for_exit() == 0
        assert screen.received.count(b"CHATCLI_MODLE is not a setting") == 1

    @pytest.mark.parametrize("leaving", ["exit" + ENTER, "quit" + ENTER, CTRL_D])
    def test_there_are_other_ways_to_leave(self, terminal, leaving):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type(leaving)
            assert screen.wait_for_exit() == 0
        assert screen.shown.endswith("bye")

    def test_what_is_finished_is_shown_rendered_while_the_rest_is_still_coming(self, terminal):
        with serving_in_thread(HELD) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capitals?" + ENTER)
            shown = screen.wait_for("• unfinished")
            assert "It is Paris." in shown
            assert "**" not in shown
            assert "Ctrl-C stops" in screen.wait_for("answering")

    def test_nothing_is_asked_of_the_terminal_and_every_frame_is_bracketed(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type(CTRL_D)
            screen.wait_for_exit()
        for forbidden in (b"\x1b[6n", b"\x1b[?1049h", b"\x1b[?1000h", b"\x1b[2J"):
            assert forbidden not in screen.received
        assert screen.received.count(b"\x1b[?2026h") == screen.received.count(b"\x1b[?2026l") > 2

    def test_a_question_that_finds_no_model_waits_and_a_command_can_be_typed_at_once(self, terminal):
        with terminal(CHATCLI_BASE_URL="http://127.0.0.1:1/v1") as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("error: ")
            screen.wait_for("not sent: Capital of France?\n>")
            with serving_in_thread(json_answer({"data": [{"id": "small"}]}), PARIS) as server:
                screen.type(f"/config base_url {server.base_url}" + ENTER)
                screen.wait_for("command /config")
                screen.wait_for("not sent: Capital of France?\n>")
                screen.type(ENTER)
                screen.wait_for("Paris.\n\n>")


class TestWriting:
    def test_lines_are_added_with_alt_enter_and_ctrl_j(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("one" + ALT_ENTER + "two" + CTRL_J + "three" + ENTER)
            screen.wait_for("Paris.")
            assert asked(server) == [("user", "one\ntwo\nthree")]

    def test_keys_typed_before_and_while_it_loads_all_arrive(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            for key in "Capital of ":
                screen.type(key)
            screen.wait_for(READY)
            for key in "France, 法国?":
                screen.type(key)
            screen.type(ENTER)
            screen.wait_for("Paris.")
            assert asked(server) == [("user", "Capital of France, 法国?")]

    def test_what_was_typed_before_is_found_in_the_next_run(self, program, terminal):
        with serving_in_thread(PARIS) as server:
            with terminal(server=server) as screen:
                screen.wait_for(READY)
                screen.type("北京的天气?" + ENTER)
                screen.wait_for("Paris.\n\n>")
                screen.type(CTRL_D)
                screen.wait_for_exit()
            with terminal(server=server) as screen:
                screen.wait_for(READY)
                screen.type(CTRL_R + "天气")
                screen.wait_for("❯ 北京的天气?")
                screen.type(ENTER)
                screen.wait_for("> 北京的天气?")
                screen.type(ENTER)
                screen.wait_for("Paris.")
        history = program.data_folder / "input-history.jsonl"
        assert history.stat().st_mode & 0o777 == 0o600
        assert asked(server) == [("user", "北京的天气?")]

    def test_commands_are_completed_and_misspelt_ones_corrected(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/ver")
            screen.wait_for("/verbose")
            screen.type("\t" + ENTER)
            screen.wait_for("after each answer: on")
            screen.type("/retyr" + ENTER)
            screen.wait_for("did you mean /retry?")

    def test_a_question_that_is_too_long_comes_back_for_editing(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type(pasted("word " * 5000) + ENTER)
            screen.wait_for("This question is too long")
            screen.wait_for("\n> [pasted 25,000 characters]")


class TestCtrlC:
    def test_at_the_prompt_clears_the_line_and_never_leaves(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("half a question" + CTRL_C)
            screen.type(CTRL_C)
            screen.wait_for("Ctrl-D leaves")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.")
            assert asked(server) == [("user", "Capital of France?")]

    @pytest.mark.parametrize("sent_as", ["key", "signal"])
    def test_stops_an_answer_keeps_what_had_come_and_hangs_up_at_once(self, program, terminal, sent_as):
        with serving_in_thread(HELD, PARIS) as server, terminal("-s", "trip", server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capitals?" + ENTER)
            screen.wait_for("unfinished")
            screen.type(CTRL_C) if sent_as == "key" else screen.send_signal(signal.SIGINT)
            assert server.requests[0].closed.result(timeout=20) is False
            screen.wait_for("• unfinished\nstopped; the partial answer is kept (/continue)\n\n>")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        (path,) = program.session_paths
        assert [text for _, text in messages_of(path)] == [
            "Capitals?",
            "# Capitals\n\nIt is **Paris**.\n\n* unfinished",
            "Capital of France?",
            "Paris.",
        ]
        reasons = [record.get("finish_reason") for record in records_of(path) if record["type"] == "message"]
        assert reasons == [None, "interrupted", None, "stop"]

    def test_stops_the_wait_for_an_answer(self, terminal):
        with serving_in_thread(SILENCE, PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Hi" + ENTER)
            screen.wait_for("waiting for 127.0.0.1")
            screen.type(CTRL_C)
            screen.wait_for("stopped before the answer began")
            assert server.requests[0].closed.result(timeout=20) is False
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.")

    def test_stops_the_wait_for_a_retry(self, terminal):
        with serving_in_thread(LATER, PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Hi" + ENTER)
            screen.wait_for("retrying in")
            screen.type(CTRL_C)
            screen.wait_for("stopped before the answer began")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.")
            assert len(server.requests) == 2


class TestEnter:
    def test_alone_ends_the_wait_for_another_attempt(self, terminal):
        with serving_in_thread(LATER, PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Enter tries now")
            screen.type(ENTER)
            screen.wait_for("Paris.")
            assert len(server.requests) == 2


class TestTheTerminalIsRestored:
    @pytest.mark.parametrize(
        ("leave", "exit_code"),
        [
            (lambda screen: screen.type("/exit" + ENTER), 0),
            (lambda screen: screen.type(CTRL_D), 0),
            (lambda screen: screen.send_signal(signal.SIGTERM), 143),
            (lambda screen: screen.send_signal(signal.SIGHUP), 129),
        ],
        ids=["exit", "Ctrl-D", "SIGTERM", "SIGHUP"],
    )
    @pytest.mark.parametrize("doing", ["nothing", "answering"])
    def test_after_every_way_out(self, terminal, leave, exit_code, doing):
        with serving_in_thread(HELD) as server, terminal(server=server) as screen:
            before = screen.attributes_before
            screen.wait_for(READY)
            assert not screen.attributes[3] & termios.ICANON
            if doing == "answering":
                screen.type("Capitals?" + ENTER)
                screen.wait_for("unfinished")
                if exit_code == 0:
                    screen.type(CTRL_C)
                    screen.wait_for("stopped")
            leave(screen)
            assert screen.wait_for_exit() == exit_code
            assert screen.attributes == before
        assert screen.received.rindex(b"\x1b[?2004l") > screen.received.rindex(b"\x1b[?2004h")
        assert screen.received.rindex(b"\x1b[?25h") > screen.received.rfind(b"\x1b[?25l")
        assert screen.received.rindex(b"\x1b[?7h") > screen.received.rfind(b"\x1b[?7l")

    def test_when_it_is_stopped_and_drawn_anew_when_it_goes_on(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server, job=True) as screen:
            before = screen.attributes_before
            screen.wait_for(READY)
            screen.type("half a question")
            screen.wait_for("> half a question")
            screen.type(CTRL_Z)
            screen.wait_until_stopped()
            assert screen.attributes == before
            screen.forget()
            screen.send_signal(signal.SIGCONT)
            screen.wait_for("> half a question")
            screen.type("!" + ENTER)
            screen.wait_for("Paris.")
            assert asked(server) == [("user", "half a question!")]


class TestResuming:
    @pytest.fixture
    def server(self, program):
        with serving_in_thread(PARIS, MADRID, Answer(event_stream("Rome."))) as server:
            program.run("-s", "trip", "Capital of France?", server=server)
            program.run("-s", "trip", "And of Spain?", server=server)
            yield server

    @pytest.mark.parametrize("options", [("-s", "trip"), ("-c",)])
    def test_shows_the_title_how_much_came_before_and_the_last_exchange(self, terminal, server, options):
        with terminal(*options, server=server) as screen:
            shown = screen.wait_for("> And of Spain?\n\nMadrid.\n\n>")
            assert "resuming: Capital of France?, 1 earlier turn" in shown
            assert "> Capital of France?" not in shown
            screen.type("And of Italy?" + ENTER)
            screen.wait_for("Rome.")
            assert [text for _, text in asked(server)][-2:] == ["Madrid.", "And of Italy?"]

    def test_goes_to_another_conversation_and_says_how_to_resume_that(self, terminal, server):
        with terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/session trip" + ENTER)
            screen.wait_for("> And of Spain?\n\nMadrid.\n\n>")
            screen.type("And of Italy?" + ENTER)
            screen.wait_for("Rome.\n\n>")
            screen.type(CTRL_D)
            screen.wait_for_exit()
        assert screen.shown.endswith("resume with: chatcli -s trip")


class TestTheFirstStart:
    def test_asks_for_a_way_to_a_model_checks_the_key_and_keeps_it_private(self, program, terminal):
        offered = Answer(
            [b'{"data": [{"id": "small", "context_length": 4096}]}'],
            200,
            {"content-type": "application/json"},
        )
        with serving_in_thread(offered, offered, PARIS) as server, terminal() as screen:
            screen.wait_for("No model is set up yet.")
            screen.wait_for("Which one?")
            screen.type("2" + ENTER)
            screen.wait_for("Address")
            screen.type(server.base_url + ENTER)
            screen.wait_for("Key for")
            screen.type("sk-secret-1234567890" + ENTER)
            screen.wait_for("the key works")
            screen.wait_for("from now on (base_url in")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.")
            assert server.requests[-1].headers["authorization"] == "Bearer sk-secret-1234567890"
        assert b"sk-secret" not in screen.received
        assert (program.config_folder / "keys.json").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("leaving", [CTRL_D, "/exit" + ENTER])
    def test_help_and_leaving_work_there_as_the_header_says(self, terminal, leaving):
        with terminal() as screen:
            screen.wait_for("Which one?")
            screen.type("localhost:1" + ENTER)
            screen.wait_for("empty for none:")
            screen.type(ENTER)
            screen.wait_for("nothing is listening on port 1")
            screen.type("/help" + ENTER)
            screen.wait_for("/help COMMAND explains one")
            screen.wait_for("Which one? [1-")
            screen.type(leaving)
            assert screen.wait_for_exit() == 0
            assert screen.shown.endswith("bye")

    def test_turned_down_it_is_there_all_the_same(self, terminal):
        with terminal() as screen:
            screen.wait_for("Which one?")
            screen.type(CTRL_C)
            screen.wait_for("/login brings this menu back")
            screen.type("Hi" + ENTER)
            screen.wait_for("error: no model is set up")
            screen.wait_for("not sent: Hi")


@pytest.mark.parametrize("columns", [10, 40, 300])
def test_any_width_will_do(terminal, columns):
    with serving_in_thread(PARIS) as server, terminal(server=server, columns=columns) as screen:
        screen.wait_for(READY)
        screen.type("Capital?" + ENTER)
        screen.wait_for("Paris.")
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
