from __future__ import annotations

import os
import sys
from io import StringIO
from types import SimpleNamespace

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

import pty
import termios

from chatcli.terminal.live_application import FramedOutput
from chatcli.terminal.suspension import Suspension
from chatcli.terminal.window_title import WindowTitle


@pytest.fixture
def ends():
    """Yield both ends of a terminal: the person's and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(("name", "restored"), [("chatcli", b"\x1b[23;2t"), (None, b"")])
def test_an_abandoned_terminal_is_as_the_shell_left_it(ends, name, restored):
    ours, theirs = ends
    stream = SimpleNamespace(fileno=lambda: theirs)
    title = WindowTitle(FramedOutput(StringIO(), term="xterm"), lambda: name, is_busy=lambda: False)
    before = termios.tcgetattr(theirs)
    suspension = Suspension(SimpleNamespace(input=stream, output=stream), title)
    title.refresh()
    raw = termios.tcgetattr(theirs)
    raw[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(theirs, termios.TCSANOW, raw)
    suspension.abandon()
    assert termios.tcgetattr(theirs) == before
    written = os.read(ours, 1000)
    assert written.startswith(restored + b"\x1b[?2004l")
    assert (b"\x1b[23;2t" in written) == bool(restored)
