from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

import pytest

from chatcli.core.errors import LocalIOError
from chatcli.repl.editor import Editor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the editors are scripts of a shell")


@pytest.fixture
def script(tmp_path):
    def make(lines, name="my editor"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
        path.chmod(0o700)
        return f"'{path}'"

    return make


def editor(**environment):
    return Editor({"PATH": "/usr/bin:/bin", **environment})


async def test_the_text_comes_back_as_it_was_left(script, tmp_path):
    edit = editor(EDITOR=script('printf "\\r\\nmore 世界\\r\\n" >> "$1"'))
    assert await edit.edit("one\ntwo") == "one\ntwo\n\nmore 世界"


@pytest.mark.parametrize("text", ["", "one", "one\n", "\n\n", "世界 👍🏽"])
async def test_a_text_nobody_touched_is_the_same(script, text):
    assert await editor(EDITOR=script("true")).edit(text) == text


async def test_the_file_is_markdown_for_the_person_alone_and_gone_afterwards(script, tmp_path):
    await editor(EDITOR=script(f'echo "$1" > "{tmp_path}/path"; ls -l "$1" > "{tmp_path}/rights"')).edit("x")
    path = Path((tmp_path / "path").read_text().strip())
    assert path.suffix == ".md"
    assert (tmp_path / "rights").read_text().startswith(stat.filemode(stat.S_IFREG | 0o600))
    assert not path.exists()  # noqa: ASYNC240 - nobody waits


async def test_visual_comes_first_and_may_have_arguments(script, tmp_path):
    visual = script(f'echo "$1" > "{tmp_path}/argument"')
    await editor(VISUAL=f"{visual} --wait", EDITOR="no-such-editor").edit("x")
    assert (tmp_path / "argument").read_text() == "--wait\n"


async def test_without_any_the_systems_own_is_taken():
    usual = next(
        (name for name in ("editor", "nano", "vim", "vi") if shutil.which(name, path="/usr/bin:/bin")), None
    )
    if usual is None:
        with pytest.raises(LocalIOError, match="there is no editor"):
            editor().command()
    else:
        assert editor().command() == [usual]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("no-such-editor --wait", "there is no editor no-such-editor (EDITOR)"),
        ("'no end", "EDITOR cannot be read: No closing quotation"),
    ],
)
async def test_an_editor_there_is_none_of_is_reported(chosen, message):
    with pytest.raises(LocalIOError) as raised:
        await editor(EDITOR=chosen).edit("x")
    assert raised.value.message == message
    assert raised.value.hint


async def test_an_editor_that_failed_is_reported(script):
    with pytest.raises(LocalIOError, match="my editor ended with 3"):
        await editor(EDITOR=script("exit 3")).edit("x")
