"""What is drawn besides answers, cell by cell: the REPL's own lines, its bottom rows, and reports.

To update the golden files: ``WRITE_SCREENS=1 scripts/test tests/terminal/test_printed_screens.py``.
"""

from __future__ import annotations

import io
import math
from datetime import timedelta
from pathlib import Path

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import print_formatted_text

from chatcli.cli.commands.doctor import _Lines
from chatcli.cli.commands.sessions.listing import write_found
from chatcli.core.errors import NetworkError
from chatcli.core.events import LongProgress, Notice, TurnFailed, TurnResult, Waiting
from chatcli.doctor.examination import Finding, Status
from chatcli.render.status import StatusRenderer
from chatcli.render.waiting_line import WaitingLine
from chatcli.repl.context_view import context_view
from chatcli.repl.tree_view import tree_rows
from chatcli.sessions.library import SearchHit
from chatcli.sessions.session import Session
from chatcli.sessions.tree import Tree
from chatcli.terminal.picker.picker_drawing import UNICODE, PickerDrawing
from chatcli.terminal.picker.picker_state import Doing, PickerState
from chatcli.terminal.screen import COLOR_DEPTHS
from chatcli.terminal.screen_rows import fragments, screen_style
from chatcli.terminal.terminal_frontend import TerminalFrontend
from chatcli.terminal.toolbar import Toolbar
from cli.sized_terminal import SizedTerminal
from render.golden_screens import COLORED, EVERY_COLORED, UNCOLORED, WIDTHS, Golden, described, shown
from render.turns import show
from repl.picker_fakes import NOW, FakeLibrary, pickable, summary
from repl.test_context_view import SEEN
from repl.test_repl_session import start_repl as start_repl  # noqa: PLC0414 - a fixture
from repl.test_tree_view import exchange
from terminal.test_toolbar import chat_of

GOLDEN = Path(__file__).parent / "golden" / "screens"
LINES = 24
HINTED = NetworkError("no answer from 127.0.0.1", hint="check base_url for typos, and your network")


class PrintedScreen:
    """The part of a ``Screen`` that the frontend prints on."""

    is_busy = False

    def __init__(self, columns):
        self._columns = columns
        self.printed = ""

    def columns(self):
        return self._columns

    def idle_s(self):
        return math.inf

    def print(self, text):
        self.printed += text

    async def work(self, work, what):
        await work
        return True


def frontend(look, columns):
    """Return the frontend of a terminal, and the screen it prints on."""
    screen = PrintedScreen(columns)
    return TerminalFrontend(
        screen,
        None,
        theme=lambda: look,
        reword=str,
        settings=lambda: None,
        prompt="> ",
        quiet=False,
        unicode=True,
        takes_commands=False,
        pager=None,
        watchers=tuple,
    ), screen


def check(name, drawings, modes=COLORED):
    """Compare the text that each of ``drawings`` writes for a theme and a width."""
    golden = Golden(GOLDEN / f"{name}.txt", modes)
    for title, draw in drawings.items():
        golden.add(
            title,
            {
                columns: described(
                    {mode: shown(draw(look, columns), columns) for mode, look in modes.items()},
                    shown(draw(UNCOLORED, columns), columns),
                )
                for columns in WIDTHS
            },
        )
    golden.check()


def by_prompt_toolkit(rows, look):
    """Return what prompt_toolkit writes for ``rows``."""
    written = io.StringIO()
    output = Vt100_Output(written, lambda: Size(rows=LINES, columns=WIDTHS[-1]), term="xterm")
    style, depth = screen_style(look), COLOR_DEPTHS[look.color_system]
    for row in rows:
        print_formatted_text(output, fragments(row), style, color_depth=depth)
        written.write("\n")
    return written.getvalue().replace("\r", "")


def own_lines(look, columns):
    """Return the lines around questions and answers."""
    there, screen = frontend(look, columns)
    there.remark("resumed 会話 · 12 turns, the last of them yesterday evening")
    there.say("said as it is")
    there.echo("What is this?\nand this, in a second line", "attached: 天気.txt, 12 lines")
    there.complain(HINTED)
    there.remark("the last one")
    return screen.printed


class TestInTheConversation:
    def test_the_own_lines_are_as_recorded(self):
        check("lines", {"lines": own_lines}, EVERY_COLORED)

    @pytest.mark.parametrize("line", ["/help", "/keys", "/help edit"])
    async def test_lists_of_commands_and_keys_are_as_recorded(self, start_repl, line):
        written = {}
        for look in (*COLORED.values(), UNCOLORED):
            for columns in WIDTHS:
                there, screen = frontend(look, columns)
                await start_repl(frontend=there).take(line)
                written[look, columns] = screen.printed
        check(line.strip("/").replace(" ", "-"), {line: lambda look, columns: written[look, columns]})

    def test_the_context_is_as_recorded(self):
        def draw(look, columns):
            there, screen = frontend(look, columns)
            there.picture(context_view(SEEN, columns))
            return screen.printed

        check("context", {"context": draw}, EVERY_COLORED)

    def test_the_tree_is_as_recorded(self):
        straight = [record for at in range(1, 5) for record in exchange(at, at - 1 or None)]
        branched = (
            *exchange(1, asked="北京的天气怎么样？"),
            *exchange(2, 1),
            *exchange(3, 2, asked="👨‍👩‍👧 and a question that is longer than a narrow terminal is wide"),
            *exchange(4, 2),
            *exchange(5, 4),
            *exchange(6, 1),
            *exchange(7, 6),
            *exchange(8),
            *exchange(9, 7),
        )
        long = [record for at in range(1, 60) for record in exchange(at, at - 1 - (at == 30) or None)]

        def of(records):
            def draw(look, columns):
                there, screen = frontend(look, columns)
                there.say(tree_rows(Tree(Session.replay(records)), columns))
                return screen.printed

            return draw

        check("tree", {"straight": of(straight), "branched": of(branched), "long": of(long)})


