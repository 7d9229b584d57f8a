from __future__ import annotations

import codecs
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.attachments.encodings import COMMON_ENCODINGS, EncodingHints, as_typed, decode, encoding_named
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
        "Äpfel und Öl in der Straße",
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
def test_wide_text_without_a_mark_is_reported_by_its_zeros(encoding, text):
    read = decode(text.encode(encoding), "notes")
    assert read.text == text
    assert read.note == f"notes has no byte order mark; reading it as {encoding[:6].upper()}"


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
def test_text_from_before_unicode_is_recognized_and_the_guess_is_reported(encoding, title, texts):
    for text in texts:
        read = decode(text.encode(encoding), "notes")
        assert read.text == text
        assert read.note.startswith(f"notes is not UTF-8; reading it as {title}")
        assert read.note.endswith(" (a guess; set --encoding if it is wrong)" if read.readings else title)


@pytest.mark.parametrize("text", ["naïve", "Café", "résumé", "über"])
def test_a_single_accent_is_western_and_no_damage(text):
    assert decode(text.encode("cp1252"), "notes").text == text


def test_a_text_of_some_length_is_no_guess():
    for encoding, texts in (
        ("gb18030", SIMPLIFIED),
        ("big5", TRADITIONAL),
        ("shift_jis", JAPANESE),
        ("cp949", KOREAN),
    ):
        assert decode("\n".join(texts).encode(encoding), "notes").readings == ()


def test_a_long_text_is_recognized_as_well_and_wherever_it_was_cut():
    content = ("中国的首都是北京。\n" * 20_000).encode("gb18030")
    assert decode(content[:-2], "notes").text.startswith("中国的首都是北京。\n中国")


def test_what_nothing_recognizes_is_read_as_the_locale_says():
    read = decode("Столица Франции?".encode("cp1251"), "notes", EncodingHints(system_encoding="cp1251"))
    assert (read.text, read.note) == (
        "Столица Франции?",
        "notes is not UTF-8; reading it as Cyrillic (Windows-1251)",
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [("北京".encode()[:-1], "北\ufffd"), ("déjà vu 北京".encode() + b"\xe9 fin", "déjà vu 北京\ufffd fin")],
    ids=["cut", "mixed"],
)
def test_damaged_utf_8_is_still_utf_8(content, text):
    read = decode(content, "notes")
    assert read.text == text
    assert read.note == "notes is damaged: replaced unreadable bytes in 1 place with \ufffd"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x00\x01", ""),
        (b"\xff\xfe\x00\x00\x01", ""),
        (bytes(range(256)), ""),
        (b"text\0text", ""),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ": it looks like a PNG image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", ": it looks like a JPEG image"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", ": it looks like a PDF"),
        (b"%PDF-1.4\n1 0 obj << >> endobj", ": it looks like a PDF"),
        (b"PK\x03\x04\x14\x00", ": it looks like a zip archive or Office document"),
        (b"\x1f\x8b\x08\x00", ": it looks like gzip data"),
        (b"\x7fELF\x02\x01\x01\x00", ": it looks like a program (ELF)"),
    ],
)
def test_what_is_no_text_is_refused_by_its_name(content, kind):
    with pytest.raises(UsageError) as caught:
        decode(content, "photo")
    assert caught.value.message == "photo is not text" + kind
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["latin_1", "utf_8", "gb18030", "utf_16"])
@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"%PDF-1.4\n", b"\x1f\x8b\x08"]
)
def test_no_encoding_makes_a_text_of_it(content, encoding):
    with pytest.raises(UsageError, match="is not text: it looks like"):
        decode(content + b" and more of the same", "notes.txt", EncodingHints(encoding))


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


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "shift_jis", "euc_jp", "cp949"])
def test_a_text_that_begins_in_mid_character_is_read_from_the_next_one_on(encoding):
    line = {"cp949": "데이터베이스 연결에 실패했습니다", "big5": "無法開啟檔案存取被拒請稍候再試"}.get(
        encoding, "一二三年月日大中小人"
    )
    log = "".join(f"12:00:{second:02} {line}\n" for second in range(40)).encode(encoding)
    start = log.index(line.encode(encoding)) + 1
    read = decode(log[start : start + 999], "notes")
    lines = read.text.split("\n")
    assert lines[0].lstrip("\ufffd").endswith(line[2:])
    assert lines[1:-1] == [f"12:00:{second:02} {line}" for second in range(1, len(lines) - 1)]


def test_a_long_line_that_begins_in_mid_character_is_read_to_its_end():
    text = "订单保存失败，数据库连接超时。" * 2_000
    read = decode(text.encode("gb18030")[1:], "notes")
    assert read.text == "\ufffd" + text[1:]


