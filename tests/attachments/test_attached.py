from __future__ import annotations

import os
import socket
import sys

import pytest

from chatcli.attachments.attached import attach, mentioned, open_mention, shown_size
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
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1_234, "1.2 kB"), (5_600_000, "5.6 MB")]
)
def test_a_size_is_shown_as_people_read_it(size, shown):
    assert shown_size(size) == shown
