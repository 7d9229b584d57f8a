"""Kinds of data by their content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.attachments.file_kinds import is_certainly_data, is_surely_data, kind_of, not_text

DATA = {
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR": "a PNG image",
    b"RIFF\x24\x08\0\0WEBPVP8 ": "a WebP image",
    b"RIFF\x24\x08\0\0WAVEfmt ": "audio or an image",
    b"\0\0\0\x20ftypavif": "a video or an image (MP4, HEIC, AVIF)",
    b"\x1aE\xdf\xa3\x01": "a video (Matroska, WebM)",
    b"Rar!\x1a\x07\x01\0": "a RAR archive",
    b"\0asm\x01\0\0\0": "a program (WebAssembly)",
    b"notes.md" + bytes(249) + b"ustar\x0000": "a tar archive",
    b"%PDF-1.7\n": "a PDF",
    b"\x93NUMPY\x01\0": "a NumPy array",
}


@pytest.mark.parametrize("content", DATA)
def test_data_is_named_by_its_content(content):
    assert is_surely_data(content)
    error = not_text(content, "notes.txt")
    assert error.message == f"notes.txt is not text: it looks like {DATA[content]}"
    assert error.hint


@pytest.mark.parametrize(
    "text", ["BM is a bank", "GIF89a is a format", "RIFF raff", "MZ wrote it", "The ftyp box", "wOFF", "PAR1"]
)
def test_words_that_data_can_begin_with_are_text(text):
    content = text.encode()
    assert not is_surely_data(content)
    assert not is_certainly_data(content)


def test_what_has_no_signature_has_no_kind():
    assert kind_of(b"hello") is None
    assert not_text(b"\0", "x").message == "x is not text"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_without_control_characters_is_certainly_data_only_as_a_pdf(text):
    assert not is_certainly_data(text.encode()) or text.startswith("%PDF-")


@given(st.text(), st.sampled_from(["utf-16", "utf-8-sig", "utf-32"]))
def test_text_with_a_byte_order_mark_never_is(text, encoding):
    content = text.encode(encoding, "replace")
    assert not is_certainly_data(content)
    assert not is_surely_data(content)
