from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from chatcli.cli.standard_streams import ClosedPipe, Stream, redacted_reports, shown_colors
from chatcli.core.errors import LocalIOError
from cli.fakes import terminal


class Narrow(io.BytesIO):
    """A file that accepts three bytes at a time, as an unbuffered one may."""

    def write(self, content):
        return super().write(bytes(content[:3]))


class Failing(io.RawIOBase):
    def __init__(self, error):
        self.error = error

    def write(self, content):
        raise self.error


class Stalled(io.RawIOBase):
    """A non-blocking file without room."""

    def write(self, content):
        return None


def test_everything_is_written_however_little_the_file_takes():
    file = Narrow()
    Stream(file, is_terminal=False).write("北京 is a city")
    assert file.getvalue().decode() == "北京 is a city"


def test_what_has_no_utf_8_becomes_a_question_mark():
    file = io.BytesIO()
    Stream(file, is_terminal=False).write("a\ud83db")
    assert file.getvalue() == b"a?b"


def test_a_reader_who_left_is_no_error():
    with pytest.raises(ClosedPipe):
        Stream(Failing(BrokenPipeError()), is_terminal=False).write("a")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (Failing(OSError(28, "No space left on device")), "No space left on device"),
        (Failing(ValueError("write to closed file")), "write to closed file"),
        (Stalled(), ""),
    ],
    ids=["full", "closed", "stalled"],
)
def test_what_cannot_be_written_is_reported(file, reason):
    with pytest.raises(LocalIOError, match=f"the output cannot be written: {reason}"):
        Stream(file, is_terminal=False).write("a")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_what_finds_no_room_is_let_go_by_who_is_hurried():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as file:
        stream = Stream(file, is_terminal=False, gives_up=True)
        stream.write("x" * 1_000_000)
        assert stream.has_room
        stream.gives_up = False
        assert not stream.has_room
        assert set(reader.read1(1_000_000)) == {ord("x")}
        assert stream.has_room


@pytest.mark.parametrize(
    ("term", "is_dumb"),
    [("dumb", True), ("", True), ("unknown", True), ("vt100", False), ("nonsense", False)],
)
def test_a_terminal_that_cannot_redraw_says_so(term, is_dumb):
    assert terminal(is_terminal=True, TERM=term).is_dumb == is_dumb


@pytest.mark.parametrize(("columns", "used"), [("1", 10), ("500", 500), ("100000", 2000)])
def test_any_width_is_brought_into_what_can_be_drawn(monkeypatch, columns, used):
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal().columns() == used


@pytest.mark.parametrize("columns", ["garbage", "0", "-3", ""])
def test_a_width_that_is_none_is_not_believed(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert 10 <= terminal().columns() <= 2000


def test_a_warning_is_sanitized_unless_its_caller_has_done_that():
    recorded = terminal()
    recorded.warn("caf\x1b[2J\u202e.txt is not UTF-8")
    recorded.warn("\x1b[2mdone\x1b[0m", styled=True)
    assert recorded.err == "caf␛[2J<U+202E>.txt is not UTF-8\n\x1b[2mdone\x1b[0m\n"


def test_a_warning_names_commands_as_the_program_was_started():
    recorded = terminal(_CHATCLI_COMMAND="scripts/chat")
    recorded.warn("set a key (chatcli config login)")
    assert recorded.err == "set a key (scripts/chat config login)\n"


def test_a_warning_nobody_can_read_is_let_go():
    recorded = terminal()
    recorded.stderr.file.close()
    recorded.warn("unseen")


@pytest.mark.parametrize(
    ("environment", "is_terminal", "color_system"),
    [
        ({}, False, None),
        ({"TERM": "xterm"}, True, "standard"),
        ({"TERM": "xterm-256color"}, True, "256"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, True, "truecolor"),
        ({"TERM": "dumb"}, True, None),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, None),
        ({"NO_COLOR": ""}, True, "standard"),
        ({"NO_COLOR": "1"}, True, None),
        ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, True, None),
        ({"FORCE_COLOR": "1"}, False, "standard"),
        ({"FORCE_COLOR": "2"}, False, "256"),
        ({"FORCE_COLOR": "3"}, False, "truecolor"),
        ({"FORCE_COLOR": "0"}, True, None),
        ({"FORCE_COLOR": "FALSE"}, True, None),
        ({"FORCE_COLOR": ""}, False, None),
        ({"FORCE_COLOR": "true"}, False, "standard"),
        ({"FORCE_COLOR": "yes", "TERM": "xterm-256color"}, False, "256"),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, "standard"),
        ({"FORCE_COLOR": "1", "COLORTERM": "truecolor"}, True, "standard"),
        ({"FORCE_COLOR": "true", "COLORTERM": "truecolor"}, True, "truecolor"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, True, None),
    ],
)
def test_colours_follow_the_terminal_and_the_wishes_of_its_owner(environment, is_terminal, color_system):
    recorded = terminal(is_terminal=is_terminal, **environment)
    assert recorded.stdout_colors == recorded.stderr_colors == color_system


