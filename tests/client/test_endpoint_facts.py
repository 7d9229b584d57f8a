from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.endpoint_facts import LARGEST_SHARE, Facts, LearnedCounts
from chatcli.storage.cache import KEPT_FOR_S, MOST_ENTRIES

URL = "http://127.0.0.1:8080/v1"
NOW_S = 1_795_000_000.0


def facts_at(path, now_s, url=URL) -> Facts:
    """Return what another run knows at that time."""
    return Facts(url, path, now_s=lambda: now_s)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "windows.json"


@pytest.fixture
def facts(path) -> Facts:
    return facts_at(path, NOW_S)


def test_nothing_is_known_before_anything_was_remembered(facts):
    assert facts.recall("small") == (False, None)


@pytest.mark.parametrize("tokens", [8192, None])
def test_what_an_endpoint_said_is_recalled_even_that_it_did_not_know(facts, path, tokens):
    facts.remember("small", tokens)
    assert facts_at(path, NOW_S + KEPT_FOR_S - 1).recall("small") == (True, tokens)


def test_it_is_recalled_for_that_model_at_that_endpoint_only(facts, path):
    facts.remember("small", 8192)
    assert facts.recall("large") == (False, None)
    assert facts_at(path, NOW_S, "https://models.example/v1").recall("small") == (False, None)


def test_the_last_word_counts(facts):
    facts.remember("small", 8192)
    facts.remember("small", 4096)
    assert facts.recall("small") == (True, 4096)


@pytest.mark.parametrize("later_s", [KEPT_FOR_S, -1])
def test_after_a_week_or_a_clock_set_back_the_endpoint_is_asked_again(facts, path, later_s):
    facts.remember("small", 8192)
    later = facts_at(path, NOW_S + later_s)
    assert later.recall("small") == (False, None)
    later.remember("large", 100)
    assert list(json.loads(path.read_bytes())) == [f"{URL} large"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"null", b'{"http://127.0.0.1:8080/v1 small": 8192}'],
)
def test_a_broken_file_counts_as_empty_and_is_replaced(facts, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    assert facts.recall("small") == (False, None)
    facts.remember("small", 8192)
    assert facts_at(path, NOW_S).recall("small") == (True, 8192)


@pytest.mark.parametrize("value", ["8192", -1, {"a": [1]}, None])
def test_any_json_value_is_kept_as_it_is(facts, path, value):
    facts.remember("small", value)
    assert facts_at(path, NOW_S).recall("small") == (True, value)


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    facts = facts_at(tmp_path / "cache" / "windows.json", NOW_S)
    facts.remember("small", 8192)
    assert facts.recall("small") == (True, 8192)
    assert facts_at(tmp_path / "cache" / "windows.json", NOW_S).recall("small") == (False, None)


def test_nothing_is_left_beside_the_file(facts, path):
    facts.remember("small", 8192)
    assert list(path.parent.iterdir()) == [path]


def test_only_the_newest_entries_are_kept(path):
    for number in range(3):
        facts_at(path, NOW_S + number).remember(f"model {number}", number)
    entries = json.loads(path.read_bytes())
    many = {f"{URL} old {number}": {"value": 1, "at": NOW_S - 60} for number in range(MOST_ENTRIES)}
    path.write_text(json.dumps(many | entries))
    facts_at(path, NOW_S + 3).remember("model 3", 3)
    kept = facts_at(path, NOW_S + 3)
    assert len(json.loads(path.read_bytes())) == MOST_ENTRIES
    assert [kept.recall(f"model {number}") for number in range(4)] == [(True, number) for number in range(4)]


def test_what_is_known_already_is_written_once_a_run(facts, path):
    facts.remember("small", 8192)
    path.unlink()
    facts.remember("small", 8192)
    assert not path.exists()
    facts.remember("small", 4096)
    assert facts_at(path, NOW_S).recall("small") == (True, 4096)


def test_where_nothing_is_to_be_kept_the_run_knows_it_all_the_same(facts, path):
    facts.remember("small", 8192)
    unkept = Facts(URL, path, is_kept=False, now_s=lambda: NOW_S)
    assert unkept.recall("small") == (True, 8192)
    unkept.remember("small", 4096)
    assert unkept.recall("small") == (True, 4096)
    assert facts_at(path, NOW_S).recall("small") == (True, 8192)


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
    LearnedCounts(facts_at(path, NOW_S)).learn("small", 1000, 1250)
    assert LearnedCounts(facts_at(path, NOW_S)).share("small") == 0.25


@pytest.mark.parametrize("value", ["1", None, -0.5, 7.0, float("nan"), [], True])
def test_a_file_that_says_something_else_counts_as_nothing(tmp_path, value):
    path = tmp_path / "counts.json"
    facts_at(path, NOW_S).remember("small", value)
    assert LearnedCounts(facts_at(path, NOW_S)).share("small") == 0
