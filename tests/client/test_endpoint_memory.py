from __future__ import annotations

import json

import pytest

from chatcli.client.endpoint_memory import EndpointMemory
from chatcli.storage.cache import KEPT_FOR_S, MOST_ENTRIES

URL = "http://127.0.0.1:8080/v1"
NOW_S = 1_795_000_000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "windows.json"


@pytest.fixture
def memory(path) -> EndpointMemory:
    return EndpointMemory(path, now_s=NOW_S)


def test_nothing_is_known_before_anything_was_remembered(memory):
    assert memory.recall(URL, "small") == (False, None)


@pytest.mark.parametrize("tokens", [8192, None])
def test_what_an_endpoint_said_is_recalled_even_that_it_did_not_know(memory, path, tokens):
    memory.remember(URL, "small", tokens)
    assert EndpointMemory(path, now_s=NOW_S + KEPT_FOR_S - 1).recall(URL, "small") == (True, tokens)


def test_it_is_recalled_for_that_model_at_that_endpoint_only(memory):
    memory.remember(URL, "small", 8192)
    assert memory.recall(URL, "large") == (False, None)
    assert memory.recall("https://models.example/v1", "small") == (False, None)


def test_the_last_word_counts(memory):
    memory.remember(URL, "small", 8192)
    memory.remember(URL, "small", 4096)
    assert memory.recall(URL, "small") == (True, 4096)


@pytest.mark.parametrize("later_s", [KEPT_FOR_S, -1])
def test_after_a_week_or_a_clock_set_back_the_endpoint_is_asked_again(memory, path, later_s):
    memory.remember(URL, "small", 8192)
    later = EndpointMemory(path, now_s=NOW_S + later_s)
    assert later.recall(URL, "small") == (False, None)
    later.remember(URL, "large", 100)
    assert list(json.loads(path.read_bytes())) == [f"{URL} large"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"null", b'{"http://127.0.0.1:8080/v1 small": 8192}'],
)
def test_a_broken_file_counts_as_empty_and_is_replaced(memory, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    assert memory.recall(URL, "small") == (False, None)
    memory.remember(URL, "small", 8192)
    assert memory.recall(URL, "small") == (True, 8192)


@pytest.mark.parametrize("value", ["8192", -1, {"a": [1]}, None])
def test_any_json_value_is_kept_as_it_is(memory, value):
    memory.remember(URL, "small", value)
    assert memory.recall(URL, "small") == (True, value)


def test_a_folder_that_cannot_be_made_is_no_reason_to_fail(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    memory = EndpointMemory(tmp_path / "cache" / "windows.json", now_s=NOW_S)
    memory.remember(URL, "small", 8192)
    assert memory.recall(URL, "small") == (False, None)


def test_nothing_is_left_beside_the_file(memory, path):
    memory.remember(URL, "small", 8192)
    assert list(path.parent.iterdir()) == [path]


def test_only_the_newest_entries_are_kept(path):
    for number in range(3):
        EndpointMemory(path, now_s=NOW_S + number).remember(URL, f"model {number}", number)
    entries = json.loads(path.read_bytes())
    many = {f"{URL} old {number}": {"value": 1, "at": NOW_S - 60} for number in range(MOST_ENTRIES)}
    path.write_text(json.dumps(many | entries))
    EndpointMemory(path, now_s=NOW_S + 3).remember(URL, "model 3", 3)
    kept = EndpointMemory(path, now_s=NOW_S + 3)
    assert len(json.loads(path.read_bytes())) == MOST_ENTRIES
    assert [kept.recall(URL, f"model {number}") for number in range(4)] == [
        (True, number) for number in range(4)
    ]
