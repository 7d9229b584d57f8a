"""The screen with real keys, on a terminal that records its output."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from io import StringIO

import pyte
import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from rich.segment import Segment

from chatcli.terminal.activity import Activity
from chatcli.terminal.composer_completion import CommandCompleter
from chatcli.terminal.input_history import HistorySuggestions
from chatcli.terminal.live_application import BEGIN_FRAME, END_FRAME, FramedOutput
from chatcli.terminal.screen import Screen

ENTER, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x03", "\x04"


class Glass(StringIO):
    """A terminal: every write, and what is visible."""

    encoding = "utf-8"

    def __init__(self):
        super().__init__()
        self.writes = []
        self.is_gone = False
        self._screen = pyte.HistoryScreen(60, 20, history=5000)
        self._stream = pyte.Stream(self._screen)

    def write(self, text):
        if self.is_gone:
            raise OSError(5, "Input/output error")
        self.writes.append(text)
        self._stream.feed(text)
        return len(text)

    @property
    def shown(self):
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def everything(self):
        above = [
            "".join(row[column].data for column in range(60)).rstrip() for row in self._screen.history.top
        ]
        return "\n".join([*above, self.shown])


class Desk:
    """A running screen, its keyboard and its terminal; ``waits`` is a pending retry."""

    def __init__(self, screen, keys, glass, history):
        self.waits = False
        self.title = None
        self.screen = screen
        self.keys = keys
        self.glass = glass
        self.history = history

    def retry_now(self):
        waited, self.waits = self.waits, False
        return waited

    def draw(self, printed, tail):
        self.screen.draw([Segment(printed)] if printed else (), [[Segment(row)] for row in tail])

    @asynccontextmanager
    async def working(self):
        """Run work until it is stopped."""
        work = asyncio.ensure_future(self.screen.work(asyncio.Event().wait(), "working"))
        await self.settle()
        yield work
        if not work.done():
            self.screen.interrupt()
            await work

    async def lines(self, count):
        return [(await self.screen.line()).text for _ in range(count)]

    async def nothing_is_handed_over(self):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.screen.line(), 0.05)
        return True

    async def type(self, *keys):
        for key in keys:
            self.keys.send_text(key)
        await self.settle()

    async def until(self, shown):
        """Wait until ``shown`` returns true, which may take a while on a busy machine."""
        for _ in range(500):
            if shown():
                return
            await self.settle()
        raise AssertionError(f"never shown; the screen:\n{self.glass.shown}")

    async def settle(self):
        """Let everything that is due happen."""
        for _ in range(30):
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)


class SizedOutput(FramedOutput):
    def __init__(self, glass):
        super().__init__(glass, term="xterm")
        self.size = Size(rows=20, columns=60)

    def get_size(self):
        return self.size


@asynccontextmanager
async def desk(suggestions=None, **options):
    glass, history, found = Glass(), InMemoryHistory(), None
    with create_pipe_input() as keys:
        screen = Screen(
            input=keys,
            output=SizedOutput(glass),
            prompt="> ",
            history=history,
            suggestions=suggestions or HistorySuggestions(),
            completer=CommandCompleter(),
            activity=Activity(unicode=False),
            toolbar=lambda columns: [("toolbar"[:columns], "label")],
            title=lambda: found.title if found else None,
            retry_now=lambda: found.retry_now(),  # noqa: PLW0108 - found later
            color_system=None,
            **options,
        )
        async with screen.running():
            found = Desk(screen, keys, glass, history)
            await found.settle()
            yield found


async def test_the_prompt_is_there_at_once_above_the_toolbar():
    async with desk() as found:
        assert found.glass.shown == ">\ntoolbar"


async def test_enter_hands_over_what_is_written_and_remembers_it():
    async with desk() as found:
        await found.type("你好", ENTER)
        assert (await found.screen.line()).text == "你好"
        assert found.screen.composer.text == ""
        assert found.history.get_strings() == ["你好"]


CTRL_SPACE, BACKSPACE, ESCAPE = "\0", "\x7f", "\x1b"


async def test_typing_ends_a_selection():
    async with desk() as there:
        await there.type("ab", CTRL_SPACE, "c", ENTER)
        assert (await there.screen.line()).text == "abc"


async def test_backspace_deletes_what_is_selected():
    async with desk() as there:
        await there.type("one two", CTRL_SPACE, "\x1bb", BACKSPACE, "2", ENTER)
        assert (await there.screen.line()).text == "one 2"


@pytest.mark.parametrize(("is_too_long", "below"), [(True, "toolbar"), (False, "unfolds it")])
async def test_a_paste_too_long_to_send_shows_the_warning_rather_than_a_hint(is_too_long, below):
    async with desk(is_too_long=lambda: is_too_long) as there:
        await there.type("\x1b[200~" + "line\n" * 50 + "\x1b[201~")
        assert below in there.glass.shown


@pytest.mark.parametrize("mode", ["emacs", "vi"])
async def test_a_key_that_is_bound_to_nothing_types_nothing(mode):
    async with desk(editing_mode=lambda: mode) as there:
        await there.type("\x1b[5;5~", "\x1b[1;5P", "\x1b[15;5~", "\x1b[5;2~", "\x1b[6;6~", "\x1b[24;6~")
        assert there.screen.composer.text == ""
        await there.type(*(keys for keys in ANSI_SEQUENCES if re.fullmatch("\x1b\\[[^2].*;.*", keys)))
        assert there.screen.composer.text == ""


async def test_lines_are_added_without_sending():
    async with desk() as found:
        await found.type("one", ALT_ENTER, "two", "\n", "three")
        assert found.glass.shown.startswith("> one\n  two\n  three\n")
        await found.type(ENTER)
        assert (await found.screen.line()).text == "one\ntwo\nthree"


async def test_nothing_is_sent_where_nothing_is_written():
    async with desk() as found:
        await found.type(ENTER, " ", ENTER, "x", ENTER)
        assert (await found.screen.line()).text == " x"


async def test_what_no_text_can_hold_is_replaced():
    async with desk() as found:
        found.screen.composer.buffer.text = "caf\udce9"
        assert found.screen.composer.text == "caf?"


async def test_ctrl_c_clears_the_line_and_never_leaves():
    async with desk() as found:
        await found.type("half a question", CTRL_C)
        assert found.screen.composer.text == ""
        await found.type(CTRL_C)
        assert "Ctrl-D leaves" in found.glass.shown


async def test_ctrl_c_holds_what_nobody_has_taken_yet():
    async with desk() as found:
        await found.type("a question", ENTER, CTRL_C)
        assert "not sent: a question" in found.glass.shown
        await found.type(ENTER)
        assert (await found.screen.line()).text == "a question"


async def test_ctrl_d_while_an_answer_comes_warns_first_and_leaves_the_second_time():
    async with desk() as found:
        working = asyncio.ensure_future(found.screen.work(asyncio.Event().wait(), "waiting"))
        await found.settle()
        await found.type(CTRL_D)
        assert "Ctrl-D again stops this and leaves" in found.glass.shown
        assert not working.done()
        await found.type("a", "\x7f")
        assert "again" not in found.glass.shown
        await found.type(CTRL_D)
        assert not working.done()
        await found.type(CTRL_D)
        assert await working is False
        assert await found.screen.line() is None


async def test_ctrl_d_just_before_an_answer_ends_leaves_at_once():
    async with desk() as found:
        ending = asyncio.Event()
        working = asyncio.ensure_future(found.screen.work(ending.wait(), "waiting"))
        await found.settle()
        await found.type(CTRL_D)
        ending.set()
        assert await working is True
        assert await found.screen.line() is None


async def test_ctrl_d_leaves_only_where_nothing_is_written():
    async with desk() as found:
        await found.type("ab", "\x1b[D", CTRL_D)
        assert found.screen.composer.text == "a"
        await found.type(CTRL_C, CTRL_D)
        assert await found.screen.line() is None


async def test_ctrl_c_stops_the_work():
    async with desk() as found, found.working() as work:
        await found.type("next", CTRL_C)
        assert await work is False
        assert found.screen.composer.text == "next"


async def test_enter_alone_ends_the_wait_for_another_attempt():
    async with desk() as found:
        working = asyncio.ensure_future(found.screen.work(asyncio.Event().wait(), "working"))
        await found.settle()
        found.waits = True
        await found.type("x", ENTER)
        assert found.waits
        await found.type("\x7f", ENTER)
        assert not found.waits
        await found.type(CTRL_C)
        await working


async def test_work_that_is_ended_from_outside_ends_whoever_waits_for_it():
    async with desk() as found:
        working = asyncio.ensure_future(found.screen.work(asyncio.Event().wait(), "working"))
        await found.settle()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working


async def test_a_question_of_the_program_is_answered_beside_the_composer():
    async with desk() as found:
        await found.type("draft")
        asking = asyncio.ensure_future(found.screen.ask("Address: "))
        await found.settle()
        await found.type("http://host", ENTER)
        assert await asking == "http://host"
        assert found.screen.composer.text == "draft"


@pytest.mark.parametrize("secret", [False, True])
async def test_a_long_question_of_the_program_is_shown_whole_and_broken_between_words(secret):
    words = [f"word{number}" for number in range(60)]
    async with desk() as found:
        asking = asyncio.ensure_future(found.screen.ask(f"{' '.join(words)}? [y/N] ", secret=secret))
        await found.settle()
        await found.type("y")
        *rows, last, toolbar = found.glass.shown.split("\n")
        assert len(rows) >= 4
        assert " ".join([*rows, last]).split() == [*words[:-1], "word59?", "[y/N]", "•" if secret else "y"]
        assert toolbar == "toolbar"
        await found.type(ENTER)
        assert await asking == "y"
        assert found.glass.shown == ">\ntoolbar"


async def test_a_question_of_the_program_longer_than_the_screen_keeps_its_beginning_and_its_end():
    async with desk() as found:
        asking = asyncio.ensure_future(found.screen.ask(f"First {'word ' * 1000}last? [y/N] "))
        await found.settle()
        await found.type("y")
        rows = found.glass.shown.split("\n")
        assert rows[0].startswith("First ")
        assert rows[-2].endswith("last? [y/N] y")
        await found.type(ENTER)
        assert await asking == "y"


async def test_a_secret_is_neither_shown_nor_remembered():
    async with desk() as found:
        asking = asyncio.ensure_future(found.screen.ask("Key: ", secret=True))
        await found.settle()
        await found.type("sk-secret")
        assert "Key: •••••••••" in found.glass.shown
        await found.type(ENTER)
        assert await asking == "sk-secret"
        assert "sk-secret" not in "".join(found.glass.writes)
        assert not found.history.get_strings()


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
async def test_a_question_can_be_turned_down(key):
    async with desk() as found:
        asking = asyncio.ensure_future(found.screen.ask("Which one? "))
        await found.settle()
        await found.type(key)
        assert await asking is None
        await found.type("goes on", ENTER)
        assert (await found.screen.line()).text == "goes on"


async def test_what_is_printed_stays_above_in_order_and_what_is_typed_meanwhile_survives():
    async with desk() as found:
        for number in range(300):
            found.draw(f"line {number}\n", [f"tail {number}"])
            if number % 10 == 0:
                await found.type("x")
        found.draw("", ())
        await found.settle()
        printed = [line for line in found.glass.everything.split("\n") if line.startswith("line ")]
        assert printed == [f"line {number}" for number in range(300)]
        assert "tail" not in found.glass.everything
        assert found.glass.shown.endswith("> " + "x" * 30 + "\ntoolbar")


async def test_a_tail_is_shown_between_what_is_printed_and_the_composer():
    async with desk() as found:
        found.draw("done\n", ["coming", "last row"])
        await found.settle()
        assert found.glass.shown == "done\ncoming\nlast row\n>\ntoolbar"


async def test_a_tail_never_takes_the_composers_place():
    async with desk() as found:
        found.draw("", [f"row {number}" for number in range(100)])
        await found.settle()
        assert found.glass.shown.endswith("row 99\n>\ntoolbar")


async def test_a_frame_is_one_write_between_its_marks():
    async with desk() as found:
        found.glass.writes.clear()
        found.draw("done\n", ["coming"])
        assert len(found.glass.writes) == 1
        assert found.glass.writes[0].startswith(BEGIN_FRAME)
        assert found.glass.writes[0].endswith(END_FRAME)


async def test_nothing_is_drawn_while_the_size_changes_and_nothing_is_lost():
    async with desk() as found:
        application = found.screen.application
        application._on_resize()
        application._on_resize()
        found.glass.writes.clear()
        found.draw("printed meanwhile\n", ["tail"])
        await found.type("x")
        # On a busy machine the size may have been stable for long enough by now.
        assert application._resizing is None or not found.glass.writes
        await found.until(lambda: "printed meanwhile\ntail\n> x\ntoolbar" in found.glass.shown)


async def test_a_terminal_that_is_gone_is_drawn_to_in_vain():
    async with desk() as found:
        found.glass.is_gone = True
        found.draw("nobody sees this\n", ["nor this"])
        await found.type("x")
        assert found.screen.composer.text == "x"


async def test_the_bindings_of_all_windows_are_collected_once_and_not_at_every_key():
    async with desk() as found:
        layout = found.screen.application.layout
        before = set(layout.find_all_controls())
        await found.type("a", "b")
        assert set(layout.find_all_controls()) == before


async def test_keys_put_the_moment_of_the_last_one_forward():
    async with desk() as found:
        found.screen._last_key_s -= 100
        assert found.screen.idle_s() >= 100
        await found.type("x")
        assert found.screen.idle_s() < 100


async def test_a_message_too_long_for_its_row_is_printed_above_it():
    async with desk() as there:
        there.screen.announce("short")
        await there.settle()
        assert there.glass.shown.endswith("short")
        there.screen.announce("a word " * 12 + "and the last")
        await there.settle()
        assert "and the last" in there.glass.shown.replace("\n", " ")


async def test_a_private_text_is_sent_and_not_stored_in_the_history():
    async with desk(is_private=lambda text: "secret" in text) as found:
        found.keys.send_text("open\r")
        found.keys.send_text("my secret\r")
        await found.settle()
        sent = [(await found.screen.line()).text for _ in range(2)]
        assert sent == ["open", "my secret"]
        assert found.history.get_strings() == ["open"]


@pytest.mark.parametrize("key", ["\t", "\x1b[C", "\x05"])
async def test_a_proposed_question_is_seen_in_the_empty_composer_and_taken_with_a_key(key):
    async with desk(suggestions=HistorySuggestions(lambda: ("日本の首都は？", "Which river?"))) as found:
        assert found.glass.shown == "> 日本の首都は？\ntoolbar"
        await found.type(ENTER)  # sends nothing
        assert await found.nothing_is_handed_over()
        await found.type("W")
        assert found.glass.shown == "> Which river?\ntoolbar"
        await found.type(BACKSPACE)
        assert found.glass.shown == "> 日本の首都は？\ntoolbar"
        await found.type(key)
        assert found.screen.composer.text == "日本の首都は？"
        await found.type(ENTER)
        assert (await found.screen.line()).text == "日本の首都は？"


async def test_without_a_proposal_tab_indents():
    async with desk() as found:
        await found.type("\t")
        assert found.screen.composer.text == "    "
