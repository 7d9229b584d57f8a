from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from chatcli.render.reasoning import Reasoning
from render.markdown.drawn import COLORED, PLAIN, written

CHARACTERS = st.sampled_from(
    ["a", "bc", "longword", " ", "  ", "\n", "\t", "中", "文字，", "（", "é", "e\u0301", "👍🏽", "👨‍👩‍👧", "❤️", "🇫🇷", "क्ष", "\x1b", "\u0301"]
)  # fmt: skip
TEXTS = st.lists(CHARACTERS, max_size=60).map("".join)


class WrittenReasoning:
    """``Reasoning`` with its lines as terminal output."""

    def __init__(self, theme):
        self._reasoning = Reasoning(theme)

    def feed(self, text, columns):
        return written(self._reasoning.feed(text, columns))

    def finish(self, columns):
        return written(self._reasoning.finish(columns))

    def tail(self, columns, rows):
        return [written(row) for row in self._reasoning.tail(columns, rows)]

    def fold(self, elapsed_s):
        return written([self._reasoning.fold(elapsed_s)])


def reasoning(theme=PLAIN):
    return WrittenReasoning(theme)


def lines_of(text, columns, *, cuts=()):
    """Return all lines of ``text``, fed in chunks."""
    thoughts = reasoning()
    places = sorted({0, *(cut % (len(text) + 1) for cut in cuts), len(text)})
    chunks = [text[start:end] for start, end in pairwise(places)]
    printed = "".join(thoughts.feed(chunk, columns) for chunk in chunks) + thoughts.finish(columns)
    assert printed == "" or printed.endswith("\n")
    return printed.split("\n")[:-1]


def letters(text):
    return re.sub(r"\s", "", text)


def test_lines_are_wrapped_between_words_behind_a_bar():
    assert lines_of("The capital of France is Paris.\n\n\nEasy.\n\n", 14) == [
        "┊ The capital",
        "┊ of France is",
        "┊ Paris.",
        "┊",
        "┊ Easy.",
    ]


def test_a_line_is_given_back_once_and_its_unfinished_rest_is_the_tail():
    thoughts = reasoning()
    assert thoughts.feed("one two", 9) == ""
    assert thoughts.tail(9, 3) == ["┊ one two"]
    assert thoughts.feed(" three", 9) == "┊ one two\n"
    assert thoughts.tail(9, 3) == ["┊ three"]
    assert thoughts.tail(5, 3) == ["┊ thr", "┊ ee"]
    assert thoughts.tail(5, 1) == ["┊ ee"]
    assert thoughts.finish(9) == "┊ three\n"
    assert thoughts.tail(9, 3) == []
    assert thoughts.finish(9) == ""


def test_words_too_long_for_a_line_are_cut_and_indents_stay():
    assert lines_of("  if x:\n      abcdefghijkl", 10) == ["┊   if x:", "┊       ab", "┊ cdefghij", "┊ kl"]


def test_scripts_without_blanks_are_broken_between_characters_but_not_before_a_full_stop():
    assert lines_of("首都是巴黎。对。", 12) == ["┊ 首都是巴", "┊ 黎。对。"]
    assert lines_of("It is 巴黎市", 12) == ["┊ It is 巴黎", "┊ 市"]


def test_every_line_is_painted_for_itself():
    thoughts = reasoning(COLORED)
    style = COLORED.paint("|", "reasoning").split("|")
    assert thoughts.feed("one\ntwo", 20) == "┊ one".join(style) + "\n"
    assert thoughts.tail(20, 1) == ["┊ two".join(style)]
    assert thoughts.fold(1) == "thought for 1 s (2 words)".join(style)


def test_control_characters_are_made_visible():
    assert lines_of("a\x1b[2Jb", 20) == ["┊ a␛[2Jb"]


def test_folded_it_is_one_line_of_how_long_and_how_much():
    thoughts = reasoning()
    thoughts.feed("The capital of Fra", 40)
    thoughts.feed("nce.\n", 40)
    assert thoughts.fold(12.4) == "thought for 12 s (4 words)"
    thoughts.feed("巴黎 it is " * 400, 40)
    assert thoughts.fold(2) == "thought for 2 s (1,600 words)"
    thoughts.feed("Paris", 40)
    thoughts.finish(40)
    assert thoughts.fold(0.2) == "thought briefly (1 word)"


def test_thoughts_that_are_kept_secret_have_no_words():
    assert reasoning().fold(3) == "thought for 3 s"


def test_text_after_the_end_starts_anew():
    thoughts = reasoning()
    thoughts.feed("one", 20)
    thoughts.fold(1)
    assert thoughts.tail(20, 3) == []
    assert thoughts.feed("two\n", 20) == "┊ two\n"
    assert thoughts.fold(1) == "thought for 1 s (1 word)"


@given(TEXTS, st.integers(1, 30), st.lists(st.integers(0, 200), max_size=8))
def test_the_lines_do_not_depend_on_how_the_text_was_cut(text, columns, cuts):
    assert lines_of(text, columns, cuts=cuts) == lines_of(text, columns)


@given(TEXTS, st.integers(4, 30))
def test_nothing_is_lost_and_no_line_is_too_wide(text, columns):
    lines = lines_of(text, columns)
    shown = letters("".join(line.removeprefix("┊") for line in lines))
    assert shown == letters(text.replace("\x1b", "␛"))
    assert all(width(line) <= columns for line in lines)


@given(TEXTS, st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_a_resize_loses_nothing(text, widths):
    thoughts = reasoning()
    printed = ""
    for at, character in enumerate(text):
        printed += thoughts.feed(character, widths[at % len(widths)])
    printed += thoughts.finish(widths[0])
    assert letters(printed.replace("┊", "")) == letters(text.replace("\x1b", "␛"))


@given(TEXTS, st.lists(st.integers(0, 200), max_size=8))
def test_words_are_counted_the_same_however_the_text_was_cut(text, cuts):
    whole, cut = reasoning(), reasoning()
    whole.feed(text, 40)
    places = sorted({0, *(place % (len(text) + 1) for place in cuts), len(text)})
    for start, end in pairwise(places):
        cut.feed(text[start:end], 40)
    whole.finish(40)
    cut.finish(40)
    assert cut.fold(0) == whole.fold(0)


class TestAThoughtWithoutAnEnd:
    def test_is_given_back_line_by_line(self):
        thoughts = reasoning()
        for text in ("x" * 50_000, "中" * 25_000, "word " * 10_000, "x" + "\u0301" * 50_000):
            given = 0
            for start in range(0, len(text), 40):
                given += thoughts.feed(text[start : start + 40], 42).count("\n")
                # The work for a frame stays small, however long the text is.
                assert len(thoughts.tail(42, 99)) <= 2
            assert given > len(text) / 42 / 40
            thoughts.fold(1)

    def test_may_also_arrive_in_one_chunk(self):
        thoughts = reasoning()
        assert thoughts.feed("x" * 50_000, 42).count("\n") == 1249
        assert thoughts.tail(42, 5) == ["┊ " + "x" * 40]
