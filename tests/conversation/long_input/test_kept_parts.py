from __future__ import annotations

import os

import pytest

from chatcli.conversation.long_input.kept_parts import KEPT_FOR_S, KeptParts, key_of


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "long-texts"


def test_what_is_kept_is_recalled_whatever_it_is(folder):
    parts = KeptParts(folder)
    for text in ("notes", "", "北京\n", "\ud83d"):
        assert parts.keep(key_of("model", text), text)
        assert KeptParts(folder).recall(key_of("model", text)) == text
    assert parts.recall(key_of("another model", "notes")) is None


def test_texts_are_not_confused_where_they_are_cut_differently():
    assert key_of("ab", "c") != key_of("a", "bc")


def test_without_a_folder_nothing_is_kept():
    assert not KeptParts(None).keep("key", "notes")
    assert KeptParts(None).recall("key") is None
    KeptParts(None).prune(now_s=0)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"text": 1}', b"\xff"])
def test_a_damaged_file_counts_as_none(folder, content):
    KeptParts(folder).keep("key", "notes")
    (folder / "key.json").write_bytes(content)
    assert KeptParts(folder).recall("key") is None


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert not KeptParts(tmp_path / "file" / "parts").keep("key", "notes")


def test_what_is_old_is_deleted(folder):
    parts = KeptParts(folder)
    for name, age_s in (("new", 0), ("old", KEPT_FOR_S + 1)):
        parts.keep(name, "notes")
        os.utime(folder / f"{name}.json", (10_000_000 - age_s,) * 2)
    parts.prune(now_s=10_000_000)
    assert [path.name for path in folder.iterdir()] == ["new.json"]


@pytest.mark.parametrize("limit", [{"most_files": 2}, {"most_bytes": 40}])
def test_what_is_too_much_is_deleted_the_oldest_first(folder, limit):
    parts = KeptParts(folder, **limit)
    for number, name in enumerate("abc"):
        parts.keep(name, "notes")
        os.utime(folder / f"{name}.json", (number, number))
    parts.prune(now_s=10)
    assert sorted(path.name for path in folder.iterdir()) == ["b.json", "c.json"]