class TestAtTheBottomOfTheScreen:
    def test_the_toolbar_is_as_recorded(self, tmp_path):
        chats = {
            "nearly empty": (chat_of(tmp_path / "a"), 0),
            "filling": (chat_of(tmp_path / "b", words=3_700, cost_usd=0.0123), 0),
            "full": (chat_of(tmp_path / "c", words=4_800), 0),
            "too long": (chat_of(tmp_path / "d"), 20_000),
        }

        def of(chat, draft_tokens):
            def draw(look, columns):
                line = Toolbar(unicode=True).line(chat, "", columns, draft_tokens=draft_tokens)
                return by_prompt_toolkit([line], look)

            return draw

        check("toolbar", {name: of(*given) for name, given in chats.items()}, EVERY_COLORED)

    @pytest.mark.parametrize("doing", ["choosing", "searching", "removing", "failing", "finding-nothing"])
    def test_the_list_of_sessions_is_as_recorded(self, doing):
        library = FakeLibrary(
            summary("trip", "A trip to Rome", preview="What is **there** to see in `Rome`?", hours=1),
            summary("tenki", "天気の話", preview="東京の天気は？", turns=1_234, hours=30),
            summary("untitled", preview="[a link](http://a.b) and more than fits in a narrow terminal " * 3),
        )
        words = {"searching": "rome", "finding-nothing": "nowhere"}.get(doing, "")
        state = PickerState(has_folder=True, words=words)
        state.take(pickable(library).listing(words, is_here=False))
        state.error = "the disk is full" if doing == "failing" else ""
        if doing == "removing":
            state.begin(Doing.REMOVING)

        def draw(look, columns):
            drawing = PickerDrawing(UNICODE, columns, LINES, NOW + timedelta(minutes=5), "tenki")
            rows = [*drawing.sessions(state).rows, *drawing.footer(state)]
            return by_prompt_toolkit(rows, look)

        check(f"sessions-{doing}", {doing: draw}, EVERY_COLORED)


class TestInTheShell:
    async def test_lines_about_a_turn_are_as_recorded(self):
        events = [
            Notice("window_unknown", "context window of X unknown, assuming 32,768 tokens"),
            TurnFailed(TurnResult("", "m", error=HINTED)),
        ]
        waits = [Waiting(3.0, "waiting for host"), LongProgress(1, 4, 1_200, 0.01, 90.0)]
        written = {}
        for look in (*COLORED.values(), UNCOLORED):
            for columns in WIDTHS:
                lines = []
                await show(StatusRenderer(lambda line, to=lines: to.append(f"{line}\n"), theme=look), events)
                line = WaitingLine(lines.append, theme=look, columns=lambda columns=columns: columns)
                for event in waits:
                    await line(event)
                    lines.append("\n")
                written[look, columns] = "".join(lines)
        check("turn", {"turn": lambda look, columns: written[look, columns]})

    def test_findings_of_the_doctor_are_as_recorded(self):
        findings = [
            Finding("connect", Status.OK, "127.0.0.1:8000 answers in 3 ms"),
            Finding("models", Status.WARNING, "the list is empty, which is unusual for a server", "check it"),
            Finding("key", Status.PROBLEM, "refused", "set OPENAI_API_KEY, or run chatcli config login"),
            Finding("answer", Status.SKIPPED, "not tried without a key"),
        ]

        def draw(look, columns):
            written = io.BytesIO()
            terminal = SizedTerminal(written, columns, LINES)
            terminal.stdout_colors = look.color_system
            lines = _Lines(terminal, quiet=False)
            for finding in findings:
                lines.write(finding)
            return written.getvalue().decode()

        check("doctor", {"findings": draw})

    def test_what_a_search_finds_is_as_recorded(self):
        excerpt = "東京の天気は？ And in a very long line about many other things, what is the weather in Rome like?"
        at = excerpt.index("weather")

        def draw(look, columns):
            written = io.BytesIO()
            terminal = SizedTerminal(written, columns, LINES)
            terminal.stdout_colors = look.color_system
            write_found(SearchHit(summary("trip", "A trip to Rome"), excerpt, (at, at + 7)), terminal)
            return written.getvalue().decode()

        check("search", {"found": draw})
