from __future__ import annotations

import json
import os
import stat
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.storage.cache import FolderCache, JsonFileCache, MemoryCache, key_of

AGE_S = 100.0
NOW_S = 1_795_000_000.0


class Clock:
    """A clock that is set by hand; files get its time."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def in_memory(_folder, clock, most_entries=5):
    return MemoryCache(most_entries=most_entries, most_age_s=AGE_S, clock_s=clock)


def in_a_file(folder, clock, most_entries=5):
    return JsonFileCache(folder / "windows.json", clock_s=clock, most_entries=most_entries, most_age_s=AGE_S)


class _Dated(FolderCache):
    """Gives files the time of its clock instead of the machine's."""

    def put(self, key, value):
        super().put(key, value)
        if self._path(key).is_file():
            os.utime(self._path(key), (self._clock_s(),) * 2)


def in_a_folder(folder, clock, most_entries=5, most_bytes=10_000):
    return _Dated(
        folder / "texts", most_entries=most_entries, most_age_s=AGE_S, most_bytes=most_bytes, clock_s=clock
    )


on_disk = pytest.mark.parametrize("make", [in_a_file, in_a_folder])
anywhere = pytest.mark.parametrize("make", [in_memory, in_a_file, in_a_folder])


@anywhere
def test_a_value_is_there_by_its_key_and_the_last_one_counts(make, tmp_path, clock):
    cache = make(tmp_path, clock)
    assert cache.get("a", "none") == "none"
    cache.put("a", 1)
    cache.put("b", None)
    cache.put("a", 2)
    assert (cache.get("a", "none"), cache.get("b", "none"), cache.get("c", None)) == (2, None, None)


@anywhere
@pytest.mark.parametrize("key", ["", "../up", "a/b", "CON", "A", "a" * 5_000, "null\0", "北京", "\ud83d"])
def test_any_text_is_a_key(make, tmp_path, clock, key):
    cache = make(tmp_path, clock)
    cache.put(key, key)
    cache.put("a", "other")
    assert cache.get(key, None) == key
    assert {path.name for path in tmp_path.iterdir()} <= {"windows.json", "texts"}


@anywhere
def test_what_is_too_old_is_not_there_and_pruned(make, tmp_path, clock):
    cache = make(tmp_path, clock)
    cache.put("old", 1)
    cache.put("not looked at", 1)
    clock.now_s += AGE_S - 1
    cache.put("new", 2)
    assert cache.get("old", None) == 1
    clock.now_s += 1
    assert (cache.get("old", None), cache.get("new", None)) == (None, 2)
    cache.prune()
    # With its clock set back, a value that was only hidden would be there again.
    clock.now_s -= 1
    assert (cache.get("old", None), cache.get("not looked at", None), cache.get("new", None)) == (
        None,
        None,
        2,
    )


@anywhere
def test_of_too_many_the_oldest_go(make, tmp_path, clock):
    cache = make(tmp_path, clock)
    for number in range(8):
        clock.now_s += 1
        cache.put(str(number), number)
    cache.prune()
    assert [cache.get(str(number), None) for number in range(8)] == [None] * 3 + [3, 4, 5, 6, 7]


def test_in_memory_those_go_that_were_not_used_for_the_longest_time(tmp_path, clock):
    cache = in_memory(tmp_path, clock, most_entries=2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a", None)
    cache.put("c", 3)
    assert [cache.get(key, None) for key in "abc"] == [1, None, 3]


def test_of_too_many_bytes_the_oldest_go(tmp_path, clock):
    cache = in_a_folder(tmp_path, clock, most_bytes=2_000)
    for number in range(8):
        clock.now_s += 1
        cache.put(str(number), "x" * 600)
    cache.prune()
    assert [cache.get(str(number), None) is not None for number in range(8)] == [False] * 5 + [True] * 3


@anywhere
@given(data=st.data())
def test_whatever_is_put_it_is_there_until_it_is_too_old_or_one_too_many(make, tmp_path_factory, data):
    clock = Clock()
    cache = make(tmp_path_factory.mktemp("cache"), clock, most_entries=3)
    put: dict[str, tuple[float, int]] = {}
    for number, key in enumerate(data.draw(st.lists(st.sampled_from("abcde"), max_size=12))):
        clock.now_s += data.draw(st.integers(1, 40))
        cache.put(key, number)
        put.pop(key, None)
        put[key] = (clock.now_s, number)
        cache.prune()
        newest = dict(list(put.items())[-3:])
        there = {each: value for each, (at_s, value) in newest.items() if clock.now_s - at_s < AGE_S}
        assert {each: cache.get(each, None) for each in "abcde"} == dict.fromkeys("abcde") | there
        # Looking is using, in memory: they are looked at in the order in which they were put.
        for known in put:
            cache.get(known, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@on_disk
@given(value=json_values)
def test_any_json_value_comes_back_in_the_next_run(make, tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("cache")
    make(folder, Clock()).put("a", value)
    assert make(folder, Clock()).get("a", "none") == value


@on_disk
@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b"null", b'{"a": 8192}', b'{"text": 1}', b"[" * 100_000]
)
def test_a_broken_file_counts_as_none_and_is_replaced(make, tmp_path, clock, content):
    cache = make(tmp_path, clock)
    cache.put("a", 1)
    (path,) = (found for found in tmp_path.rglob("*.json"))
    path.write_bytes(content)
    os.utime(path, (NOW_S, NOW_S))
    assert cache.get("a", None) is None
    cache.put("a", 2)
    assert cache.get("a", None) == 2


@on_disk
def test_a_place_that_cannot_be_used_stops_nothing(make, tmp_path, clock):
    (tmp_path / "file").write_text("in the way")
    cache = make(tmp_path / "file", clock)
    cache.put("a", 1)
    cache.prune()
    assert cache.get("a", None) is None


@on_disk
@pytest.mark.skipif(sys.platform == "win32", reason="rights and pipes of POSIX")
def test_only_the_owner_can_read_it_and_a_pipe_in_its_place_is_not_waited_for(make, tmp_path, clock):
    cache = make(tmp_path / "cache", clock)
    cache.put("a", 1)
    found = list(tmp_path.rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()} == {0o700}
    (path,) = (path for path in found if path.is_file())
    path.unlink()
    os.mkfifo(path)
    os.utime(path, (NOW_S, NOW_S))
    assert cache.get("a", None) is None


def test_a_value_from_the_future_is_of_unknown_age(tmp_path, clock):
    in_a_file(tmp_path, clock).put("a", 1)
    clock.now_s -= 1
    assert in_a_file(tmp_path, clock).get("a", None) is None


def test_what_another_run_has_put_meanwhile_is_there(tmp_path, clock):
    one, other = in_a_file(tmp_path, clock), in_a_file(tmp_path, clock)
    one.put("a", 1)
    assert other.get("a", None) == 1
    one.put("a", "another one")
    one.put("b", 2)
    assert (other.get("a", None), other.get("b", None)) == ("another one", 2)
    (tmp_path / "windows.json").unlink()
    assert other.get("a", None) is None


def test_the_file_is_as_another_version_reads_it(tmp_path, clock):
    in_a_file(tmp_path, clock).put("a", 1)
    assert json.loads((tmp_path / "windows.json").read_bytes()) == {"a": {"value": 1, "at": NOW_S}}


def test_a_key_of_texts_tells_them_apart_where_they_are_cut_differently():
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("\ud83d") != key_of("")
