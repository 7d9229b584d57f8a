"""Choosing a session in a terminal: ``--resume`` and ``/sessions``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import asked, command, messages_of, records_of
from e2e.pseudo_terminal import CTRL_C, CTRL_D
from e2e.tmux_terminal import TMUX, on_tmux
from scripted_server import Answer, event_stream, serving_in_thread

PARIS = Answer(event_stream("Paris."))

ENTER, ESCAPE, TAB, CTRL_R, CTRL_U, DOWN = "\r", "\x1b", "\t", "\x12", "\x15", "\x1b[B"
READY = "\n>"
LISTED = "2 sessions in this folder"
"""The list is complete: what is typed before may be searched for in all folders."""


@pytest.fixture
def library(program):
    """Four sessions: two of the folder the tests run in, one of another, one of nobody knows where."""
    here = str(program.working_folder)
    keep(program, "trip", "Plan a trip to Lisbon", "Day 1: Alfama, and the river.", folder=here, hours=1)
    keep(program, "weather", "北京今天的天气怎么样？", "今天晴，适合散步。", folder=here, hours=3)
    keep(program, "rust", "Rust lifetimes", "The borrow outlives its owner.", folder="/elsewhere", hours=30)
    keep(program, "ramen", "東京のラーメン", "一蘭があります。", folder=None, hours=24 * 40)
    return program


def keep(program, name, question, answer, *, folder, hours):
    """Write a session file, last used so many ``hours`` ago."""
    at = "2026-11-23T21:05:07.123Z"
    parts = {"user": (question, "person"), "assistant": (answer, "model")}
    records = [
        {
            "type": "header",
            "format": 1,
            "id": "h",
            "at": at,
            "app": "t",
            **({"folder": folder} if folder else {}),
        }
    ]
    for parent, (role, (text, origin)) in zip((None, "user"), parts.items(), strict=True):
        part = {"type": "text", "text": text, "origin": origin}
        message = {"role": role, "parts": [part]}
        record = {"type": "message", "id": role, "parent": parent, "at": at, "message": message}
        records.append(record | ({"finish_reason": "stop"} if role == "assistant" else {}))
    path = program.data_folder / "sessions" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    used_s = time.time() - hours * 3600
    os.utime(path, (used_s, used_s))


def marks_of(program, name):
    records = records_of(program.data_folder / "sessions" / f"{name}.jsonl")
    return [(record["kind"], record["value"]) for record in records if record["type"] == "mark"]


class TestResuming:
    def test_the_chosen_session_is_gone_on_with(self, library, terminal):
        with serving_in_thread(PARIS) as server, terminal("--resume", server=server) as screen:
            shown = screen.wait_for("2 sessions in this folder")
            assert "❯ Plan a trip to Lisbon" in shown
            assert "Day 1: Alfama, and the river." in shown
            screen.type(DOWN)
            screen.wait_for("❯ 北京今天的天气怎么样？")
            screen.type(ENTER)
            screen.wait_for("resuming: 北京今天的天气怎么样？")
            screen.wait_for("今天晴，适合散步。\n\n>")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
            assert asked(server)[-1] == ("user", "Capital of France?")
        assert screen.shown.endswith("resume with: chatcli -s weather")
        kept = messages_of(library.data_folder / "sessions" / "weather.jsonl")
        assert kept[-2:] == [("user", "Capital of France?"), ("assistant", "Paris.")]
        assert len(library.session_paths) == 4

    @pytest.mark.parametrize(
        ("words", "title"), [("alfa", "Plan a trip"), ("散步", "北京今天的天气怎么样？")]
    )
    def test_what_is_typed_is_found_in_every_message(self, library, terminal, words, title):
        with serving_in_thread(PARIS) as server, terminal("--resume", server=server) as screen:
            screen.wait_for(LISTED)
            for key in words:
                screen.type(key)
            screen.wait_for("1 of 2 in this folder")
            screen.type(ENTER)
            screen.wait_for(f"resuming: {title}")

    def test_enter_waits_for_what_was_typed_before_it(self, library, terminal):
        with serving_in_thread(PARIS) as server, terminal("--resume", server=server) as screen:
            screen.wait_for(LISTED)
            screen.type("散步" + ENTER)
            screen.wait_for("resuming: 北京今天的天气怎么样？")

    def test_tab_shows_all_folders_and_this_one_again(self, library, terminal):
        with terminal("--resume") as screen:
            screen.wait_for("2 sessions in this folder")
            screen.type("borrow")
            screen.wait_for("nothing in this folder, but 1 in other folders: Tab shows it")
            screen.type(TAB)
            screen.wait_for("1 of 4")
            screen.wait_for("❯ Rust lifetimes")
            screen.type(TAB)
            screen.wait_for("nothing in this folder")

    def test_all_begins_with_all_folders(self, library, terminal):
        with terminal("--resume", "--all") as screen:
            shown = screen.wait_for("4 sessions\n")
            for title in ("Plan a trip", "北京今天", "Rust lifetimes", "東京のラーメン"):
                assert title in shown
            assert re.search("yesterday|2 days ago", shown)  # by the hour of the day

    def test_a_folder_without_sessions_begins_with_all(self, library, terminal):
        for path in library.session_paths:
            path.write_text(path.read_text().replace(str(library.working_folder), "/gone"))
        with terminal("--resume") as screen:
            screen.wait_for("4 sessions\n")

    @pytest.mark.parametrize("keys", [ESCAPE, CTRL_C])
    def test_nothing_chosen_leaves_the_terminal_and_the_sessions_as_they_were(self, library, terminal, keys):
        with terminal("--resume") as screen:
            before = screen.attributes_before
            screen.wait_for(LISTED)
            screen.type(keys)
            assert screen.wait_for_exit() == 0
            assert screen.attributes == before
        assert screen.shown == ""
        assert len(library.session_paths) == 4

    def test_escape_clears_the_words_first(self, library, terminal):
        with terminal("--resume") as screen:
            screen.wait_for(LISTED)
            screen.type("borrow")
            screen.wait_for("nothing in this folder")
            screen.type(ESCAPE)
            screen.wait_for("2 sessions in this folder")
            screen.type(ESCAPE)
            assert screen.wait_for_exit() == 0

    def test_a_signal_restores_the_terminal(self, library, terminal):
        with terminal("--resume") as screen:
            before = screen.attributes_before
            screen.wait_for(LISTED)
            screen.send_signal(signal.SIGTERM)
            assert screen.wait_for_exit() == 143
            assert screen.attributes == before
        assert screen.received.rstrip().endswith(b"\x1b[?2026l") or b"\x1b[?25h" in screen.received
        assert screen.shown == ""

    def test_a_small_terminal_shows_title_and_age_and_more_of_the_marked_one(self, library, terminal):
        with terminal("--resume", "--all", columns=40, lines=12) as screen:
            shown = screen.wait_for("4 sessions\n")
            assert (
                "❯ Plan a trip to Lisbon         1 h ago\n  1 turn · trip · Day 1: Alfama, and t…\n" in shown
            )
            assert "\n  東京のラーメン" in shown
            screen.type(DOWN)
            screen.wait_for("  1 turn · weather · 今天晴，适合散步。")
            screen.type(ENTER)
            screen.wait_until_received("resuming: 北京今天")  # the list of ways in may push it off the screen

    def test_line_by_line_a_number_chooses(self, library, terminal):
        with serving_in_thread(PARIS) as server, terminal("--resume", "--plain", server=server) as screen:
            screen.wait_for("Which one? [1-2, or words to search for]")
            screen.type("borrow\n")
            screen.wait_for("Other words to search for:")
            screen.type("all\n")
            screen.wait_for("Which one? [1, or words to search for]")
            screen.type("7\n")
            screen.wait_for("There is no session 7 in this list; type 1, ")
            screen.type("1\n")
            screen.wait_for("Assistant: The borrow outlives its owner.\nEnd of answer.\nYou:")
            screen.type("exit\n")
            assert screen.wait_for_exit() == 0
        assert b"\x1b" not in screen.received


class TestRefusing:
    def test_without_a_terminal_there_is_nobody_to_choose(self, library):
        done = library.run("--resume")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "→ use -c for the session used last, or -s NAME" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--resume", "Capital of France?"], "→ to ask one question in a session, use -s NAME or -c"),
            (["--resume", "-c"], "--continue and --resume cannot be combined"),
            (["--resume", "-s", "trip"], "--session and --resume cannot be combined"),
            (["--all"], "→ chatcli --resume --all"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, library, terminal, arguments, message):
        with terminal(*arguments) as screen:
            assert screen.wait_for_exit() == 2
        assert message in screen.shown

    def test_no_sessions_at_all_is_reported(self, terminal):
        with terminal("--resume") as screen:
            assert screen.wait_for_exit() == 3
        assert "there are no sessions yet" in screen.shown


class TestKeeping:
    def test_a_session_is_deleted_after_a_yes(self, library, terminal):
        with terminal("--resume") as screen:
            screen.wait_for("2 sessions in this folder")
            screen.type(CTRL_D)
            screen.wait_for("delete permanently? y/n")
            screen.type("n")
            screen.wait_for(LISTED)
            assert len(library.session_paths) == 4
            screen.type(CTRL_D)
            screen.wait_for("delete permanently? y/n")
            screen.type("y")
            screen.wait_for("1 session in this folder")
            assert "❯ 北京今天" in screen.shown
            screen.type(ESCAPE)
            assert screen.wait_for_exit() == 0
        assert sorted(path.stem for path in library.session_paths) == ["ramen", "rust", "weather"]

    def test_a_session_is_renamed_in_place(self, library, terminal):
        with terminal("--resume") as screen:
            screen.wait_for("2 sessions in this folder")
            screen.type(CTRL_R)
            screen.wait_for("Enter saves the title")
            screen.type(CTRL_U + "里斯本 in May" + ENTER)
            screen.wait_for("❯ 里斯本 in May ")
            screen.type(CTRL_R)
            screen.wait_for("Enter saves the title")
            screen.type(" or June" + ESCAPE)
            screen.wait_for(LISTED)
            screen.wait_for("❯ 里斯本 in May ")
            screen.type(ESCAPE)
            assert screen.wait_for_exit() == 0
        assert marks_of(library, "trip") == [("title", "里斯本 in May")]


class TestInAConversation:
    def test_another_session_is_gone_on_with(self, library, terminal):
        with serving_in_thread(PARIS) as server, terminal("-s", "new", server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type("/sessions" + ENTER)
            screen.wait_for("❯ Capital of France? (current)")
            screen.type(CTRL_D)
            screen.wait_for("cannot be deleted here")
            screen.type(CTRL_R)
            screen.wait_for("Enter saves the title")
            screen.type(CTRL_U + "Capitals" + ENTER)
            screen.wait_for("❯ Capitals (current)")
            screen.type("lisbon")
            screen.wait_for("1 of 3 in this folder")
            screen.type(ENTER)
            screen.wait_for("resuming: Plan a trip to Lisbon")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        assert screen.shown.endswith("resume with: chatcli -s trip")
        assert marks_of(library, "new") == [("model", "small"), ("title", "Capitals")]

    def test_words_are_searched_for_at_once_and_ctrl_c_closes_only_the_list(self, library, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/sessions 散步" + ENTER)
            screen.wait_for("1 of 2 in this folder")
            screen.type(CTRL_C)
            assert "> /sessions 散步\n" in screen.wait_for("\n>\nsmall")
            screen.type("Capital of France?" + ENTER)
            screen.wait_for("Paris.\n\n>")


@pytest.fixture
def socket():
    # A socket's path may only be about a hundred characters long, which a test's own folder is already.
    folder = Path(tempfile.mkdtemp())
    yield folder / "tmux"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(TMUX is None, reason="needs tmux")
def test_resizing_leaves_no_rows_of_the_picker_behind(library, socket):
    with (
        serving_in_thread(PARIS) as server,
        on_tmux(
            command(),
            columns=80,
            environment=library.environment(server),
            folder=library.working_folder,
            socket=socket,
        ) as tmux,
    ):
        tmux.wait_for(READY)
        tmux.type("/sessions" + ENTER)
        tmux.wait_for(LISTED)
        for columns in (60, 40, 100):
            tmux.resize(columns)
            time.sleep(0.5)
        tmux.type("散步")
        tmux.wait_for("1 of 2 in this folder")
        # What a terminal wrapped into its scrollback before the program heard of it nobody can take back.
        assert tmux.run("capture-pane", "-p").count("search:") == 1
        tmux.type(ENTER)
        tmux.wait_for("今天晴，适合散步。\n\n>")
        shown = tmux.run("capture-pane", "-p")
        assert "Enter opens" not in shown
        assert "search:" not in shown
