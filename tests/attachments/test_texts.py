from __future__ import annotations

import io
import os
import socket
import sys

import pytest

from chatcli.attachments.texts import LONGEST_TEXT_BYTES, read_file, read_pipe
from chatcli.core.errors import LocalIOError, UsageError


def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "notes.md").write_text("Buy milk", encoding="utf-8")
    assert read_file("~/notes.md", print).text == "Buy milk"


@pytest.mark.parametrize("name", ["absent.md", "a\0b", "x" * 5000], ids=["absent", "nul", "endless"])
def test_a_file_that_cannot_be_is_an_error_and_no_crash(name):
    with pytest.raises(UsageError, match="cannot read"):
        read_file(name, print)


def test_a_pipe_is_read_to_its_end_without_a_word():
    notes = []
    assert read_pipe(io.BytesIO(b"a\nb"), notes.append).text == "a\nb"
    assert notes == []


class Broken(io.RawIOBase):
    def read(self, size=-1):
        raise OSError(5, "Input/output error")


def test_a_pipe_that_breaks_is_a_local_error():
    with pytest.raises(LocalIOError, match="cannot read stdin: Input/output error"):
        read_pipe(Broken(), print)


class Endless(io.RawIOBase):
    """An endless pipe that counts the bytes read."""

    def __init__(self):
        self.taken_bytes = 0

    def read(self, size=-1):
        self.taken_bytes += size
        return b"x" * size


def test_reading_stops_at_the_limit():
    endless = Endless()
    with pytest.raises(UsageError, match=r"stdin is longer than 64 MB$") as caught:
        read_pipe(endless, print)
    assert caught.value.code == "input_too_long"
    assert endless.taken_bytes < LONGEST_TEXT_BYTES * 1.1


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(UsageError, match=r"log is longer than 64 MB: 100 MB"):
        read_file(str(path), print)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"is a folder$") as caught:
        read_file(str(tmp_path), print)
    assert caught.value.hint == "name files in it instead"


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_a_device_or_a_socket_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    for name, what in (("socket", "a socket"), ("/dev/zero", "a device"), ("/dev/null", "a device")):
        with pytest.raises(UsageError, match=f"^{name} is {what}$") as caught:
            read_file(name, print)
        assert caught.value.hint == "attach a regular file"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_pipe_named_on_purpose_is_read_like_a_file():
    """As the shell makes one of <(command)."""
    reading, writing = os.pipe()
    os.write(writing, b"from a process")
    os.close(writing)
    try:
        assert read_file(f"/dev/fd/{reading}", print).text == "from a process"
    finally:
        os.close(reading)


@pytest.mark.parametrize("name", ["https://host.example/a", "HTTP://host.example"])
def test_a_web_address_is_no_file(name):
    with pytest.raises(UsageError, match="is a web address, not a file"):
        read_file(name, print)
