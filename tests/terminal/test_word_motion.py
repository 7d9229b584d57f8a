"""Words of the line editor, in scripts with and without blanks."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from chatcli.terminal.word_motion import WordBuffer, WordDocument
from chatcli.text.scripts import CJK_PUNCTUATION
from terminal.test_screen import desk

CTRL_W, ALT_BACKSPACE, ALT_B, ALT_F, ALT_D, CTRL_LEFT, CTRL_RIGHT = (
    "\x17",
    "\x1b\x7f",
    "\x1bb",
    "\x1bf",
    "\x1bd",
    "\x1b[1;5D",
    "\x1b[1;5C",
)
CTRL_A = "\x01"
MIXED = st.text(
    st.sampled_from(
        "今天天气很好学校食べるのらーめんカタカナﾊﾝ한국어abc12_é\u0301 \n　，。、！“”…—・「」（）.,/-'\ud800👍"
    )
)


def words(text, *, big=False):
    """Return the words that successive forward motions pass."""
    found, at = [], 0
    while end := WordDocument(text, at).find_next_word_ending(include_current_position=True, WORD=big):
        found.append(text[at : at + end].strip())
        at += end
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天天气很好，我们去公园吧。", "今天|天气|很好|，|我们|去公|园吧|。"),
        ("你好吗", "你好|吗"),
        ("私は学校へ行きました。", "私は|学校へ|行きました|。"),
        ("東京大学の大学生が食べる", "東京|大学の|大学|生が|食べる"),
        ("らーめんとカレーライス", "らーめんと|カレーライス"),
        ("ｶﾀｶﾅと漢字", "ｶﾀｶﾅ|と|漢字"),
        ("한국어 문장입니다。", "한국어|문장입니다|。"),
        ("用Python3写代码", "用|Python3|写代|码"),
        ("他说“你好”……", "他说|“|你好|”……"),
        ("「はい」と", "「|はい|」|と"),
        ("café naïve", "café|naïve"),
        ("cafe\u0301s हिन्दी में", "cafe\u0301s|हिन्दी|में"),
        ("see src/main.py now", "see|src|/|main|.|py|now"),
        ("中\U000e0100文\ufe00字", "中\U000e0100文\ufe00|字"),
        ("a\ud800\ud801.", "a|\ud800|\ud801|."),
        ("一\n二", "一|二"),
    ],
)
def test_a_word_ends_with_its_script_with_punctuation_and_after_two_han(text, expected):
    assert words(text) == expected.split("|")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see src/main.py now", "see|src/main.py|now"),
        ("看src/main.py，好吗？", "看|src/main.py|，|好吗|？"),
        ("他说“hello, world”。", "他说|“|hello,|world|”。"),
        ("don’t", "don’t"),
    ],
)
def test_a_big_word_is_bounded_by_blanks_and_as_others_in_chinese_and_japanese(text, expected):
    assert words(text, big=True) == expected.split("|")


@given(MIXED, st.booleans())
def test_forwards_and_backwards_pass_the_same_words_and_miss_no_letter(text, big):
    ends, at = [], 0
    while step := WordDocument(text, at).find_next_word_ending(include_current_position=True, WORD=big):
        at += step
        ends.append(at)
    starts, at = [], len(text)
    while step := WordDocument(text, at).find_previous_word_beginning(WORD=big):
        at += step
        starts.append(at)
    spans = list(zip(reversed(starts), ends, strict=True))
    covered = {place for start, end in spans for place in range(start, end)}
    assert covered == {place for place, letter in enumerate(text) if not letter.isspace()}
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    # A word has the same bounds from anywhere inside it: they depend on the text alone.
    for start, end in spans:
        for at in range(start, end):
            document = WordDocument(text, at)
            assert document.find_boundaries_of_current_word(WORD=big) == (start - at, end - at)
            assert document.find_next_word_ending(include_current_position=True, WORD=big) == end - at
            assert at == start or document.find_previous_word_beginning(WORD=big) == start - at


@given(MIXED, st.data(), st.booleans())
def test_a_deletion_takes_marks_or_words_and_never_goes_past_a_mark(text, data, big):
    at = data.draw(st.integers(0, len(text)))
    document = WordDocument(text, at)
    before = text[at + (document.find_start_of_previous_word(WORD=big) or 0) : at]
    after = text[at : at + (document.find_next_word_ending(include_current_position=True, WORD=big) or 0)]
    for deleted in (before.strip(), after.strip()):
        marks = re.findall(f"[{CJK_PUNCTUATION}“”…—]", deleted)
        assert not marks or len(marks) == len(deleted)


@given(st.text(st.sampled_from("ab1_ \n.,-/")), st.data())
def test_in_ascii_the_motions_of_vi_are_those_of_prompt_toolkit(text, data):
    at = data.draw(st.integers(0, len(text)))
    ours, theirs = WordDocument(text, at), Document(text, at)
    for big in (False, True):
        assert ours.find_next_word_beginning(WORD=big) == theirs.find_next_word_beginning(WORD=big)
        assert ours.find_previous_word_beginning(WORD=big) == theirs.find_previous_word_beginning(WORD=big)
        assert ours.find_start_of_previous_word(WORD=big) == theirs.find_start_of_previous_word(WORD=big)


@pytest.mark.parametrize("key", [CTRL_W, ALT_BACKSPACE])
async def test_deleting_back_takes_a_chinese_sentence_word_by_word(key):
    async with desk() as found:
        left = []
        await found.type("今天很好，我们去吧")
        for _ in range(6):
            await found.type(key)
            left.append(found.screen.composer.text)
        assert left == ["今天很好，我们", "今天很好，", "今天很好", "今天", "", ""]


async def test_deleting_forward_stops_at_each_mark_and_what_was_cut_comes_back():
    async with desk() as found:
        await found.type("我，b c", CTRL_A)
        left = []
        for _ in range(3):
            await found.type(ALT_D)
            left.append(found.screen.composer.text)
        assert left == ["，b c", "b c", " c"]
        await found.type("\x19")
        assert found.screen.composer.text == "我，b c"


@pytest.mark.parametrize(("back", "forward"), [(ALT_B, ALT_F), (CTRL_LEFT, CTRL_RIGHT)])
async def test_moving_by_words_stops_at_scripts_and_marks(back, forward):
    async with desk() as found:
        await found.type("我用Python，好")
        buffer = found.screen.composer.buffer
        places = []
        for _ in range(4):
            await found.type(back)
            places.append(buffer.cursor_position)
        for _ in range(4):
            await found.type(forward)
            places.append(buffer.cursor_position)
        assert places == [9, 8, 2, 0, 2, 8, 9, 10]


async def test_vi_moves_by_the_same_words():
    async with desk(editing_mode=lambda: "vi") as found:
        buffer = found.screen.composer.buffer
        assert isinstance(buffer, WordBuffer)
        buffer.text = "今天很好，走"
        buffer.cursor_position = 4
        assert buffer.document.find_next_word_beginning() == 1
        assert buffer.document.find_next_word_ending() == 2
        assert buffer.document.find_previous_word_ending() == 0
