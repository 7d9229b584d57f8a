"""Break opportunities in text of one script and of several."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatcli.render.markdown.widths import columns_of, words_of
from render.markdown.drawn import lines

NEVER_FIRST = "、。，．：；？！）］｝〕〉》」』】〗”’…·・／～％°ーゝ々ぁっゃァッャ,.:;?!)]}%"
NEVER_LAST = "（［｛〔〈《「『【〖“‘￥([{"
MIXED = st.text("中文字のカa1bZ9 " + NEVER_FIRST + NEVER_LAST, max_size=40)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("版本3、4和《abc》，以及", "版 本 3、 4 和 《abc》， 以 及"),
        ("用Python（3.11）写", "用 Python （3.11） 写"),
        ("foo(中文)、“树”。", "foo (中 文)、 “树”。"),
        ("20％的￥100元", "20％ 的 ￥100 元"),
        ("列夫·托尔", "列 夫· 托 尔"),
        ("x[i]、f(a)", "x[i]、 f(a)"),
        ("見る。「はい」と", "見 る。 「は い」 と"),
        ("don’t", "don’t"),
    ],
)
def test_a_line_is_broken_between_wide_characters_and_around_words(text, words):
    assert words_of(text) == words.split(" ")


@given(MIXED)
def test_nothing_is_lost(text):
    assert "".join(words_of(text)) == text


@given(MIXED)
def test_no_line_begins_with_what_closes_or_ends_with_what_opens(text):
    for before, after in pairwise(words_of("中" + text)):
        if " " not in {before[0], after[0]}:
            assert after[0] not in NEVER_FIRST
            assert before[-1] not in NEVER_LAST


def test_no_pair_of_characters_is_broken_where_the_rules_forbid_it():
    characters = "中字のカaZ9 " + NEVER_FIRST + NEVER_LAST
    for pair in product(characters, repeat=2):
        for before, after in pairwise(words_of("中" + "".join(pair) + "中")):
            if " " not in {before[0], after[0]}:
                assert after[0] not in NEVER_FIRST, pair
                assert before[-1] not in NEVER_LAST, pair


@given(st.text("中文字のカa1bZ9、。，）》％（《“”,.", max_size=80), st.integers(12, 40))
def test_so_it_is_on_the_screen_as_well(text, columns):
    # A word wider than the row must be broken somewhere.
    assume(max(map(columns_of, words_of("中" + text))) <= columns)
    for before, after in pairwise(lines("中" + text, columns)):
        assert columns_of(before) <= columns
        assert after[0] not in NEVER_FIRST
        assert before[-1] not in NEVER_LAST
