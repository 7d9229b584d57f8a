"""The terminal sanitizer."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatcli.text.sanitizer import SUSPICIOUS, TerminalSanitizer, sanitize, sanitize_line, takes_commands

FLAG_OF_WALES = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"

ingredients = st.sampled_from(
    [
        *"a1#é字が\n\t\r\x1b\x00\x7f\x9b ",
        *"\u200b\u200c\u200d\u200e\u202e\u2066\u2028\ufe00\ufe0e\ufe0f\ufeff\u20e3\u00ad\u3164\ud800\udc00\uffff",
        *"👩💻🏽♂❤\U0001f3f4\U0001f1fa",
        *"\U000e0067\U000e0062\U000e0065\U000e0031\U000e007f\U000e0041\U000e0100",
        *"میخ\u064eक\u094dष\u0dcaර\u1820\u180b",
        FLAG_OF_WALES,
        "\U0001f3f4\U000e0067\U000e0062",
        "\r\n",
    ]
)
texts = st.lists(ingredients, max_size=30).map("".join) | st.text()


def fed(chunks):
    sanitizer = TerminalSanitizer()
    return "".join([*map(sanitizer.feed, chunks), sanitizer.finish()])


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x00\x08\x7f", "␀␈␡"),
        ("\x9b31m\x85", "<U+009B>31m<U+0085>"),
        ("over\rwritten", "over␍written"),
        ("one\r\ntwo", "one\ntwo"),
        ("one\r\r\ntwo\r", "one␍\ntwo␍"),
        ("\ud800x\udfff", "<U+D800>x<U+DFFF>"),
        ("abc\u202ecba\u202c", "abc<U+202E>cba<U+202C>"),
        ("\u2066\u2069\u061c\u200e\u200f", "<U+2066><U+2069><U+061C><U+200E><U+200F>"),
        ("pass\u200bword\ufeff\u2060", "pass<U+200B>word<U+FEFF><U+2060>"),
        ("soft\u00adhyphen", "soft<U+00AD>hyphen"),
        ("\u3164\u115f\u1160\uffa0", "<U+3164><U+115F><U+1160><U+FFA0>"),
        ("a\u2028b\u2029c", "a<U+2028>b<U+2029>c"),
        ("\ufff9a\ufffab\ufffb", "<U+FFF9>a<U+FFFA>b<U+FFFB>"),
        ("\ufdd0\uffff\U0010ffff", "<U+FDD0><U+FFFF><U+10FFFF>"),
        ("hi\U000e0068\U000e0069", "hi<U+E0068><U+E0069>"),
        ("\u180e", "<U+180E>"),
    ],
)
def test_what_would_act_or_hide_becomes_visible(hostile, shown):
    assert sanitize(hostile) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain text,\nwith a\ttab",
        "Größe, 日本語, 한국어, العربية, עברית, e\u0301",
        "👩‍💻 👨‍👩‍👧‍👦 🏴‍☠️ 👁️‍🗨️",
        "👩🏽‍💻 🧔🏽‍♂️ ❤️‍🔥 🏳️‍🌈 👩‍❤️‍💋‍👨",
        "❤️ ☎︎ ©️ 1️⃣ #️⃣ *️⃣",
        "🇫🇷 🇩🇪",
        FLAG_OF_WALES,
        FLAG_OF_WALES + " and " + FLAG_OF_WALES,
        "葛\U000e0100飾 \u8fbb\ufe00",
        "می\u200cخواهم کتاب\u200cها",
        "क\u094d\u200dष क\u094d\u200cष",
        "ශ\u0dca\u200dර\u0dd3",
        "ರ\u200d\u0ccdಯ",
        "\u1820\u180b\u1821",
    ],
)
def test_text_that_people_write_is_kept(text):
    assert sanitize(text) == text
    assert fed(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200db", "a<U+200D>b"),
        ("👩\u200dx", "👩<U+200D>x"),
        ("👩\u200d", "👩<U+200D>"),
        ("\u200d💻", "<U+200D>💻"),
        ("👩\u200d\u200d💻", "👩<U+200D><U+200D>💻"),
        ("a\ufe0f", "a<U+FE0F>"),
        ("1\ufe0f", "1<U+FE0F>"),
        ("😀\ufe0f\ufe01\ufe0f", "😀\ufe0f<U+FE01><U+FE0F>"),
        ("字\U000e0100\U000e0101", "字\U000e0100<U+E0101>"),
        ("😀\U000e0100", "😀<U+E0100>"),
        ("م\u200cx", "م<U+200C>x"),
        ("م\u200cक", "م<U+200C>क"),
        ("م\u200c1", "م<U+200C>1"),
        ("م\u200c", "م<U+200C>"),
        ("م\u200c\u200cم", "م<U+200C><U+200C>م"),
        ("\U0001f3f4\U000e0067", "\U0001f3f4<U+E0067>"),
        ("\U0001f3f4\U000e007f", "\U0001f3f4<U+E007F>"),
        (FLAG_OF_WALES + "\U000e0067", FLAG_OF_WALES + "<U+E0067>"),
        ("\U0001f3f4" + "\U000e0067" * 7 + "\U000e007f", "\U0001f3f4" + "<U+E0067>" * 7 + "<U+E007F>"),
    ],
)
def test_an_invisible_character_out_of_its_place_is_shown(text, shown):
    assert sanitize(text) == shown
    assert fed(text) == shown


@given(texts, st.data())
@example("👩\u200d💻", None)
@example(FLAG_OF_WALES, None)
def test_the_result_does_not_depend_on_how_the_text_is_cut(text, data):
    if data is None:
        assert fed(text) == sanitize(text)
        return
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert fed(chunks) == sanitize(text)
    assert fed(text) == sanitize(text)


@given(texts)
def test_nothing_that_is_kept_can_act_on_a_terminal(text):
    shown = sanitize(text)
    assert not [each for each in shown if unicodedata.category(each) in {"Cc", "Cs"} and each not in "\n\t"]
    assert not set(shown) & set(
        "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
    )


@given(texts)
def test_sanitizing_twice_changes_nothing_more(text):
    assert sanitize(sanitize(text)) == sanitize(text)


@given(texts)
def test_visible_characters_stay_as_they_are(text):
    visible = [each for each in text if SUSPICIOUS.match(each) is None]
    shown = iter(sanitize(text))
    assert all(each in shown for each in visible)


@given(texts)
def test_only_a_few_characters_are_held_back(text):
    sanitizer = TerminalSanitizer()
    for character in text:
        sanitizer.feed(character)
        assert len(sanitizer._held) <= 6


def test_text_whose_meaning_is_settled_comes_at_once():
    sanitizer = TerminalSanitizer()
    assert sanitizer.feed("Hello 👩") == "Hello 👩"
    assert sanitizer.feed("\u200d") == ""
    assert sanitizer.feed("💻!") == "\u200d💻!"
    assert sanitizer.finish() == ""


def test_every_control_character_of_unicode_is_shown():
    controls = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) == "Cc"]
    assert all(sanitize(each) != each for each in controls if each not in "\n\t")
    assert sanitize("\n\t") == "\n\t"


def test_a_line_stays_one_line():
    assert sanitize_line("one\r\ntwo\tthree\nfour\x1b") == "one two three four␛"


@pytest.mark.parametrize("text", ["The quick brown fox.\n", "今天天气很好。\n", "one 👍 two\n"])
def test_clean_text_is_not_even_copied(text):
    clean = text * 100_000
    assert sanitize(clean) is clean


@pytest.mark.parametrize(
    "term", ["vt100", "vt102-w", "vt220", "vt420", "linux", "linux-16color", "cons25", "eterm-color"]
)
def test_a_terminal_that_would_print_a_command_takes_none(term):
    assert not takes_commands(term)


@pytest.mark.parametrize(
    "term", ["", "xterm", "xterm-256color", "vte", "vte-256color", "tmux-256color", "foot"]
)
def test_a_terminal_that_ignores_the_commands_it_does_not_know_takes_them(term):
    assert takes_commands(term)
