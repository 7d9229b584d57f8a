from __future__ import annotations

import shlex
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.attachments.attached import dropped_files, path_words, quoted, shell_word


@given(st.text(st.characters(exclude_characters='"' if sys.platform == "win32" else "\0"), min_size=1))
def test_a_quoted_path_is_read_back(path):
    assert path_words(quoted(path)) == [path] or not path.strip()


def test_a_plain_path_needs_no_quotes():
    assert quoted("src/app-1.py") == "src/app-1.py"
    assert quoted("~/笔记.md") == "~/笔记.md"
    assert quoted("my notes.md") == '"my notes.md"'


def test_a_quote_without_its_end_is_refused():
    if sys.platform != "win32":
        with pytest.raises(ValueError, match="quotation"):
            path_words('"no end')


class TestDropped:
    @pytest.fixture
    def paths(self, tmp_path):
        made = [tmp_path / name for name in ("one.txt", "it's my file.txt")]
        for path in made:
            path.write_text("x", encoding="utf-8")
        return [str(path) for path in made]

    def test_as_terminals_paste_it(self, paths):
        one, two = paths
        shell = "'" + two.replace("'", "'\\''") + "'"
        backslashes = two.replace("'", "\\'").replace(" ", "\\ ")
        for text in (two, quoted(two), shell, backslashes):
            if sys.platform != "win32" or text in (two, quoted(two)):
                assert dropped_files(text + " ") == [two], text
        assert dropped_files(f"{quoted(one)} {quoted(two)} ") == [one, two]
        assert dropped_files(f"{quoted(one)}\n{quoted(two)}") == [one, two]

    def test_as_an_address(self, tmp_path, paths):
        address = (tmp_path / "it's my file.txt").as_uri()
        assert dropped_files(address) == [paths[1]]

    @pytest.mark.parametrize(
        "text",
        ["", "one.txt", "what is {}?", "{}/gone", "{} gone", "'{}", "https://example.org/x", "/", "x" * 99],
    )
    def test_anything_more_is_text(self, paths, text):
        assert dropped_files(text.format(paths[0])) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the words of a POSIX shell")
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_what_is_to_be_typed_into_a_shell_is_one_word_there(text):
    assert shlex.split(shell_word(text)) == [text]
