"""Copying answers to the clipboard, and code blocks to files."""

from __future__ import annotations

import base64
import os
import sys

import pytest

from chatcli.repl.clipboard import osc_52
from repl.fakes import KeptFrontend
from repl.test_repl_session import start_repl  # noqa: F401 - the fixture
from scripted_server import Answer, event_stream, serving

ANSWER = "Two ways:\n\n```python\nprint('你好')\n```\n\nor\n\n```sh\nls\n```\n"
CODE = Answer(event_stream(ANSWER))


def copied(frontend):
    *_, sequence = frontend.sequences
    return base64.b64decode(sequence.removeprefix("\x1b]52;c;").removesuffix("\x07")).decode()


@pytest.fixture
def answered(start_repl, tmp_path):  # noqa: F811
    """Return a function that asks a question and then enters further lines."""

    async def say(*lines, environment=None, frontend=None):
        frontend = frontend or KeptFrontend()
        async with serving(CODE) as server:
            repl = start_repl(server, frontend=frontend, context_window=4096)
            repl.context.environment.update({"PATH": str(tmp_path / "bin"), **(environment or {})})
            await repl.take("How?")
            frontend.output.clear()
            for line in lines:
                await repl.take(line)
            await repl.connection.close()
        return frontend

    return say


@pytest.fixture
def program(tmp_path):
    """Return a function that installs a program which saves its input to a file, with an exit code."""
    if sys.platform == "win32":
        pytest.skip("a shell script")

    def install(name, code=0):
        kept = tmp_path / f"{name}.input"
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'#!/bin/sh\necho noise >&2\n/bin/cat > "{kept}"\necho "$@" > "{kept}.words"\nexit {code}\n'
        )
        path.chmod(0o755)
        return kept

    return install


async def test_the_answer_is_copied_as_its_markdown(answered):
    frontend = await answered("/copy")
    assert copied(frontend) == ANSWER
    assert "copied the answer (11 lines) to the terminal's clipboard" in frontend.text


async def test_a_block_is_copied_by_its_number(answered):
    frontend = await answered("/copy 1")
    assert copied(frontend) == "print('你好')\n"
    assert "copied code block 1 (1 line) to the terminal's clipboard" in frontend.text


async def test_a_block_there_is_not_is_reported_with_those_there_are(answered):
    frontend = await answered("/copy 3")
    assert "no code block 3" in frontend.text
    assert "from 1 to 2" in frontend.text
    assert not frontend.sequences


async def test_the_systems_clipboard_comes_first(answered, program):
    kept = program("xclip")
    frontend = await answered("/copy 2", environment={"DISPLAY": ":0"})
    assert kept.read_text() == "ls\n"
    assert "(1 line) to the clipboard" in frontend.text
    assert not frontend.sequences


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":0", "SSH_TTY": "/dev/pts/1"}])
async def test_xclip_is_not_used_without_a_display_or_over_ssh(answered, program, environment):
    program("xclip")
    frontend = await answered("/copy 2", environment=environment)
    assert copied(frontend) == "ls\n"


async def test_a_failing_clipboard_program_is_skipped(answered, program):
    program("xclip", code=1)
    frontend = await answered("/copy 2", environment={"DISPLAY": ":0"})
    assert copied(frontend) == "ls\n"


async def test_tmux_is_asked_as_it_hands_on_only_what_it_was_given(answered, program):
    kept = program("tmux")
    frontend = await answered("/copy 2", environment={"TMUX": "/tmp/tmux,1,0", "SSH_TTY": "/dev/pts/1"})
    assert kept.read_text() == "ls\n"
    assert "load-buffer -w -" in (kept.parent / "tmux.input.words").read_text()
    assert not frontend.sequences


async def test_where_there_is_no_clipboard_that_is_reported(answered):
    frontend = await answered("/copy", frontend=KeptFrontend(draws=False))
    assert "there is no clipboard here" in frontend.text
    assert "/save N PATH writes a code block" in frontend.text
    assert "OSC 52" in frontend.text


async def test_a_block_is_not_saved_as_the_name_of_the_conversation(answered):
    assert "/save 1 PATH writes code block 1" in (await answered("/save 1")).text


async def test_a_lone_surrogate_is_replaced_when_copying():
    assert base64.b64decode(osc_52("a\ud800")[7:-1]) == b"a?"


class TestSavingABlock:
    async def test_writes_its_code_to_a_file(self, answered, tmp_path):
        path = tmp_path / "hello world.py"
        frontend = await answered(f"/save 1 {path}")
        assert path.read_text(encoding="utf-8") == "print('你好')\n"
        assert f"code block 1 saved to {path}" in frontend.text

    @pytest.mark.parametrize(("answer", "content"), [("y", "ls\n"), ("n", "old"), (None, "old")])
    async def test_asks_before_it_replaces_one(self, answered, tmp_path, answer, content):
        path = tmp_path / "count.sh"
        path.write_text("old")
        frontend = await answered(f"/save 2 {path}", frontend=KeptFrontend(answer))
        assert path.read_text() == content
        assert "Overwrite?" in frontend.asked[0][0]

    async def test_tells_why_it_cannot_be_written(self, answered, tmp_path):
        for path in (tmp_path / "no" / "such", tmp_path):
            frontend = await answered(f"/save 1 {path}")
            assert f"cannot write {path}: " in frontend.text

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
    async def test_does_not_wait_for_a_pipe(self, answered, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert "it is not a regular file" in (await answered(f"/save 1 {tmp_path / 'pipe'}")).text

    async def test_is_no_name_of_a_session(self, answered):
        frontend = await answered("/save 9 x")
        assert "no code block 9" in frontend.text


async def test_the_last_answer_is_read_again(answered):
    assert ANSWER in (await answered("/last")).output


@pytest.mark.parametrize("command", ["/copy", "/last"])
async def test_without_an_answer_that_is_reported(start_repl, command):  # noqa: F811
    repl = start_repl()
    await repl.take(command)
    assert "there is no answer yet" in repl.frontend.text
