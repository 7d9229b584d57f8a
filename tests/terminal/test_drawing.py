"""Drawing: widths, tables, the activity line, the tail, the toolbar."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, to_formatted_text
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import TransformationInput
from prompt_toolkit.styles import Style
from rich.segment import Segment
from wcwidth import width

from chatcli.core.events import (
    ReasoningDelta,
    Retrying,
    TextDelta,
    Waiting,
)
from chatcli.render.printing import as_written
from chatcli.render.text_columns import table
from chatcli.render.themes import PALETTES, theme
from chatcli.render.word_wrap import wrapped
from chatcli.terminal.activity import Activity
from chatcli.terminal.screen_rows import TailControl
from chatcli.terminal.steady_widths import SteadyWidths
from conversation.fakes import ManualClock

WRITING = st.text("ab 中文字é👍🏽👨‍👩‍👧❤️\u200d\ufe0f1", max_size=40)


WORDS = st.lists(
    st.sampled_from(["a", "bc", " ", "中", "文字", "é", "👍🏽", "👨‍👩‍👧", "❤️", "1"]), max_size=30
).map("".join)
"""Whole characters: of halves of an emoji nobody knows how wide they are drawn."""


def shown(text):
    """Return the drawn form of ``text``, and both mappings between positions in the text and in it."""
    source = TransformationInput(
        BufferControl(Buffer()), Document(text), 0, lambda at: at, [("", text)], 80, 24
    )
    transformed = SteadyWidths().apply_transformation(source)
    drawn = "".join(fragment[1] for fragment in transformed.fragments)
    return drawn, transformed.source_to_display, transformed.display_to_source


class TestEmojiInTheComposer:
    def test_are_drawn_without_what_melts_them_together(self):
        assert shown("a 👨‍👩‍👧 b")[0] == "a 👨👩👧 b"
        assert shown("👍🏽 ❤️")[0] == "👍 ❤"

    def test_leave_other_scripts_as_they_are(self):
        assert shown("क्‍ष नमस्ते ‍x")[0] == "क्‍ष नमस्ते ‍x"

    @given(WRITING)
    def test_keep_every_place_where_the_cursor_can_be(self, text):
        drawn, to_display, to_source = shown(text)
        places = [to_display(at) for at in range(len(text) + 2)]
        assert places == sorted(places)
        assert places[len(text)] == len(drawn)
        assert [to_display(to_source(at)) for at in range(len(drawn) + 1)] == list(range(len(drawn) + 1))
        assert "".join(text[to_source(at)] for at in range(len(drawn))) == drawn


class TestWrappedText:
    @given(WORDS, st.integers(2, 20))
    def test_is_never_wider_than_there_is_room(self, text, columns):
        assert all(width(row) <= columns for row in wrapped(text, columns).split("\n"))

    def test_keeps_its_lines_and_their_indents(self):
        assert (
            wrapped("one two three\n  four five six\n\nend", 10)
            == "one two\nthree\n  four\n  five six\n\nend"
        )

    @pytest.mark.parametrize(
        ("text", "columns", "rows"),
        [
            (
                "check base_url for typos or add --base-url",
                40,
                ["check base_url for typos or", "add --base-url"],
            ),
            (
                "ask it again with --base-url URL or with another",
                30,
                ["ask it again", "with --base-url URL or with", "another"],
            ),
            (
                "to keep a key, run chatcli config login now",
                30,
                ["to keep a key, run", "chatcli config login now"],
            ),
            ("well-known half-read words", 12, ["well-known", "half-read", "words"]),
            (
                "kept in /home/somebody/data/chatcli.toml as ever",
                20,
                ["kept in", "/home/somebody/data/chatcli.toml", "as ever"],
            ),
        ],
    )
    def test_never_cuts_what_is_to_be_typed(self, text, columns, rows):
        assert wrapped(text, columns).split("\n") == rows

    @given(
        st.lists(
            st.sampled_from(
                [
                    "see",
                    "well-known",
                    "--base-url",
                    "URL",
                    "/login",
                    "/home/you/a-file.md",
                    "chatcli",
                    "config",
                    "字",
                ]
            ),
            min_size=1,
        ),
        st.integers(1, 60),
    )
    def test_keeps_every_word_whole_that_fits(self, words, columns):
        rows = wrapped(" ".join(words), columns).split("\n")
        assert all(width(row) <= columns or " " not in row for row in rows)
        if columns >= max(map(width, words)):
            assert [word for row in rows for word in row.split(" ")] == words

    def test_is_styled_line_by_line_or_not_at_all(self):
        assert theme("dark", "256").paint("a\n\nb", "remark") == "\x1b[2ma\x1b[0m\n\n\x1b[2mb\x1b[0m"
        assert theme("dark", None).paint("a", "error") == "a"


class TestATable:
    def test_lines_its_columns_up_whatever_the_script(self):
        assert table([("北京", "1"), ("Rome", "22")], 80) == "北京  1\nRome  22"
        assert table([("a", "1"), ("b", "22")], 80, right={1}) == "a   1\nb  22"

    def test_has_no_column_for_what_is_never_there(self):
        assert table([("", "a"), ("", "b")], 80) == "a\nb"

    def test_without_rows_is_nothing(self):
        assert table([], 80) == ""

    @given(st.lists(st.tuples(WORDS, WORDS), max_size=5))
    def test_is_the_same_in_a_pipe_as_on_a_screen_with_room(self, rows):
        assert table(rows, sys.maxsize, right={1}) == table(rows, 1_000, right={1})

    @given(st.lists(st.tuples(WORDS, WORDS), max_size=5), st.integers(1, 60))
    def test_is_cut_at_the_edge(self, rows, columns):
        assert all(width(line) <= columns for line in table(rows, columns).split("\n"))


class TestTheMovingLine:
    def start(self, what="waiting"):
        clock = ManualClock()
        activity = Activity(unicode=False, clock=clock)
        activity.begin(what)
        return activity, clock

    def test_is_not_there_for_what_is_over_at_once(self):
        activity, clock = self.start()
        assert activity.line() == ""
        clock.now_s += 0.3
        assert activity.line().endswith("waiting 0 s · Ctrl-C stops")
        activity.end()
        assert activity.line() == ""

    async def test_follows_the_turn(self):
        activity, clock = self.start()
        clock.now_s += 2
        await activity(Waiting(2.0, "waiting for host"))
        assert "waiting for host 2 s" in activity.line()
        await activity(ReasoningDelta("hm"))
        assert "thinking 0 s" in activity.line()
        clock.now_s += 3
        await activity(ReasoningDelta("hm"))
        assert "thinking 3 s" in activity.line()
        await activity(TextDelta("Hi"))
        assert "answering 5 s" in activity.line()

    async def test_over_a_slow_connection_only_the_seconds_change(self):
        clock = ManualClock()
        activity = Activity(unicode=True, slow=True, clock=clock)
        activity.begin("waiting")
        clock.now_s += 1.0
        lines = set()
        for _ in range(9):
            clock.now_s += 0.05
            lines.add(activity.line())
        assert lines == {"… waiting 1 s · Ctrl-C stops"}
        assert activity.step_s == 1.0

    async def test_slows_down_for_good_once_what_is_drawn_does_not_get_through(self):
        activity, clock = self.start()
        assert activity.step_s == 0.1
        activity.slow_down()
        clock.now_s += 1
        assert activity.step_s == 1.0
        assert activity.line().startswith("* ")

    async def test_counts_down_to_the_next_attempt(self):
        activity, clock = self.start()
        await activity(Retrying(2, 7.0, "429"))
        clock.now_s += 2.5
        assert activity.line()[2:] == "429, retrying in 5 s (attempt 2) · Enter tries now · Ctrl-C stops"
        clock.now_s += 10
        assert "attempt 2 12 s" in activity.line()

    async def test_stops_counting_down_when_the_person_cannot_wait(self):
        activity, clock = self.start()
        await activity(Retrying(2, 7.0, "429"))
        clock.now_s += 2
        activity.stop_countdown()
        assert activity.line().endswith("attempt 2 2 s · Ctrl-C stops")

    async def test_says_how_long_nothing_more_has_come(self):
        activity, clock = self.start()
        clock.now_s += 2
        await activity(TextDelta("Hi"))
        clock.now_s += 12
        assert "answering, nothing new for 12 s" in activity.line()
        await activity(TextDelta("."))
        assert "answering 14 s" in activity.line()

    async def test_says_nothing_where_nothing_is_going_on(self):
        activity = Activity(unicode=True, clock=ManualClock())
        await activity(TextDelta("Hi"))
        assert not activity.is_busy
        assert activity.line() == ""


def test_the_tail_shows_its_last_rows_where_there_is_no_room_for_all():
    bold = theme("dark", "standard").segment("three", "strong")
    control = TailControl(lambda: [[Segment("one")], [Segment("two")], [Segment("and "), bold]])
    assert control.preferred_height(80, 2, False, None) == 2
    content = control.create_content(80, 2)
    lines = [content.get_line(at) for at in range(content.line_count)]
    assert lines == [[("", "two")], [("", "and "), ("bold", "three")]]


@pytest.mark.parametrize("system", ["standard", "256", "truecolor"])
@pytest.mark.parametrize("name", ["dark", "light"])
def test_the_tail_is_shown_in_the_styles_it_will_be_printed_in(name, system):
    look = theme(name, system)
    for role, _, _ in PALETTES[name]:
        row = [look.segment("x", role, "strike")]
        (shown,) = TailControl(lambda row=row: [row]).create_content(80, 1).get_line(0)
        (printed,) = to_formatted_text(ANSI(as_written(row)))
        attributes = [Style([]).get_attrs_for_style_str(style) for style, _ in (shown, printed)]
        assert attributes[0] == attributes[1], role
