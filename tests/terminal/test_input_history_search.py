"""Ctrl-R: the list of earlier texts, searched as the person types."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.data_structures import Size
from wcwidth import width

from chatcli.terminal.input_history import HistorySearch
from chatcli.text.search_text import folded, places
from terminal.test_screen import CTRL_C, ENTER, desk

CTRL_R, CTRL_UNDO, ESCAPE, DOWN, UP = "\x12", "\x1f", "\x1b", "\x1b[B", "\x1b[A"
TYPED = [
    "what is a monad",
    "北京天气怎么样？",
    "東京のｷﾞﾀｰ",
    "first line\nsecond one\nabout monads",
    "北京烤鸭",
]


def search(*typed, rows=20, columns=60, unicode=True):
    found = HistorySearch(
        typed=lambda: typed,
        take=[].append,
        closed=lambda: None,
        size=lambda: Size(rows=rows, columns=columns),
        unicode=unicode,
    )
    found.open()
    return found


def rows(found):
    return "".join(text for _, text in found._rows()).split("\n")


def highlighted(found):
    return [text for style, text in found._rows() if style.endswith("match")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("北京", ["❯ 北京烤鸭", "  北京天气怎么样？"]),
        ("ギター", ["❯ 東京のｷﾞﾀｰ"]),
        ("ｷﾞﾀ", ["❯ 東京のｷﾞﾀｰ"]),
        ("怎么样?", ["❯ 北京天气怎么样？"]),
        ("ＭＯＮＡＤ", ["❯ about monads +2 lines", "  what is a monad"]),
        ("monad is", ["❯ what is a monad"]),
        ("no such", ["nothing you typed matches"]),
    ],
)
def test_texts_with_all_the_words_are_listed_the_newest_first_in_any_width_and_case(words, expected):
    found = search(*TYPED)
    found.buffer.text = words
    assert rows(found) == expected


def test_every_word_is_highlighted_as_it_was_written():
    found = search("Ｐｙｔｈｏｎ and python, ｷﾞﾀｰ")
    found.buffer.text = "python ギター"
    assert highlighted(found) == ["Ｐｙｔｈｏｎ", "python", "ｷﾞﾀｰ"]


def test_a_text_that_was_typed_twice_is_listed_once_where_it_was_typed_last():
    assert rows(search("a", "b", "a")) == ["❯ a", "  b"]


def test_a_match_far_behind_is_brought_into_sight():
    found = search("很长的" * 40 + "西安 and more", columns=40)
    found.buffer.text = "西安"
    assert highlighted(found) == ["西安"]


@given(
    st.text(st.sampled_from("北京ｷﾞギa é\u0301🇨🇳👩‍👧\x1b\n。"), max_size=60),
    st.text(st.sampled_from("北京ギキea"), max_size=3),
    st.integers(1, 80),
    st.booleans(),
)
def test_no_row_is_wider_than_the_screen(text, words, columns, unicode):
    found = search(text, columns=columns, unicode=unicode)
    found.buffer.text = words
    assert all(width(row) <= max(columns - 1, 3) for row in [*rows(found), found._footer()])


@given(st.text(st.sampled_from("北京ｷﾞギガaA é\u0301ﬁß")), st.text(st.sampled_from("北京ギaéfs"), min_size=1))
def test_places_are_in_order_and_fold_to_what_was_looked_for(text, word):
    spans = places(text, [folded(word)])
    assert spans == sorted(spans)
    assert all(folded(word) in folded(text[start:end]) for start, end in spans)


async def test_arrows_and_ctrl_r_move_enter_takes_it_and_undo_brings_the_draft_back():
    async with desk() as found:
        for text in ("one", "two", "three"):
            found.history.append_string(text)
        await found.type("my draft", CTRL_R)
        assert found.glass.shown.startswith("search:\n❯ three\n  two\n  one\n1 of 3 · Enter takes it")
        assert "my draft" not in found.glass.shown
        await found.type(CTRL_R, DOWN, UP)
        assert "❯ two" in found.glass.shown
        await found.type(ENTER)
        assert found.glass.shown == "> two\ntoolbar"
        await found.type(CTRL_UNDO)
        assert found.screen.composer.text == "my draft"


async def test_a_long_paste_that_is_taken_is_folded_as_it_was():
    async with desk() as found:
        await found.type("\x1b[200~" + "line\n" * 40 + "\x1b[201~", ENTER)
        await found.type(CTRL_R, "line", ENTER)
        assert found.glass.shown.endswith("\n> [pasted 40 lines]\ntoolbar")
        assert found.screen.composer.text == "line\n" * 40


async def test_lines_pasted_into_the_search_are_searched_for_as_words():
    async with desk() as found:
        found.history.append_string("one and two")
        await found.type(CTRL_R, "\x1b[200~one\ntwo\x1b[201~")
        assert found.glass.shown.startswith("search: one two\n❯ one and two")


@pytest.mark.parametrize("key", [CTRL_C, ESCAPE, "\x07"])
async def test_leaving_the_list_gives_the_draft_back(key):
    async with desk() as found:
        found.history.append_string("北京")
        await found.type("my draft", CTRL_R, "北", key)
        await found.until(lambda: found.glass.shown == "> my draft\ntoolbar")


async def test_a_question_of_the_program_closes_the_list_and_keeps_the_draft():
    async with desk() as found:
        await found.type("my draft", CTRL_R)
        asking = asyncio.ensure_future(found.screen.ask("Sure? "))
        await found.settle()
        assert "search" not in found.glass.shown
        await found.type("yes", ENTER)
        assert await asking == "yes"
        await found.settle()
        assert found.glass.shown == "> my draft\ntoolbar"


async def test_what_is_going_on_is_not_stopped_by_leaving_the_list():
    async with desk() as found, found.working() as work:
        await found.type(CTRL_R, CTRL_C)
        assert not work.done()


async def test_on_twelve_rows_the_list_leaves_room_for_the_rest():
    async with desk() as found:
        found.screen.application.output.size = Size(rows=12, columns=40)
        for at in range(40):
            found.history.append_string(f"text {at}")
        await found.type(CTRL_R)
        await found.until(lambda: found.glass.shown.count("text ") == 6)
        await found.type(*[DOWN] * 9)
        assert "❯ text 30" in found.glass.shown
        assert "10 of 40" in found.glass.shown
