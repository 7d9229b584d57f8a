"""Attached files: mentions, quoting, and dropped paths."""

from __future__ import annotations

import os
import shlex
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.attachments.attached import (
    AttachedPage,
    attach,
    dropped_files,
    mentioned,
    open_mention,
    path_words,
    quoted,
    shell_word,
    shown_size,
    unquoted,
)
from chatcli.core.errors import UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("notes.md", "my notes.md", "笔记.md", "a", "it's.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(text):
    return [found.name for found in mentioned(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@notes.md", ["notes.md"]),
        ("see @notes.md.", ["notes.md"]),
        ("(@notes.md), @src/app.py?", ["notes.md", "src/app.py"]),
        ("@\"my notes.md\" and @'my notes.md'", ["my notes.md"]),
        ("@notes.md @notes.md", ["notes.md"]),
        ('@"it\'s.txt"', ["it's.txt"]),
        ("请看@notes.md这个文件", ["notes.md"]),
        ("请看@笔记.md，谢谢", ["笔记.md"]),
        ("a line\n@notes.md", ["notes.md"]),
    ],
)
def test_a_file_is_mentioned_behind_an_at(folder, text, found):
    assert names(text) == found


@pytest.mark.skipif(sys.platform == "win32", reason="a backslash separates folders there")
def test_a_blank_may_be_escaped(folder):
    assert names(r"see @my\ notes.md now") == ["my notes.md"]


@pytest.mark.parametrize(
    "text",
    [
        "me@notes.md",
        "me+x@notes.md",
        "https://host/@notes.md",
        "@nobody",
        "@property",
        "@src",
        "@",
        "@@notes.md",
        "@" + "x" * 5000,
        '@"no end',
        "notes.md",
    ],
)
def test_anything_else_is_text(folder, text):
    assert names(text) == []


def test_a_shorter_name_is_not_taken_for_a_longer_one(folder):
    assert names("@a.b and @ab") == []


@pytest.mark.parametrize(
    ("before", "word"),
    [
        ("see @", ""),
        ("see @no", "no"),
        ('see @"my no', '"my no'),
        (r"see @my\ no", r"my\ no"),
        ("line @x\n@y", "y"),
        ("me@host", None),
        ("see @notes.md ", None),
        ("no sign", None),
    ],
)
def test_the_beginning_of_a_mention_is_known_while_it_is_written(before, word):
    assert open_mention(before) == word


def test_what_is_named_must_be_a_file(folder):
    assert attach("notes.md").label == "notes.md 8 B"
    with pytest.raises(UsageError, match=r"cannot read gone\.md: No such file"):
        attach("gone.md")
    with pytest.raises(UsageError, match="src is a folder"):
        attach("src")


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_what_would_be_waited_for_or_never_end_is_not_attached(folder):
    os.mkfifo("pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    listening.close()
    for name, what in (("pipe", "a named pipe"), ("socket", "a socket"), ("/dev/zero", "a device")):
        with pytest.raises(UsageError, match=f"^{name} is {what}$") as caught:
            attach(name)
        assert caught.value.hint
        assert names(f"@{name}") == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("what is @https://host.example/a?b=c&d#e", "https://host.example/a?b=c&d#e"),
        ("@http://host.example", "http://host.example"),
        ("@HTTPS://Host.example/A", "HTTPS://Host.example/A"),
        ("see (@https://host.example/a), please", "https://host.example/a"),
        ("see @https://host.example/a.", "https://host.example/a"),
        ("see @https://host.example/a.html?", "https://host.example/a.html"),
        ("@https://host.example/a_(b)!", "https://host.example/a_(b)"),
        ("@https://host.example/~ann/@bob/x", "https://host.example/~ann/@bob/x"),
        ("看看@https://host.example/a，好吗", "https://host.example/a"),
        ("@https://host.example/维基。", "https://host.example/维基"),
        ("<@https://host.example/a>", "https://host.example/a"),
        ('@"https://host.example/a b.", please', "https://host.example/a b."),
        ("@'https://host.example/a.'", "https://host.example/a."),
    ],
)
def test_a_web_page_is_mentioned_by_its_address(text, address):
    assert names(text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://host.example/a",
            "@https://",
            "@https:host",
            "@ftp://host.example/a",
            "ann@https://host.example",
        ),
        *("x/@https://host.example/", "@ https://host.example/", "@https:///a", "@file:///etc/passwd"),
    ],
)
def test_no_other_word_is_a_page(text):
    assert names(text) == []


def test_a_page_is_attached_once_and_beside_files(folder):
    text = "@https://host.example/a @notes.md @https://host.example/a @https://host.example/b"
    assert names(text) == ["https://host.example/a", "notes.md", "https://host.example/b"]


@given(st.text(st.sampled_from("ab/?#.,;:!()[]{}<>'\"@&=%。，好 \n\\"), max_size=30))
def test_a_mentioned_address_is_part_of_the_text_and_has_no_white_space_unless_quoted(rest):
    for name in names(f"see @https://host.example/{rest}"):
        if name.startswith("https://host"):
            assert unquoted(rest).startswith(name.removeprefix("https://host.example/"))
            assert not any(character.isspace() for character in name)


def test_a_page_is_shown_by_its_address_and_then_by_its_title():
    assert AttachedPage("https://host.example/").label == "host.example"
    assert (
        AttachedPage("https://host.example/a", "# On cats\n\nThey purr.").label
        == "host.example/a “On cats” 21 B"
    )
    assert AttachedPage("https://host.example/a", "They purr.").label == "host.example/a 10 B"
    assert len(AttachedPage("https://host.example/" + "a" * 500, "# " + "t" * 190).label) < 150


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1_234, "1.2 kB"), (5_600_000, "5.6 MB")]
)
def test_a_size_is_shown_as_people_read_it(size, shown):
    assert shown_size(size) == shown


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