def test_a_damaged_byte_costs_the_characters_around_it_and_is_reported():
    content = "订单保存失败\n数据库连接超时\n用户已退出\n".encode("gb18030")
    at = content.index("库".encode("gb18030"))
    read = decode(content[:at] + content[at + 1 :], "notes")
    first, second, third, _ = read.text.split("\n")
    assert (first, third) == ("订单保存失败", "用户已退出")
    assert second.endswith("连接超时")
    assert read.note == (
        "notes is not UTF-8; reading it as Simplified Chinese (GB18030); replaced unreadable bytes in 1 place with \ufffd"
    )


def test_a_line_of_utf_8_among_others_is_read_as_such():
    lines = ["订单保存失败：数据库连接超时", "用户张伟已登录", "第二次重试，等待五百毫秒"] * 20
    content = b"\n".join(
        line.encode("utf-8" if number == 31 else "gb18030") for number, line in enumerate(lines)
    )
    assert decode(content, "notes").text == "\n".join(lines)


def test_what_may_be_utf_8_by_chance_is_not_taken_for_it():
    text = "联通\n移动和电信\n订单保存失败"
    assert decode(text.encode("gb18030"), "notes").text == text


@pytest.mark.parametrize(
    ("text", "encoding", "hints"),
    [
        ("名前変更", "euc_jp", {"LANG": "ja_JP.eucJP"}),
        ("終了", "euc_jp", {"LC_ALL": "ja_JP.EUC-JP", "LANG": "C"}),
        ("北京", "euc_jp", {"LC_CTYPE": "ja_JP.eucJP"}),
        ("北京", "gb18030", {"LANG": "zh_CN.GBK"}),
        ("Привет", "koi8_r", {"LANG": "ru_RU.KOI8-R"}),
        ("Ça va déjà", "cp850", {"LANG": "fr_FR.CP850"}),
    ],
)
def test_the_locale_weighs_where_a_text_is_short(text, encoding, hints):
    read = decode(text.encode(encoding), "notes", EncodingHints(environment=hints, system_encoding="utf-8"))
    assert read.text == text


def test_the_language_of_the_locale_weighs_even_where_its_encoding_is_utf_8():
    content = "終了".encode("euc_jp")
    read = [
        decode(content, "notes", EncodingHints(environment={"LANG": f"{language}.UTF-8"})).text
        for language in ("ja_JP", "zh_CN")
    ]
    assert read == ["終了", "姜位"]


def test_an_encoding_only_the_locale_knows_of_is_a_candidate():
    read = decode("Größe übermäßig".encode("mac_roman"), "notes", EncodingHints(system_encoding="mac_roman"))
    assert (read.text, read.note) == (
        "Größe übermäßig",
        "notes is not UTF-8; reading it as mac_roman, as the locale says",
    )


@pytest.mark.parametrize(
    ("text", "encoding", "widest"),
    [
        ("朱镕基", "gbk", "gb2312"),
        ("錯誤㗎啲", "big5hkscs", "big5"),
        ("①髙橋㈱", "cp932", "shift_jis"),
        ("똠방각하", "cp949", "euc_kr"),
        ("€5", "cp1252", "iso-8859-1"),
    ],
)
def test_an_encoding_by_name_takes_what_people_write_in_it_besides(text, encoding, widest):
    read = decode(text.encode(encoding), "notes", EncodingHints(encoding_named(widest)))
    assert (read.text, read.note) == (text, None)


def test_the_characters_of_windows_are_read_in_euc_jp():
    content = "①番".encode("euc_jis_2004") + b"\xfc\xe2" + "橋".encode("euc_jp")
    assert decode(content, "notes", EncodingHints(encoding_named("euc-jp"))).text == "①番髙橋"


@pytest.mark.parametrize(
    "name", ["utf-8", "UTF8", "utf-16", "cp037", "iso-2022-jp", "windows-874", "mac-roman"]
)
def test_every_encoding_python_knows_can_be_named(name):
    text = "Hi 5\n"
    hints = EncodingHints(encoding_named(name))
    assert decode(text.encode(hints.given), "notes", hints).text == text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gbk18030", "did you mean gb18030?"),
        ("windows1251", "did you mean windows-1251?"),
        ("base64", "such as utf-8, "),
        ("unicode_escape", ""),
        ("", "such as "),
        ("a\0b", ""),
    ],
)
def test_what_is_no_encoding_is_a_mistake_with_a_suggestion(name, hint):
    with pytest.raises(UsageError) as caught:
        encoding_named(name)
    assert caught.value.message == f"there is no encoding {name or repr(name)}"
    assert hint in caught.value.hint


def test_an_encoding_that_is_named_by_nothing_is_none():
    with pytest.raises(UsageError):
        encoding_named("")


