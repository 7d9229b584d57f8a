"""Going back and across in a terminal, and copying out of it."""

from __future__ import annotations

import base64
import sys
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import asked, messages_of
from e2e.pseudo_terminal import CTRL_C, CTRL_D
from scripted_server import Answer, event_stream, serving_in_thread

PARIS = Answer(event_stream("Par", "is."))
MADRID = Answer(event_stream("Madrid."))
ROME = Answer(event_stream("Rome."))
CODE = Answer(event_stream("Like so:\n\n```python\nprint('你好')\n```\n\nor\n\n```sh\nls\n```\n"))
ENTER, ESCAPE = "\r", "\x1b"
READY = "\n>"


@pytest.fixture
def terminal(terminal):
    @contextmanager
    def start(*arguments, **how):
        with terminal(*arguments, **how) as screen:
            screen.wait_for(READY)
            yield screen

    return start


def ask(screen, question, answer):
    screen.type(question + ENTER)
    screen.wait_for(f"> {question}\n\n{answer}\n\n>")


def wait_until_gone(screen, text):
    while text in screen.shown:
        screen.settle()


class TestEditing:
    def test_an_earlier_question_is_edited_as_a_branch_and_flipped_back(self, program, terminal):
        with (
            serving_in_thread(PARIS, MADRID, ROME) as server,
            terminal("-s", "trip", server=server) as screen,
        ):
            ask(screen, "France?", "Paris.")
            ask(screen, "Spain?", "Madrid.")
            screen.type(ESCAPE + ESCAPE)
            screen.wait_for("> Spain?\nediting question 2")
            screen.type("\x01" + "\x0b" + "Italy?" + ENTER)
            screen.wait_for("> Italy?\n\nRome.\n\n>")
            assert asked(server) == [("user", "France?"), ("assistant", "Paris."), ("user", "Italy?")]
            screen.type("/alt" + ENTER)
            shown = screen.wait_for("answer 1 of 2 to question 2")
            screen.wait_for("Madrid.\n\n>")
            assert "editing" not in shown.splitlines()[-1]
            screen.type("/alt" + ENTER)
            screen.wait_for("answer 2 of 2 to question 2")
            screen.type("/tree" + ENTER)
            tree = screen.wait_for("← here")
            assert "├─○ Spain? → Madrid." in tree
            assert "● ← here Italy? → Rome." in tree
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        assert [text for _, text in program.saved][2:] == ["Spain?", "Madrid.", "Italy?", "Rome."]

    def test_each_time_goes_one_further_back_and_ctrl_c_leaves_it_all_as_it_was(self, terminal):
        with serving_in_thread(PARIS, MADRID, ROME) as server, terminal(server=server) as screen:
            ask(screen, "France?", "Paris.")
            ask(screen, "Spain?", "Madrid.")
            screen.type(ESCAPE + ESCAPE)
            screen.wait_for("editing question 2")
            screen.type(ESCAPE + ESCAPE)
            screen.wait_for("> France?\nediting question 1")
            screen.type(CTRL_C)
            wait_until_gone(screen, "editing")
            ask(screen, "Italy?", "Rome.")
            assert [text for _, text in asked(server)] == ["France?", "Paris.", "Spain?", "Madrid.", "Italy?"]

    def test_fits_a_small_terminal(self, terminal):
        with (
            serving_in_thread(PARIS, MADRID) as server,
            terminal(server=server, columns=40, lines=12) as screen,
        ):
            ask(screen, "France?", "Paris.")
            screen.type(ESCAPE + ESCAPE)
            screen.wait_for("> France?\nediting question 1 · ")
            screen.type(" Quick!" + ENTER)
            screen.wait_for("> France? Quick!\n\nMadrid.\n\n>")
            screen.type("/tree" + ENTER)
            shown = screen.wait_for("← here")
            assert all(len(line) <= 40 for line in shown.splitlines())

    def test_another_model_answers_once(self, terminal):
        with serving_in_thread(PARIS, MADRID) as server, terminal(server=server) as screen:
            ask(screen, "France?", "Paris.")
            screen.type("/retry large" + ENTER)
            screen.wait_for("Madrid.\n\n>")
            assert server.requests[-1].json["model"] == "large"

    def test_an_aside_leaves_no_trace(self, program, terminal):
        with serving_in_thread(PARIS, MADRID) as server, terminal("-s", "trip", server=server) as screen:
            ask(screen, "France?", "Paris.")
            screen.type("/btw And Spain?" + ENTER)
            screen.wait_for("Madrid.\n")
            screen.wait_for("aside: not saved")
            screen.type(CTRL_D)
            screen.wait_for_exit()
        assert [text for _, text in program.saved] == ["France?", "Paris."]


class TestCopying:
    def test_over_ssh_the_terminal_is_asked_to_take_it(self, terminal):
        with serving_in_thread(CODE) as server, terminal(server=server, SSH_TTY="/dev/pts/9") as screen:
            screen.type("How?" + ENTER)
            screen.wait_for("── 2 · sh ──")
            screen.type("/copy 1" + ENTER)
            screen.wait_for("copied code block 1 (1 line) to the terminal's clipboard")
            _, _, sequence = screen.received.rpartition(b"\x1b]52;c;")
            assert base64.b64decode(sequence.partition(b"\x07")[0]).decode() == "print('你好')\n"
            screen.type("/copy" + ENTER)
            screen.wait_for("copied the answer (11 lines) to the terminal's clipboard")

    def test_a_block_is_written_to_a_file(self, program, terminal):
        with serving_in_thread(CODE) as server, terminal(server=server) as screen:
            screen.type("How?" + ENTER)
            screen.wait_for("── 2 · sh ──")
            screen.type("/save 2 count.sh" + ENTER)
            screen.wait_for("code block 2 saved to count.sh")
        assert (program.working_folder / "count.sh").read_text() == "ls\n"

    def test_the_last_answer_is_read_in_the_pager_and_the_screen_comes_back(self, program, terminal):
        pager = program.working_folder / "pager"
        pager.write_text('#!/bin/sh\necho "[paging]"; /bin/cat > read; read -r key < /dev/tty\n')
        pager.chmod(0o755)
        with serving_in_thread(CODE, PARIS) as server, terminal(server=server, PAGER=str(pager)) as screen:
            screen.type("How?" + ENTER)
            screen.wait_for("── 2 · sh ──")
            screen.type("/last" + ENTER)
            screen.wait_for("[paging]")
            screen.forget()
            screen.type("q\n")
            screen.wait_for(READY)
            ask(screen, "France?", "Paris.")
        read = (program.working_folder / "read").read_text()
        assert "Like so:" in read
        assert "print" in read

    def test_without_a_pager_that_is_reported(self, terminal):
        with serving_in_thread(CODE) as server, terminal(server=server, PAGER="no-such-pager") as screen:
            screen.type("How?" + ENTER)
            screen.wait_for("── 2 · sh ──")
            screen.type("/last" + ENTER)
            screen.wait_for("error: there is no pager no-such-pager")


def test_a_fork_is_a_session_of_its_own(program, terminal):
    with serving_in_thread(PARIS, MADRID) as server, terminal("-s", "trip", server=server) as screen:
        ask(screen, "France?", "Paris.")
        screen.type("/fork other" + ENTER)
        screen.wait_for("now in other, a copy; trip is unchanged")
        ask(screen, "Spain?", "Madrid.")
    first, second = program.session_paths
    assert (first.stem, second.stem) == ("other", "trip")
    assert [text for _, text in messages_of(first)] == ["France?", "Paris.", "Spain?", "Madrid."]
    assert [text for _, text in messages_of(second)] == ["France?", "Paris."]
