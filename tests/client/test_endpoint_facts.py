from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.endpoint_facts import LARGEST_SHARE, Facts, LearnedCounts

URL = "http://127.0.0.1:8080/v1"


def test_a_larger_share_counts_at_once_and_a_smaller_one_is_come_to_in_steps():
    counts = LearnedCounts()
    assert counts.share("small") == 0
    counts.learn("small", 1000, 1200)
    assert counts.share("small") == 0.2
    counts.learn("small", 1000, 1100)
    assert counts.share("small") == 0.175
    assert counts.share("large") == 0


@pytest.mark.parametrize(
    ("counted", "told", "share"), [(200, 300, 0.5), (1000, 2000, 1.0)], ids=["the shortest", "the most"]
)
def test_the_shortest_prompt_and_the_largest_share_count(counted, told, share):
    counts = LearnedCounts()
    counts.learn("small", counted, told)
    assert counts.share("small") == share


@pytest.mark.parametrize(
    ("counted", "told"),
    [(199, 300), (1000, 2001), (1000, 10**12), (1000, 0), (1000, 900), (1000, 1000)],
    ids=["short", "too much", "absurd", "nothing", "less", "the same"],
)
def test_what_makes_no_sense_or_no_difference_changes_nothing(counted, told):
    counts = LearnedCounts()
    counts.learn("small", counted, told)
    assert counts.share("small") == 0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7))))
def test_the_share_is_never_negative_nor_beyond_the_largest(told):
    counts = LearnedCounts()
    for pair in told:
        counts.learn("small", *pair)
        assert 0 <= counts.share("small") <= LARGEST_SHARE


def test_what_was_learned_is_known_to_the_next_run(tmp_path):
    path = tmp_path / "counts.json"
    LearnedCounts(Facts(URL, path)).learn("small", 1000, 1250)
    assert LearnedCounts(Facts(URL, path)).share("small") == 0.25


@pytest.mark.parametrize("value", ["1", None, -0.5, 7.0, float("nan"), [], True])
def test_a_file_that_says_something_else_counts_as_nothing(tmp_path, value):
    path = tmp_path / "counts.json"
    Facts(URL, path).remember("small", value)
    assert LearnedCounts(Facts(URL, path)).share("small") == 0
