from __future__ import annotations

from io import StringIO

from wcwidth import width

from chatcli.terminal.live_application import BEGIN_FRAME, END_FRAME, FramedOutput
from chatcli.terminal.window_title import COLUMNS, WindowTitle


class Window:
    """The output to a terminal whose conversation is called ``name``."""

    def __init__(self, name="chatcli: Capitals"):
        self.name = name
        self.is_busy = False
        self._stdout = StringIO()
        output = FramedOutput(self._stdout, term="xterm")
        self.title = WindowTitle(output, lambda: self.name, is_busy=lambda: self.is_busy)

    def written(self):
        text = self._stdout.getvalue().replace(BEGIN_FRAME, "").replace(END_FRAME, "")
        self._stdout.truncate(0)
        self._stdout.seek(0)
        return text


def test_the_title_there_was_is_kept_before_ours_is_shown_and_comes_back():
    window = Window()
    assert window.title.restoring_sequence == ""
    window.title.refresh()
    assert window.written() == "\x1b[22;2t\x1b]2;chatcli: Capitals\x1b\\"
    assert window.title.restoring_sequence == "\x1b[23;2t"
    window.title.give_back()
    window.title.give_back()
    assert window.written() == "\x1b[23;2t"


def test_it_is_written_only_when_it_changed():
    window = Window()
    window.title.refresh()
    window.written()
    window.title.refresh()
    assert window.written() == ""
    window.is_busy = True
    window.title.refresh()
    assert window.written() == "\x1b]2;… chatcli: Capitals\x1b\\"
    window.name, window.is_busy = "chatcli: Trip", False
    window.title.refresh()
    assert window.written() == "\x1b]2;chatcli: Trip\x1b\\"


def test_after_somebody_else_had_the_terminal_it_is_written_again():
    window = Window()
    window.title.refresh()
    window.written()
    window.title.renew()
    assert window.written() == "\x1b]2;chatcli: Capitals\x1b\\"


def test_without_a_name_the_window_keeps_or_gets_back_its_own():
    window = Window(None)
    window.title.refresh()
    assert window.written() == ""
    window.name = "chatcli"
    window.title.refresh()
    window.written()
    window.name = None
    window.title.refresh()
    assert window.written() == "\x1b[23;2t"


def test_it_is_short_and_cannot_act_on_the_terminal():
    window = Window("chatcli: \x1b]0;pwned\x07\x9c" + "中文" * 50)
    window.is_busy = True
    window.title.refresh()
    title = window.written().removeprefix("\x1b[22;2t\x1b]2;").removesuffix("\x1b\\")
    assert title.startswith("… chatcli: ␛]0;pwned␇<U+009C>中文")
    assert title.endswith("…")
    assert width(title) <= COLUMNS
