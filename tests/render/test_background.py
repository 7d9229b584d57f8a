from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.render.background import ReplyFilter, background_from_environment, background_of

ESCAPE_SEQUENCES = [
    "\x1b",
    "\x1b[A",
    "\x1b[1;5C",
    "\x1bOP",
    "\x1b[200~pasted\x1b[201~",
    "\x1b\r",
    "\x1b[3~",
    "[",
    "]",
]
REPLIES = {
    "\x1b]11;rgb:ffff/ffff/ffff\x07": ["rgb:ffff/ffff/ffff"],
    "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\": ["rgb:1e1e/1e1e/1e1e"],
    "\x1b]11;#fdf6e3\x9c": ["#fdf6e3"],
    "\x1b]11;rgba:0000/0000/0000/ffff\x1b\\\x1b[?62;22c": ["rgba:0000/0000/0000/ffff", None],
    "\x1b[?1;2c": [None],
    "\x1b[?6c": [None],
}


@pytest.mark.parametrize(
    ("value", "background"),
    [
        *((f"15;{number}", "dark") for number in (0, 1, 2, 3, 4, 5, 6, 8)),
        *((f"0;{number}", "light") for number in (7, 9, 10, 11, 12, 13, 14, 15)),
        ("15;default;0", "dark"),
        ("0;default;15", "light"),
        ("0", "dark"),
        ("", None),
        ("default;default", None),
        ("0;16", None),
        ("0;-1", None),
        ("0;¹", None),
    ],
)
def test_the_variable_names_the_background_last(value, background):
    assert background_from_environment({"COLORFGBG": value}) == background


def test_without_the_variable_nothing_is_known():
    assert background_from_environment({}) is None


@pytest.mark.parametrize(
    ("color", "background"),
    [
        ("rgb:ffff/ffff/ffff", "light"),
        ("rgb:ff/ff/ff", "light"),
        ("rgb:f/f/f", "light"),
        ("rgb:fd/f6/e3", "light"),
        ("rgb:0000/0000/0000", "dark"),
        ("rgb:002b/0036/0000", "dark"),
        ("RGB:1E1E/1E1E/1E1E", "dark"),
        ("rgba:ffff/ffff/ffff/ffff", "light"),
        ("rgba:0000/0000/0000/cccc", "dark"),
        ("#ffffff", "light"),
        ("#fff", "light"),
        ("#1e1e1e", "dark"),
        ("#fdfdf6f6e3e3", "light"),
        ("#282a36", "dark"),
        ("rgb:0000/0000/ffff", "dark"),
        ("rgb:ffff/ffff/0000", "light"),
        ("", None),
        ("white", None),
        ("#ffff", None),
        ("rgb:ffff/ffff", None),
        ("rgb:fffff/0/0", None),
    ],
)
def test_a_colour_is_dark_or_light(color, background):
    assert background_of(color) == background


def chunks(text, cuts):
    ends = sorted({min(cut, len(text)) for cut in cuts})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


keys = st.lists(
    st.sampled_from(ESCAPE_SEQUENCES) | st.text(max_size=5).filter(lambda text: "\x1b" not in text)
)


@given(
    before=keys.map("".join),
    reply=st.sampled_from(list(REPLIES)),
    after=keys.map("".join),
    cuts=st.lists(st.integers(0, 80)),
)
def test_an_answer_is_taken_out_of_the_keys_however_it_is_cut(before, reply, after, cuts):
    answers = []
    replies = ReplyFilter(answers.append)
    typed = "".join(replies.feed(chunk) for chunk in chunks(before + reply + after, cuts)) + replies.flush()
    assert typed == before + after
    assert answers == REPLIES[reply]


@given(keys.map("".join), st.lists(st.integers(0, 80)))
def test_text_that_is_no_reply_passes(typed, cuts):
    replies = ReplyFilter(pytest.fail)
    assert "".join(replies.feed(chunk) for chunk in chunks(typed, cuts)) + replies.flush() == typed


@pytest.mark.parametrize("key", ["\x1b", "\x1b[", "\x1b]"])
def test_a_key_that_could_start_a_reply_passes_if_nothing_follows(key):
    replies = ReplyFilter(pytest.fail)
    assert replies.feed("a" + key) == "a"
    assert replies.flush() == key
    assert replies.flush() == ""


@pytest.mark.parametrize(
    "begun", ["\x1b]1", "\x1b]11;", "\x1b]11;rgb:ff", "\x1b]11;rgb:ff\x1b", "\x1b[?", "\x1b[?62;"]
)
def test_an_answer_on_its_way_is_waited_for(begun):
    replies = ReplyFilter(pytest.fail)
    assert replies.feed(begun) == ""
    assert replies.flush() == ""


def test_no_part_of_a_cut_reply_becomes_a_key():
    replies = ReplyFilter(pytest.fail)
    assert replies.feed("\x1b]11;rgb:ff") == ""
    assert replies.feed("hello\r") == "hello\r"
