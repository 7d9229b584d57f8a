"""Writing in the composer, as the person at the keyboard sees it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import asked, command, records_of
from e2e.pseudo_terminal import CTRL_C, CTRL_D, on_terminal
from scripted_server import HOLD, Answer, event_stream, serving_in_thread, text_events
from unframed import unframed_messages

PARIS = Answer(event_stream("Paris."))
MADRID = Answer(event_stream("Madrid."))
ROME = Answer(event_stream("Rome."))
HELD = Answer([*text_events("It is **Paris**.\n\n", "* unfinished"), HOLD])
SLOW = Answer([*text_events("It is "), 1.5, *event_stream("Paris.")])

ENTER, CTRL_J, TAB, BACKSPACE, ESCAPE, UP, DELETE = "\r", "\n", "\t", "\x7f", "\x1b", "\x1b[A", "\x1b[3~"
CTRL_S, UNDO, EXPAND, EDIT = "\x13", "\x1f", "\x18\x10", "\x18\x05"
READY = "\n>"
LINES = "\n".join(f"第 {number} 行: 你好，世界 👋🏽 👨‍👩‍👧 done" for number in range(200))
WIDE = {"CHATCLI_CONTEXT_WINDOW": "20000"}


@pytest.fixture
def terminal(program, terminal):
    @contextmanager
    def start(*arguments, config="", **how):
        (program.config_folder / "config.toml").write_text(config, encoding="utf-8")
        with terminal(*arguments, **how) as screen:
            yield screen

    return start


def pasted(text):
    return f"\x1b[200~{text}\x1b[201~"


def questions(server):
    """Return what the server was asked, without what came before."""
    posted = sum(request.method == "POST" for request in server.requests)
    return [unframed_messages(asked(server, number))[-1][1] for number in range(posted)]


def history_of(program):
    lines = (program.data_folder / "input-history.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


class TestTypingAhead:
    def test_what_is_sent_meanwhile_is_shown_and_sent_in_order(self, terminal):
        with serving_in_thread(SLOW, MADRID, ROME) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("It is")
            screen.type("Spain?" + ENTER)
            screen.type("Italy?" + ENTER)
            screen.wait_for("⏎ next: Spain?\n  then: Italy?\n>\nUp edits, Delete drops, Ctrl-S sends it now")
            screen.wait_for("> Spain?\n\nMadrid.\n\n> Italy?\n\nRome.\n\n>")
            assert questions(server) == ["France?", "Spain?", "Italy?"]
            assert "next:" not in screen.shown

    def test_it_can_be_changed_dropped_and_be_a_command(self, terminal):
        with serving_in_thread(SLOW, MADRID) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("It is")
            screen.type("Spai?" + ENTER)
            screen.type("nonsense" + ENTER)
            screen.wait_for("then: nonsense")
            screen.type(DELETE + UP)
            screen.wait_for("> Spai?")
            screen.type(BACKSPACE + "n?" + ENTER)
            screen.type("/verbose" + ENTER)
            screen.wait_for("⏎ next: Spain?\n  then: /verbose")
            screen.wait_for("> Spain?\n\nMadrid.\n\n> /verbose")
            screen.wait_for("after each answer: on")
            assert questions(server) == ["France?", "Spain?"]

    def test_after_ctrl_c_it_waits_for_enter(self, terminal):
        with serving_in_thread(HELD, MADRID, ROME) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("unfinished")
            screen.type("Spain?" + ENTER)
            screen.type("Italy?" + ENTER)
            screen.wait_for("then: Italy?")
            screen.type(CTRL_C)
            screen.wait_for(
                "stopped; the partial answer is kept (/continue)\n\n⏎ not sent: Spain?\n      then: Italy?\n>"
            )
            screen.wait_for("Enter sends the next one, Up edits, Delete drops")
            screen.settle()
            assert questions(server) == ["France?"]
            screen.type(ENTER)
            screen.wait_for("Madrid.\n\n> Italy?\n\nRome.")
            assert questions(server) == ["France?", "Spain?", "Italy?"]

    def test_after_a_failure_it_waits_for_enter(self, terminal):
        broken = Answer([*text_events("It is "), 1.0, b'data: {"error": {"message": "overloaded"}}\n\n'])
        options = {"CHATCLI_RETRIES": "0"}
        with serving_in_thread(broken, MADRID) as server, terminal(server=server, **options) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("It is")
            screen.type("Spain?" + ENTER)
            screen.wait_for("error: ")
            screen.wait_for("⏎ not sent: Spain?")
            screen.settle()
            assert questions(server) == ["France?"]
            screen.type(ENTER)
            screen.wait_for("> Spain?\n\nMadrid.")

    def test_ctrl_s_stops_the_answer_and_sends_at_once(self, program, terminal):
        with serving_in_thread(HELD, MADRID) as server, terminal("-s", "trip", server=server) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("unfinished")
            screen.type("Spain?" + CTRL_S)
            screen.wait_for("stopped; the partial answer is kept (/continue)\n\n> Spain?\n\nMadrid.\n\n>")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        (path,) = program.session_paths
        reasons = [record.get("finish_reason") for record in records_of(path) if record["type"] == "message"]
        assert reasons == [None, "interrupted", None, "stop"]

    def test_leaving_puts_it_into_the_history(self, program, terminal):
        with serving_in_thread(HELD) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("unfinished")
            screen.type("Spain?" + ENTER)
            screen.wait_for("next: Spain?")
            screen.type(CTRL_D)
            screen.wait_for("Ctrl-D again stops this and leaves")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        assert history_of(program) == ["France?", "Spain?"]

    def test_a_narrow_screen_has_room_for_it(self, terminal):
        with serving_in_thread(HELD) as server, terminal(server=server, columns=40) as screen:
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("unfinished")
            screen.type("a question that is longer than the screen is wide" + CTRL_J + "and a line" + ENTER)
            screen.type("another" + ENTER)
            screen.wait_for(
                "⏎ next: a question that is l… (2 lines)\n  then: another\n>\nUp edits, Delete drops"
            )


class TestPasting:
    def test_a_paste_of_200_lines_is_folded_and_sent_whole_exactly_once(self, program, terminal):
        with serving_in_thread(PARIS) as server, terminal("-s", "trip", server=server, **WIDE) as screen:
            screen.wait_for(READY)
            screen.type("see " + pasted(LINES.replace("\n", "\r")))
            screen.wait_for("> see [pasted 200 lines]\nCtrl-X Ctrl-P unfolds it, Ctrl-X Ctrl-E edits it")
            assert not server.requests
            screen.type(" please" + ENTER)
            screen.wait_for("> see [pasted 200 lines] please\n\nParis.\n\n>")
            assert asked(server) == [("user", f"see {LINES} please")]
        assert program.saved[0] == ("user", f"see {LINES} please")
        assert history_of(program) == [f"see {LINES} please"]

    def test_it_is_deleted_at_once_and_shown_whole(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server, **WIDE) as screen:
            screen.wait_for(READY)
            screen.type("a" + pasted(LINES) + pasted(LINES))
            screen.wait_for("> a[pasted 200 lines][pasted 200 lines #2]")
            screen.type(BACKSPACE)
            screen.wait_for("> a[pasted 200 lines]\n")
            screen.type(EXPAND)
            screen.wait_for("第 199 行")
            screen.type(ENTER)
            screen.wait_for("Paris.")
            assert asked(server) == [("user", "a" + LINES)]

    def test_the_history_gives_it_back_whole(self, terminal):
        with serving_in_thread(PARIS, PARIS) as server, terminal(server=server, **WIDE) as screen:
            screen.wait_for(READY)
            screen.type(pasted(LINES) + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type("/clear" + ENTER)
            screen.wait_for("> /clear")
            screen.type(UP + UP)
            screen.wait_for("> [pasted 200 lines]\nsmall")
            screen.type(ENTER)
            screen.wait_for("Paris.\n\n>\nsmall")
            assert questions(server) == [LINES, LINES]

    def test_megabytes_are_one_paste(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type(pasted("世界 x\r" * 500_000))
            screen.wait_for("[pasted 500,000 lines]")
            screen.type(" and more")
            screen.wait_for("[pasted 500,000 lines] and more")


class TestAttaching:
    def test_a_file_that_is_mentioned_goes_with_the_question(self, program, terminal):
        (program.working_folder / "my notes.md").write_bytes("brücke\n".encode("latin-1"))
        (program.working_folder / "plan.txt").write_text("see it", encoding="utf-8")
        with serving_in_thread(PARIS) as server, terminal("-s", "trip", server=server) as screen:
            screen.wait_for(READY)
            screen.type('Compare @"my notes.md" and @plan.txt, me@example.org @nobody')
            screen.wait_for("attached: my notes.md 7 B, plan.txt 6 B\n> Compare")
            screen.type(ENTER)
            screen.wait_for("\n  attached: my notes.md 7 B, plan.txt 6 B\n\nmy notes.md is not UTF-8")
            screen.wait_for("1 Western European (Windows-1252)  brücke\n")
            screen.wait_for("Which one reads right?")
            screen.type(ENTER)
            screen.wait_for("Paris.")
        (path,) = program.session_paths
        parts = next(r for r in records_of(path) if r["type"] == "message")["message"]["parts"]
        assert [(part["origin"], part["text"]) for part in parts] == [
            ("person", 'Compare @"my notes.md" and @plan.txt, me@example.org @nobody'),
            ("document", '<document name="my notes.md">\nbrücke\n</document>'),
            ("document", '<document name="plan.txt">\nsee it</document>'),
        ]

    def test_slash_file_attaches_lists_and_takes_away(self, program, terminal):
        for name in ("one.txt", "two.txt"):
            (program.working_folder / name).write_text(name, encoding="utf-8")
        with serving_in_thread(PARIS, MADRID) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/file one.txt two.txt" + ENTER)
            screen.wait_for("attached: one.txt 7 B, two.txt 7 B\n>")
            screen.type("/file -one.txt" + ENTER)
            screen.wait_for("attached: two.txt 7 B\n>")
            screen.type("/file" + ENTER)
            screen.wait_for("two.txt  7 B\nsent with the next question")
            screen.type("Hi" + ENTER)
            screen.wait_for("Paris.")
            screen.type("And?" + ENTER)
            screen.wait_for("Madrid.")
            assert questions(server) == ['Hi\n\n<document name="two.txt">\ntwo.txt</document>', "And?"]

    @pytest.mark.parametrize("attach_by", ["/file", "@"])
    def test_what_is_no_text_is_refused_and_the_question_comes_back(self, program, terminal, attach_by):
        (program.working_folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/file photo.png" + ENTER if attach_by == "/file" else "What is @photo.png?" + ENTER)
            screen.wait_for("error: photo.png is not text: it looks like a PNG image")
            if attach_by == "@":
                screen.wait_for("\n> What is @photo.png?")
            assert not [request for request in server.requests if request.method == "POST"]

    def test_a_dropped_file_is_offered_and_undo_keeps_it_as_text(self, program, terminal):
        path = program.working_folder / "it's mine.txt"
        path.write_text("mine", encoding="utf-8")
        dropped = "'" + str(path).replace("'", "'\\''") + "' "
        with serving_in_thread(PARIS) as server, terminal(server=server, columns=200) as screen:
            screen.wait_for(READY)
            screen.type("What is " + pasted(dropped))
            screen.wait_for(f'> What is @"{path}"\nattached; Ctrl-_ turns it back into text')
            assert "attached: it's mine.txt 4 B" in screen.shown
            screen.type(UNDO)
            screen.wait_for(f"> What is {dropped.strip()}")
            assert "attached" not in screen.shown
            screen.type(CTRL_C + pasted(path.as_uri()))
            screen.wait_for(f'> @"{path}"')
            screen.type("?" + ENTER)
            screen.wait_for("Paris.")
            assert "mine</document>" in questions(server)[0]

    def test_paths_are_completed_behind_an_at_and_with_tab(self, program, terminal):
        folder = program.working_folder / "my folder"
        folder.mkdir()
        (folder / "deep.txt").write_text("deep", encoding="utf-8")
        (program.working_folder / ".hidden").write_text("", encoding="utf-8")
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("See @")
            assert ".hidden" not in screen.wait_for("my folder/  folder")
            screen.type("fol" + TAB)
            screen.wait_for('> See @"my folder/')
            screen.type(TAB)
            screen.wait_for('> See @"my folder/deep.txt"')
            screen.type(CTRL_C + "/file .h")
            screen.settle()
            assert ".hidden " not in screen.shown
            screen.type(TAB)
            screen.wait_for("> /file .hidden")


class TestTheEditor:
    @pytest.fixture
    def editor(self, program):
        def make(script):
            path = program.working_folder / "editor"
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o700)
            return str(path)

        return make

    def test_the_text_is_edited_there_and_comes_back_unsent(self, terminal, editor):
        chosen = editor('cp "$1" seen; printf "and so on" >> "$1"; echo in the editor; sleep 0.5')
        with serving_in_thread(PARIS) as server, terminal(server=server, EDITOR=chosen, **WIDE) as screen:
            screen.wait_for(READY)
            screen.type("see " + pasted(LINES) + EDIT)
            screen.wait_for("in the editor")
            screen.wait_for("> see [pasted 200 lines]\n  and so on")
            assert not server.requests
            screen.type(ENTER)
            screen.wait_for("Paris.")
            assert asked(server) == [("user", f"see {LINES}\nand so on")]

    def test_an_answer_goes_on_meanwhile_and_is_shown_afterwards(self, terminal, editor):
        with (
            serving_in_thread(SLOW) as server,
            terminal(server=server, VISUAL=editor("echo in the editor; sleep 3")) as screen,
        ):
            screen.wait_for(READY)
            screen.type("France?" + ENTER)
            screen.wait_for("It is")
            screen.type("draft" + EDIT)
            screen.wait_for("in the editor")
            screen.wait_for("It is Paris.\n\n> draft")

    @pytest.mark.parametrize(
        ("chosen", "hint"),
        [("exit 3", "editor ended with 3"), (None, "there is no editor no-such-editor (EDITOR)")],
    )
    def test_an_editor_that_fails_leaves_the_text_as_it_was(self, terminal, editor, chosen, hint):
        program = editor(chosen) if chosen else "no-such-editor"
        with serving_in_thread(PARIS) as server, terminal(server=server, EDITOR=program) as screen:
            screen.wait_for(READY)
            screen.type("draft" + EDIT)
            screen.wait_for(hint)
            screen.wait_for("> draft\n")


class TestKeys:
    def test_are_understood_in_every_encoding_and_what_is_none_is_not_typed(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("one\x1b[13;2utwo\x1b[27;2;13~\x1bOq\x1bOr\x1bOk\x1b[I\x1b[O\x1b[<0;1;1M")
            screen.wait_for("> one\n  two\n  12+")
            screen.type("\x1b[99;5u")
            screen.wait_for("leaves\n\n>\n")
            screen.type("four\x1bOM")
            screen.wait_for("Paris.\n\n>")
            assert questions(server) == ["four"]

    def test_vi_keys_with_the_mode_shown(self, terminal):
        with serving_in_thread(PARIS) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("/config editing_mode vi" + ENTER)
            screen.wait_for("\ninsert · small")
            screen.type("hello wrld")
            screen.wait_for("> hello wrld")
            screen.type(ESCAPE)
            screen.wait_for("\nnormal · small")
            screen.type("hh")
            screen.type("io")
            screen.type(ENTER)
            screen.wait_for("\ninsert · small")
            screen.wait_for("Paris.")
            assert questions(server) == ["hello world"]

    def test_escape_twice_edits_an_earlier_question(self, terminal):
        with serving_in_thread(PARIS, MADRID) as server, terminal(server=server) as screen:
            screen.wait_for(READY)
            screen.type("Capital?" + ENTER)
            screen.wait_for("Paris.\n\n>")
            screen.type(ESCAPE + ESCAPE)
            screen.wait_for("\n> Capital?\nediting question 1")

    def test_keys_can_be_bound_anew_and_are_listed(self, terminal):
        keys = '[keys]\nsend = "ctrl-t"\nnew_line = ["enter"]\nleave = []\n'
        with serving_in_thread(PARIS) as server, terminal(server=server, config=keys) as screen:
            screen.wait_for(READY)
            screen.type(CTRL_D + "/keys\x14")
            screen.wait_for("[keys] in config.toml changes them")
            rows = [" ".join(row.split()) for row in screen.everything]
            assert "Ctrl-T send; while an answer streams, queue (changed)" in rows
            assert "no key leave, with an empty composer (changed)" in rows
            screen.type("one" + ENTER + "two\x14")
            screen.wait_for("Paris.")
            assert questions(server) == ["one\ntwo"]

    def test_a_bad_binding_is_reported_at_the_start(self, program):
        (program.config_folder / "config.toml").write_text('[keys]\nsend = "ctlr-s"\n', encoding="utf-8")
        ended = program.run("Hi")
        assert ended.exit_code == 3
        assert "config.toml keys send: there is no key 'ctlr-s'" in ended.stderr


class TestLineByLine:
    def test_files_are_attached_and_there_are_no_keys(self, program):
        (program.working_folder / "one.txt").write_text("one", encoding="utf-8")
        (program.working_folder / "two.txt").write_text("two", encoding="utf-8")
        with serving_in_thread(PARIS) as server:
            with on_terminal(
                command("--plain"),
                environment=program.environment(server),
                folder=program.working_folder,
            ) as screen:
                screen.wait_for("You:")
                screen.type("/keys\n")
                screen.wait_for("line by line the only keys are")
                screen.type("/file one.txt\n")
                screen.wait_for("Attached: one.txt 3 B.")
                screen.type("Compare @two.txt\n")
                screen.wait_for("Paris.")
            framed = [f'<document name="{name}.txt">\n{name}</document>' for name in ("one", "two")]
            assert questions(server) == ["\n\n".join(["Compare @two.txt", *framed])]
