from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import contextmanager

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

import pty

from prompt_toolkit.keys import Keys

from chatcli.render.background import ANSWERED_WITHIN_S, ReplyFilter
from chatcli.repl.keyboard import BackgroundQuestion, keyboard


@contextmanager
def typing(replies):
    """Yield the keyboard of a terminal in raw mode, and a function that sends something from it."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, encoding="utf-8") as stdin:
        keys = keyboard(stdin, replies)
        with keys.raw_mode():
            yield keys, lambda text: os.write(ours, text.encode()) and time.sleep(0.01)
        os.close(ours)


def test_answers_are_told_and_everything_else_is_keys():
    answers = []
    with typing(ReplyFilter(answers.append)) as (keys, send):
        send("a\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[A\x1b[?62c你")
        assert [press.key for press in keys.read_keys()] == ["a", Keys.Up, "你"]
    assert answers == ["rgb:ffff/ffff/ffff", None]


def test_escape_alone_is_a_key_when_nothing_follows():
    with typing(ReplyFilter(pytest.fail)) as (keys, send):
        send("\x1b")
        assert keys.read_keys() == []
        assert [press.key for press in keys.flush_keys()] == [Keys.Escape]


async def test_an_answer_ends_the_wait():
    learned = []
    question = BackgroundQuestion(learned.append)
    question._asked_s = time.monotonic() + 60
    waiting = asyncio.ensure_future(question.settled())
    await asyncio.sleep(0)
    question.replies.feed("\x1b]11;#fff\x07\x1b[?62c")
    await asyncio.wait_for(waiting, 5)
    assert learned == ["light"]


async def test_a_silent_terminal_is_waited_for_only_once():
    now_s = [100.0]
    question = BackgroundQuestion(pytest.fail, clock=lambda: now_s[0])
    await question.settled()
    question._asked_s = now_s[0]
    now_s[0] += ANSWERED_WITHIN_S
    await asyncio.wait_for(question.settled(), 5)