BILINGUAL = "Hello 世界, this is text.\nMore of it.\n" * 5


def with_bytes(content: bytes, *changes: tuple[int, int]) -> bytes:
    changed = bytearray(content)
    for at, byte in changes:
        changed[at] = byte
    return bytes(changed)


def test_a_marked_text_is_one_with_a_little_damage_in_it_too():
    content = (codecs.BOM_UTF8 + "Hello 世界\n".encode()) * 10
    read = decode(with_bytes(content, (57, 0x81), (87, 0xFF)), "notes")
    assert read.text.count("Hello 世界\n") == 8
    assert read.note == "notes is damaged: replaced unreadable bytes in 4 places with \ufffd"
    wide = with_bytes(BILINGUAL.encode("utf-16"), (40, 0), (41, 0xD8), (80, 0), (81, 0xDC))
    assert decode(wide, "notes").note == "notes is damaged: replaced unreadable bytes in 2 places with \ufffd"


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_LE])
def test_data_behind_a_mark_is_not_text(mark):
    with pytest.raises(UsageError, match="notes is not text"):
        decode(mark + bytes(range(1, 256)) * 4, "notes")


def test_a_stray_byte_in_ascii_is_damage_and_not_another_alphabet():
    content = with_bytes(b"Hello plain ASCII text here.\n" * 10, (70, 0xFF))
    read = decode(content, "notes")
    assert (read.text.encode("latin-1", "replace").replace(b"?", b"\xff"), read.readings) == (content, ())
    assert read.note == "notes is damaged: replaced unreadable bytes in 1 place with \ufffd"
    assert "not UTF-8" in decode("café with ÿ\n".encode("cp1252") * 3, "notes").note


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text", [BILINGUAL, "你好，世界。这是一个测试文件。", "これは日本語のテストです。", "Столица Франции"]
)
def test_utf_32_without_a_mark_is_read_wherever_it_was_cut(text, encoding):
    content = text.encode(encoding)
    for start in range(5):
        for end in range(len(content) - 4, len(content) + 1):
            read = decode(content[start:end], "notes")
            assert read.text.strip("\ufffd") in text
            assert len(read.text) >= len(text) - 2
            assert "UTF-32" in read.note


def test_utf_32_without_a_mark_is_read_around_its_damage():
    content = BILINGUAL.encode("utf-32-le")
    read = decode(with_bytes(content, (43, 0xFF), (82, 0x77)), "notes")
    assert read.text == BILINGUAL[:10] + "\ufffd" + BILINGUAL[11:20] + "\ufffd" + BILINGUAL[21:]
    assert read.note.endswith("reading it as UTF-32; replaced unreadable bytes in 2 places with \ufffd")


def test_numbers_are_not_utf_32():
    for numbers in (range(50), [number * 7 % 1_000 for number in range(50)]):
        with pytest.raises(UsageError):
            decode(b"".join(number.to_bytes(4, "little") for number in numbers), "notes")


def test_all_that_is_offered_can_be_named():
    for name in COMMON_ENCODINGS:
        encoding_named(name)


def test_a_text_that_may_be_in_several_encodings_offers_them():
    read = decode("北京".encode("gb18030"), "notes")
    assert len(read.readings) > 1
    assert read.readings[0].text == read.text
    other = read.read_as(read.readings[1])
    assert (other.text, other.note, other.readings) == (read.readings[1].text, None, ())


@given(st.binary(min_size=1), st.sampled_from(COMMON_ENCODINGS))
def test_anything_is_refused_or_read_in_whatever_encoding_is_named(content, name):
    with suppress(UsageError):
        decode(content, "anything", EncodingHints(encoding_named(name))).text.encode()


class TestTheThresholdOfBinary:
    """Text has at most one control character in a hundred."""

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
    def test_one_control_in_a_hundred_is_text(self, encoding):
        text = "\x01" + "é" + "x" * 98
        assert decode(text.encode(encoding), "notes").text == text

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
    def test_one_in_ninety_nine_is_data(self, encoding):
        with pytest.raises(UsageError, match="notes is not text"):
            decode(("\x01" + "é" + "x" * 97).encode(encoding), "notes")

    def test_what_moves_the_cursor_is_no_sign_of_data(self):
        text = "é\t\n\f\x1b[1m"
        assert decode(text.encode("cp1252"), "notes").text == text


class TestTheThresholdOfDamagedUtf8:
    """UTF-8 needs four non-ASCII characters for each damaged place."""

    def test_four_for_one_are_enough(self):
        assert decode("дело".encode() + b" \xff.", "notes").text == "дело \ufffd."

    def test_three_for_one_are_not(self):
        assert not decode("дел".encode() + b" \xc4\xe5\xeb\xee.", "notes").text.startswith("дел ")
