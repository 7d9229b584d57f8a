from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.attachments.encodings import as_typed, decode
from chatcli.core.errors import UsageError

SIMPLIFIED = ["你好", "北京", "中国的首都是哪里？", "今天我们去 Python 编程课, 学习 asyncio。"]
TRADITIONAL = ["你好", "臺北天氣", "法國的首都是哪裡？請用中文回答。", "錯誤訊息 error 無法開啟檔案"]
JAPANESE = ["こんにちは", "フランスの首都はどこですか？", "エラー: ファイルを開けません", "今日は Python を"]
KOREAN = ["안녕하세요", "프랑스의 수도는 어디입니까?", "한국어로 대답해 주세요"]
WESTERN = [
    *("Café", "AÇÃO", "“Café” crème déjà 5 €", "Größe", "naïve façade", "ÉCOLE DES ÉLÈVES", "año mañana"),
    *(
        "Übermäßig große Bäume",
        "smørrebrød på øya",
        "“So”",
        "l’été",
        "SÃO PAULO",
        "£5",
        "ÄÖÜ äöü ß",
        "Þórður",
    ),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_with_or_without_a_byte_order_mark_is_read(encoding):
    assert decode("déjà 北京\n".encode(encoding), "notes").text == "déjà 北京\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_either_byte_order_is_read(encoding):
    assert decode("\ufeffdéjà".encode(encoding), "notes").text == "déjà"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["Capital of France?\r\n", "1. 北京 2. 東京", "déjà vu"])
def test_wide_text_without_a_mark_is_told_by_its_zeros(encoding, text):
    read = decode(text.encode(encoding), "notes")
    assert read.text == text
    assert read.note == f"notes has no byte order mark: read as {encoding[:6].upper()}"


@pytest.mark.parametrize(
    ("encoding", "title", "texts"),
    [
        ("gb18030", "Simplified Chinese (GB18030)", SIMPLIFIED),
        ("big5", "Traditional Chinese (Big5)", TRADITIONAL),
        ("shift_jis", "Japanese (Shift-JIS)", JAPANESE),
        ("euc_jp", "Japanese (EUC-JP)", JAPANESE),
        ("iso2022_jp", "Japanese (ISO-2022-JP)", JAPANESE),
        ("euc_kr", "Korean (EUC-KR)", KOREAN),
        ("utf_16_le", "UTF-16", SIMPLIFIED[2:3]),
        ("cp1252", "Western European (Windows-1252)", WESTERN),
    ],
)
def test_text_from_before_unicode_is_recognized_and_the_guess_is_told(encoding, title, texts):
    for text in texts:
        read = decode(text.encode(encoding), "notes")
        assert (read.text, read.note) == (text, f"notes is not UTF-8: read as {title}")


def test_a_long_text_is_recognized_as_well_and_wherever_it_was_cut():
    content = ("中国的首都是北京。\n" * 20_000).encode("gb18030")
    assert decode(content[:-2], "notes").text.startswith("中国的首都是北京。\n中国")


def test_what_nothing_recognizes_is_read_as_the_locale_says():
    read = decode("Столица Франции?".encode("cp1251"), "notes", locale_encoding="cp1251")
    assert (read.text, read.note) == (
        "Столица Франции?",
        "notes is not UTF-8: read as cp1251, as the locale says",
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [("北京".encode()[:-1], "北\ufffd"), ("déjà vu 北京".encode() + b"\xe9 fin", "déjà vu 北京\ufffd fin")],
    ids=["cut", "mixed"],
)
def test_damaged_utf_8_is_still_utf_8(content, text):
    read = decode(content, "notes")
    assert read.text == text
    assert read.note == "notes is damaged: what could not be read in 1 place is replaced by \ufffd"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x00\x01", ""),
        (b"\xff\xfe\x00\x00\x01", ""),
        (bytes(range(256)), ""),
        (b"text\0text", ""),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ": it looks like a PNG picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", ": it looks like a JPEG picture"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", ": it looks like a PDF"),
        (b"PK\x03\x04\x14\x00", ": it looks like a zip archive or an office document"),
        (b"\x1f\x8b\x08\x00", ": it looks like gzip data"),
        (b"\x7fELF\x02\x01\x01\x00", ": it looks like a program (ELF)"),
    ],
)
def test_what_is_no_text_is_refused_by_its_name(content, kind):
    with pytest.raises(UsageError) as caught:
        decode(content, "photo")
    assert caught.value.message == "photo is not text" + kind
    assert caught.value.hint


@given(st.text(st.characters(exclude_characters="\0\x1b", exclude_categories=["Cs"])))
def test_utf_8_comes_through_unchanged(text):
    assert decode(text.encode(), "notes").text == text.removeprefix("\ufeff")


@given(st.binary())
def test_anything_is_either_refused_or_text_that_can_be_sent(content):
    with suppress(UsageError):
        decode(content, "anything").text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_argument_that_is_text_is_left_alone(text):
    assert as_typed(text) == text


@given(st.binary(min_size=1))
def test_an_argument_of_any_bytes_becomes_text_that_can_be_sent(content):
    as_typed(content.decode("utf-8", "surrogateescape")).encode()


def test_an_argument_a_locale_of_ascii_could_not_read_is_what_was_typed():
    assert as_typed("caf\udcc3\udca9") == "café"
    assert as_typed("caf\udce9") == "café"
