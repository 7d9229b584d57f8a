"""A streamed answer on a real terminal: everything is in its scrollback, once, in order and as it should look."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.program import command
from e2e.pseudo_terminal import CTRL_D, on_terminal
from e2e.tmux_terminal import TMUX, on_tmux
from render.markdown.drawn import lines
from scripted_server import Answer, event_stream, serving_in_thread

ENTER = "\r"
ANSWERED = "\x1b]133;D;0"
"""What tells the terminal that a turn is over."""

THREE_SCREENS = "\n\n".join(
    f"## Part {number}\n\nSome *words* about part {number}, 中文也一样，`code` and [a link](https://example.com/{number}).\n\n"
    f"- one {number}\n- two {number}\n  1. deeper\n\n> quoted {number}"
    for number in range(8)
)
CJK_TABLE = "| 名前 | 数量 | 説明 |\n|:-----|----:|:---:|\n" + "".join(
    f"| 項目{number} | {number} | 長い説明文がここに入り、セルの中で折り返されます。{number}番 |\n"
    for number in range(12)
)
LONG_FENCE = (
    "```python\n" + "".join(f"line_{number} = '''text {number}'''\n" for number in range(3_000)) + "```\n"
)
ONE_PARAGRAPH = "A **word** and `code`. " * 2_300


def answered(text, length=37):
    """Return the answer ``text``, in pieces that end anywhere."""
    return Answer(event_stream(*(text[at : at + length] for at in range(0, len(text), length))))


@pytest.fixture
def terminal(program):
    @contextmanager
    def start(*arguments, server, columns=80, **environment):
        started = on_terminal(
            command("--no-save", *arguments),
            environment=program.environment(server, CHATCLI_CONTEXT_WINDOW="200000", **environment),
            folder=program.working_folder,
            columns=columns,
        )
        with started as shown:
            yield shown

    return start


ANSWERS = pytest.mark.parametrize(
    "text",
    [THREE_SCREENS, CJK_TABLE, LONG_FENCE, ONE_PARAGRAPH],
    ids=["three screens", "CJK table", "3,000 lines of code", "50,000 characters"],
)


class TestASingleAnswer:
    @ANSWERS
    @pytest.mark.parametrize("columns", [80, 44])
    def test_is_in_the_scrollback_once_and_whole(self, terminal, text, columns):
        with (
            serving_in_thread(answered(text)) as server,
            terminal("Tell me.", server=server, columns=columns, NO_COLOR="1") as screen,
        ):
            assert screen.wait_for_exit() == 0
        shown = "\n".join(screen.everything).rstrip("\n")
        assert shown == "\n".join(lines(text, columns - 1))

    def test_is_readable_in_ten_columns(self, terminal):
        with (
            serving_in_thread(answered(THREE_SCREENS)) as server,
            terminal("Tell me.", server=server, columns=10) as screen,
        ):
            assert screen.wait_for_exit() == 0
        shown = screen.everything
        assert max(map(len, shown)) <= 10
        for number in range(8):
            assert "".join(shown).count(f"Part {number}") == 1
            assert "".join(shown).replace(" ", "").count(f"•two{number}") == 1

    def test_asks_nothing_of_the_terminal_and_clears_nothing(self, terminal):
        with (
            serving_in_thread(answered(THREE_SCREENS)) as server,
            terminal("Tell me.", server=server, CHATCLI_THEME="dark") as screen,
        ):
            assert screen.wait_for_exit() == 0
        assert b"\x1b[6n" not in screen.received
        assert b"\x1b[?1049h" not in screen.received
        assert not re.search(rb"\x1b\[[123]J|\x1b\[\?1000|\x1b\[\?1006", screen.received)
        assert screen.received.count(b"\x1b[?2026h") == screen.received.count(b"\x1b[?2026l") > 1


class TestAnAnswerInTheConversation:
    @ANSWERS
    def test_is_in_the_scrollback_once_and_whole(self, terminal, text):
        with serving_in_thread(answered(text)) as server, terminal(server=server, NO_COLOR="1") as screen:
            screen.wait_for("\n>")
            screen.type("Tell me." + ENTER)
            screen.wait_until_received(ANSWERED)
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        shown = "\n".join(screen.everything)
        begin = shown.index("> Tell me.\n\n") + len("> Tell me.\n\n")
        expected = "\n".join(lines(text, 79))
        assert shown[begin : begin + len(expected)] == expected


@pytest.fixture
def socket():
    # A socket's path may only be about a hundred characters long, which a test's own folder is already.
    folder = Path(tempfile.mkdtemp())
    yield folder / "tmux"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(TMUX is None, reason="needs tmux")
def test_resizing_in_the_middle_loses_and_repeats_no_finished_line(program, socket):
    paragraphs = [
        f"Mark {number:03} and words that wrap where it is narrow, 中文也一样。" for number in range(80)
    ]
    script = [
        step for chunk in event_stream(*(f"{text}\n\n" for text in paragraphs)) for step in (chunk, 0.02)
    ]
    widths = [60, 40, 100, 50, 80]
    with (
        serving_in_thread(Answer(script)) as server,
        on_tmux(
            ["sh", "-c", '"$@"; echo; echo left; sleep 60', "sh", *command("--no-save", "Mark them all.")],
            columns=80,
            environment=program.environment(server, CHATCLI_THEME="dark"),
            folder=program.working_folder,
            socket=socket,
        ) as tmux,
    ):
        for step, width in enumerate(widths, start=1):
            tmux.wait_for(f"Mark {step * 12:03}")
            tmux.resize(width)
        shown = tmux.wait_for("\nleft")
    marks = [int(mark) for mark in re.findall(r"^Mark (\d+)", shown, re.MULTILINE)]
    assert sorted(set(marks)) == list(range(80))
    assert marks == sorted(marks)
    assert len(marks) <= len(paragraphs) + len(widths)
