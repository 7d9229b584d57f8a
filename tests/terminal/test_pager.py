from __future__ import annotations

import sys

import pytest

from chatcli.core.errors import LocalIOError
from chatcli.terminal.pager import Pager

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the pagers are scripts of a shell")


@pytest.fixture
def kept(tmp_path):
    """Return a function that shows a text in a pager which records its arguments and input."""
    program = tmp_path / "pager"
    program.write_text(
        f'#!/bin/sh\n(echo "$LESS $LESSCHARSET $LANG"; cat) > {tmp_path}/kept\n', encoding="utf-8"
    )
    program.chmod(0o700)

    async def show(text, **environment):
        await Pager({"PATH": "/usr/bin:/bin", "PAGER": str(program), **environment}).show(text)
        return (tmp_path / "kept").read_text(encoding="utf-8")

    return show


async def test_under_a_locale_without_utf_8_the_pager_is_reported_that_the_text_is(kept):
    assert await kept("北京\x1b[1m!\x1b[0m\n", LANG="C") == "R utf-8 C\n北京\x1b[1m!\x1b[0m\n"


async def test_what_the_person_has_set_for_the_pager_stays(kept):
    assert (await kept("x", LESS="RX", LESSCHARSET="latin1")).startswith("RX latin1 \n")


async def test_without_a_pager_it_says_what_to_set():
    with pytest.raises(LocalIOError) as caught:
        await Pager({"PATH": "/nowhere"}).show("x")
    assert caught.value.hint == "set PAGER to one there is, like PAGER=less"
