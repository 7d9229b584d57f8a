"""The filters of the guide, in Vim and Emacs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

from e2e.program import asked
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program is a script for sh")

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "editors.md"
NEW = Answer(event_stream("Here:\n\n```python\nx: int = 1\ny: int = 2\n```\n"))
REFUSED = json_answer({"error": {"message": "bad key", "code": "invalid_api_key"}}, status=401)
OLD_TEXT, NEW_TEXT = "first\nx = 1\nlast\n", "first\nx: int = 1\ny: int = 2\nlast\n"
QUESTION = "Add 'type' hints, $HOME"


def block(language):
    """Return the first block of code of the guide in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def edit(program, tmp_path):
    """Return a function that runs an editor on a text, and returns the text and what the editor said."""
    binary = tmp_path / "bin" / "chatcli"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {quote(sys.executable)} -m chatcli "$@"\n')
    binary.chmod(0o755)
    file = program.working_folder / "file.txt"
    file.write_text(OLD_TEXT)

    def edited(server, *line):
        path = f"{binary.parent}:{os.environ['PATH']}"
        environment = program.environment(server, PATH=path, LC_ALL="C.UTF-8", CHATCLI_RETRIES="0")
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
            cwd=program.working_folder,
        )
        return file.read_text(), done.stdout + done.stderr

    return edited


def in_vim(*commands):
    steps = [part for each in (*commands, "wq!") for part in ("-c", each)]
    return ("vim", "-es", "-N", "-u", "NONE", "-i", "NONE", "file.txt", *steps)


@pytest.mark.skipif(shutil.which("vim") is None, reason="needs vim")
def test_vim_filters_lines(edit, program):
    with serving_in_thread(NEW) as server:
        filter_line = next(
            line for line in GUIDE.read_text("utf-8").splitlines() if line.startswith(":'<,'>!")
        )
        text, _ = edit(server, *in_vim(filter_line.replace(":'<,'>", "2,2")))
        assert text == NEW_TEXT
        _, question = asked(server)[-1]
        assert "Add type hints" in question
        assert "\nx = 1\n" in question
    assert program.session_paths == []


@pytest.mark.skipif(shutil.which("vim") is None, reason="needs vim")
def test_the_command_for_vim_replaces_lines_and_leaves_them_after_an_error(edit, tmp_path):
    script = tmp_path / "chatcli.vim"
    script.write_text(block("vim"))
    command = f"2,2Chatcli {QUESTION}"
    with serving_in_thread(REFUSED, NEW) as server:
        text, said = edit(server, *in_vim(f"source {script}", "set verbose=1", command))
        assert text == OLD_TEXT
        assert "chatcli: error: " in said
        text, _ = edit(server, *in_vim(f"source {script}", command))
        assert text == NEW_TEXT
        assert asked(server)[-1][1].startswith(QUESTION)


@pytest.mark.skipif(shutil.which("emacs") is None, reason="needs emacs")
def test_the_function_for_emacs_replaces_the_region_and_leaves_it_after_an_error(edit, tmp_path):
    script = tmp_path / "chatcli.el"
    script.write_text(block("elisp"))
    call = f'(chatcli-region 7 13 "{QUESTION}")'
    line = ("emacs", "--batch", "-Q", "-l", script, "file.txt", "--eval", f"(progn {call} (save-buffer))")
    with serving_in_thread(REFUSED, NEW) as server:
        text, said = edit(server, *line)
        assert text == OLD_TEXT
        assert "chatcli: error: " in said
        assert edit(server, *line)[0] == NEW_TEXT
        assert asked(server)[-1][1].startswith(QUESTION)
