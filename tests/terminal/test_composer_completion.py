from __future__ import annotations

import pytest

from chatcli.terminal.composer_completion import path_choices


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("notes.md", "my notes.md", "Zoo.txt", ".hidden"):
        (tmp_path / name).write_text("12", encoding="utf-8")
    (tmp_path / "my src").mkdir()
    (tmp_path / "my src" / "app.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def words(word):
    return [choice.word for choice in path_choices(word)]


def test_the_working_folder_is_offered_without_what_is_hidden():
    assert words("") == ['"my notes.md"', '"my src/', "notes.md", "Zoo.txt"]


def test_names_that_begin_so_come_before_those_that_hold_it_whatever_their_case():
    assert words("NO") == ["notes.md", '"my notes.md"']
    assert words("z") == ["Zoo.txt"]


def test_what_is_hidden_is_offered_behind_a_dot():
    assert words(".") == [".hidden"]


def test_a_folder_stays_open_for_what_is_in_it():
    (choice,) = path_choices('"my sr')
    assert choice == ('"my src/', "my src/", "folder")
    assert path_choices(choice.word) == [('"my src/app.py"', "app.py", "0 B")]


def test_the_home_folder_may_be_written_short():
    assert words("~/no") == ["~/notes.md", '"~/my notes.md"']


def test_the_root_is_a_folder():
    assert all(word.startswith(("/", '"/')) for word in words("/"))


@pytest.mark.parametrize("word", ["gone/", "notes.md/", "\0", "~nobody-of-that-name/"])
def test_what_is_no_folder_offers_nothing(word):
    assert words(word) == []
