from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cli.texts import decode, read_file, read_pipe
from chatcli.core.errors import LocalIOError, UsageError


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"], ids=lambda encoding: encoding
)
def test_text_with_or_without_a_byte_order_mark_is_read(encoding):
    assert decode("déjà 北京\n".encode(encoding), "notes").text == "déjà 北京\n"


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_either_byte_order_is_read(mark):
    assert decode("\ufeffdéjà".encode(mark), "notes").text == "déjà"


def test_western_text_is_guessed_and_the_guess_is_told():
    text = decode("“Café” 5 €".encode("cp1252"), "notes")
    assert text.text == "“Café” 5 €"
    assert text.note == "notes is not UTF-8: read as Western European (Windows-1252)"


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\xff\xfe\x00",
        b"\xff\xfe\x00\x00\x01",
        bytes(range(256)),
    ],
)
def test_what_is_no_text_is_refused(content):
    with pytest.raises(UsageError) as caught:
        decode(content, "photo")
    assert caught.value.message == "photo is not text"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf_8_comes_through_unchanged(text):
    assert decode(text.encode(), "notes").text == text.removeprefix("\ufeff")


@given(st.binary())
def test_anything_is_either_refused_or_text_that_can_be_sent(content):
    with suppress(UsageError):
        decode(content, "anything").text.encode()


def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "notes.md").write_text("Buy milk", encoding="utf-8")
    assert read_file("~/notes.md").text == "Buy milk"


@pytest.mark.parametrize("name", ["absent.md", "a\0b", "x" * 5000], ids=["absent", "nul", "endless"])
def test_a_file_that_cannot_be_is_an_error_and_no_crash(name):
    with pytest.raises(UsageError, match="cannot read"):
        read_file(name)


def test_a_pipe_is_read_to_its_end_without_a_word():
    said = []
    assert read_pipe(io.BytesIO(b"a\nb"), said.append).text == "a\nb"
    assert said == []


class Broken(io.RawIOBase):
    def read(self, size=-1):
        raise OSError(5, "Input/output error")


def test_a_pipe_that_breaks_is_a_local_error():
    with pytest.raises(LocalIOError, match="cannot read stdin: Input/output error"):
        read_pipe(Broken(), print)