@pytest.mark.parametrize(
    ("environment", "colors"),
    [
        ({}, "standard"),
        ({"TERM": "xterm"}, "standard"),
        ({"TERM": "linux"}, "standard"),
        ({"TERM": "xterm-mono"}, None),
        ({"TERM": "vt100"}, None),
        ({"TERM": "vt220", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "screen-256color"}, "256"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "xterm-ghostty"}, "truecolor"),
        ({"TERM": "foot-extra"}, "truecolor"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "xterm-256color", "COLORTERM": "yes"}, "256"),
        ({"TERM": "xterm", "COLORTERM": "gnome-terminal"}, "standard"),
        ({"WT_SESSION": "0b3c"}, "truecolor"),
        ({"TERM": "xterm-256color", "WT_SESSION": "0b3c"}, "truecolor"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "truecolor"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "256"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "somebody's"}, "256"),
    ],
)
def test_a_terminal_shows_what_its_environment_tells(environment, colors):
    assert shown_colors(environment) == colors


@pytest.mark.parametrize(
    ("tmux", "colors"), [({}, "256"), ({"TMUX": "/tmp/tmux-0/default,1,0"}, "truecolor")]
)
def test_gnu_screen_is_not_given_what_only_the_terminal_around_it_understands(tmux, colors):
    assert shown_colors({"TERM": "screen.xterm-256color", "COLORTERM": "truecolor", **tmux}) == colors


KEY = "sk-proj-aB3dE5gH7jK9mN2pQ4rS6tU8vW0xY1zA3bC5dE7fG9hJ1kL3"
MINE = "gateway-key-0815"

PROGRAM = f"""
import asyncio, gc, logging, os, sys, threading, warnings
from chatcli.cli.standard_streams import Terminal, redacted_reports

class Finalized:
    def __del__(self):
        raise ValueError("finalizer {KEY}")

async def forgotten():
    raise ValueError("task {KEY}")

async def forgetting():
    asyncio.ensure_future(forgotten())
    await asyncio.sleep(0)

def fail():
    raise ValueError("thread {KEY} \\x1b[2J")

terminal = Terminal.of_this_process()
terminal.redactor.add_key("{MINE}")
with redacted_reports(terminal):
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    Finalized()
    asyncio.run(forgetting())
    gc.collect()
    warnings.warn("warning {MINE}")
    logging.getLogger("library").error("logger %s", "{KEY}")
    asyncio.run(asyncio.sleep(0))
    print("half {MINE}", file=sys.stderr, end="")
    sys.stderr.flush()
    assert os.isatty(sys.stderr.fileno()) == sys.stderr.isatty()
"""


def test_no_report_of_python_or_of_a_library_shows_a_key():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for source in ("thread", "finalizer", "task", "warning", "logger", "half"):
        assert f"{source} [key]" in done.stderr
    assert "Traceback" in done.stderr
    assert KEY not in done.stderr
    assert MINE not in done.stderr
    assert "\x1b" not in done.stderr


def test_stderr_is_as_before_afterwards():
    before = sys.stderr
    recorded = terminal()
    with redacted_reports(recorded):
        sys.stderr.write(f"one {KEY}\ntwo")
        assert recorded.err == "one [key]\n"
    assert recorded.err == "one [key]\ntwo"
    assert sys.stderr is before


def test_a_stream_put_in_its_place_meanwhile_is_left_there():
    before, other = sys.stderr, object()
    try:
        with redacted_reports(terminal()):
            sys.stderr = other
        assert sys.stderr is other
    finally:
        sys.stderr = before
