from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatcli.conversation.long_input.readers import cut

MARK = re.compile(r"\[… ([\d,]+) characters, about ([\d,]+) tokens, are left out here …\]")
TEXT = "It begins. " + "The committee met again. " * 500 + "It ends."


@pytest.mark.parametrize(
    ("share", "begins", "ends"), [(1.0, True, False), (0.0, False, True), (0.5, True, True)]
)
def test_the_ends_that_are_wanted_stay_and_a_mark_says_how_much_does_not(o200k_counter, share, begins, ends):
    shown = cut(TEXT, o200k_counter, 500, head_share=share)
    assert (shown.startswith("It begins."), shown.endswith("It ends.")) == (begins, ends)
    characters, tokens = (int(number.replace(",", "")) for number in MARK.search(shown).groups())
    assert characters + len(MARK.sub("", shown)) == pytest.approx(len(TEXT), abs=8)
    assert tokens == pytest.approx(o200k_counter.count(TEXT) - o200k_counter.count(shown), abs=40)


def test_a_text_that_fits_stays_whole(o200k_counter):
    assert cut("short", o200k_counter, 500, head_share=1.0) == "short"


@settings(deadline=None)
@given(
    text=st.lists(st.sampled_from(["word ", "北京。", "\n\n", "👨‍👩‍👧‍👦", "\ud83d", "a"]), max_size=400).map(
        "".join
    ),
    budget_tokens=st.integers(64, 400),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_what_is_shown_is_never_too_long(o200k_counter, text, budget_tokens, share):
    shown = cut(text, o200k_counter, budget_tokens, head_share=share)
    assert o200k_counter.count(shown) <= budget_tokens
