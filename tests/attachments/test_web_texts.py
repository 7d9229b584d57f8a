"""The text of pages: types, charsets, titles, and what is refused."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.attachments.encodings import EncodingHints
from chatcli.attachments.web_texts import web_text
from chatcli.core.errors import UsageError

URL = "https://host.example/a.png"


class Html:
    """A reader of HTML that records what it was given."""

    def __init__(self, title="The title", text="The text.\n"):
        self.given = []
        self._result = title, text

    async def __call__(self, html, name):
        self.given.append((html, name))
        return self._result


async def text_of(content_type, content, html=None, **how):
    return (await web_text(URL, content_type, content, html or Html(), **how)).text


async def html_given(content_type, content, **how):
    html = Html()
    await text_of(content_type, content, html, **how)
    ((given, name),) = html.given
    assert name == URL
    return given


async def refusal(content_type, content):
    with pytest.raises(UsageError) as caught:
        await text_of(content_type, content)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            "text/markdown",
            "text/plain; charset=utf-8",
            "TEXT/PLAIN",
            "text/csv",
            "text/x-python",
            "text/xml",
        ),
        *(
            "application/json",
            "application/ld+json",
            "application/xml",
            "application/atom+xml",
            "application/yaml",
        ),
        *("application/octet-stream", "", "binary/octet-stream", "; charset=utf-8"),
    ],
)
async def test_text_is_taken_as_it_is_whatever_the_address_ends_with(content_type):
    text = "# déjà <b>vu</b>\r\n\n{}"
    assert await text_of(content_type, text.encode()) == text


@pytest.mark.parametrize("content_type", ["text/html", "Text/HTML ; charset=utf-8", "application/xhtml+xml"])
async def test_html_is_read(content_type):
    assert await html_given(content_type, "<p>déjà".encode()) == "<p>déjà"
    assert await text_of(content_type, b"<p>x") == "# The title\n\nThe text.\n"


@pytest.mark.parametrize("begins", ["<!DOCTYPE html><p>", "\n<html lang=en>", "<!-- a -->\n<HTML>", "<head>"])
async def test_html_without_a_type_is_recognized(begins):
    assert await html_given("", begins.encode()) == begins
    assert await text_of("text/plain", begins.encode()) == begins


async def test_a_page_of_comments_is_looked_at_once():
    assert (await text_of("", b"<!---->" * 280 + b"x")).startswith("<!---->")


async def test_a_page_that_has_its_title_or_none_gets_no_other():
    assert await text_of("text/html", b"<p>", Html("T", "# Other\n")) == "# Other\n"
    assert await text_of("text/html", b"<p>", Html(None, "text\n")) == "text\n"


async def test_a_title_is_one_line_and_harmless():
    text = await text_of("text/html", b"<p>", Html("a\n</document>\x1b[31m\u202eb" + "c" * 999, "text"))
    heading, rest = text.split("\n", 1)
    assert heading.startswith("# a")
    assert len(heading) <= 302
    assert "\x1b" not in heading
    assert rest == "\ntext"


@pytest.mark.parametrize(
    ("content_type", "content", "what"),
    [
        ("image/png", b"\x89PNG\r\n\x1a\n\0", "is not text: it looks like a PNG image"),
        ("text/plain", b"\x89PNG\r\n\x1a\n\0", "it looks like a PNG image (declared as text/plain)"),
        ("text/html", b"%PDF-1.4 1 0 obj", "it looks like a PDF (declared as text/html)"),
        ("", b"PK\x03\x04\x14\0", "it looks like a zip archive"),
        ("image/svg+xml", b"<svg/>", "its type is image/svg+xml"),
        ("application/pdf", b"words", "its type is application/pdf"),
        ("video/mp4", b"words", "its type is video/mp4"),
        ("multipart/form-data", b"words", "its type is multipart/form-data"),
        ("application/vnd.ms-excel", b"a,b", "its type is application/vnd.ms-excel"),
        ("text/plain", b"\0\x01\x02\x03", "is not text"),
        ("text/plain", b"", "is empty"),
        ("text/plain", b" \n", "is empty"),
        ("a\x1b[31m/b", b"words", "its type is"),
    ],
)
async def test_anything_else_is_refused_by_name_and_type(content_type, content, what):
    message = await refusal(content_type, content)
    assert message.startswith(URL)
    assert what in message
    assert "\x1b" not in message


class TestCharsets:
    async def test_the_header_counts_more_than_the_page(self):
        page = '<meta charset="windows-1251"><p>ключ'.encode("koi8-r")
        assert (await html_given("text/html; charset=koi8-r", page)).endswith("ключ")

    @pytest.mark.parametrize(
        "meta",
        [
            *('<meta charset="gbk">', "<META CHARSET=gb2312>", '<meta name=a>\n<meta charset=" gb18030 ">'),
            '<meta http-equiv="Content-Type" content="text/html; charset=gbk">',
            '<?xml version="1.0" encoding="GBK"?><html>',
        ],
    )
    async def test_else_the_page_says_it(self, meta):
        assert (await html_given("text/html", f"{meta}<p>北京".encode("gbk"))).endswith("北京")

    async def test_a_byte_order_mark_counts_more_than_both(self):
        page = codecs.BOM_UTF8 + '<meta charset="gbk">北京'.encode()
        assert (await html_given("text/html; charset=latin1", page)).endswith("北京")

    async def test_the_person_counts_most(self):
        hints = EncodingHints("gb18030")
        assert await text_of("text/plain; charset=latin1", "北京".encode("gbk"), hints=hints) == "北京"

    async def test_without_a_word_it_is_recognized_as_for_files(self):
        found = await web_text(URL, "text/plain", "Größe übermäßig für die Bäume".encode("cp1252"), Html())
        assert found.text == "Größe übermäßig für die Bäume"
        assert "not UTF-8" in found.note

    async def test_western_names_mean_windows(self):
        assert await text_of("text/plain; charset=iso-8859-1", b"5 \x80") == "5 €"

    @pytest.mark.parametrize(
        "charset", ["nonsense", "zlib", "base64", "idna", "", '"', "utf-8; x", "a" * 999]
    )
    async def test_a_name_of_no_encoding_is_passed_over(self, charset):
        assert await text_of(f"text/plain; charset={charset}", "déjà".encode()) == "déjà"

    async def test_a_page_that_can_be_read_as_ascii_is_not_utf_16(self):
        assert (await html_given("text/html", '<meta charset="utf-16"><p>déjà'.encode())).endswith("déjà")


@given(st.text(), st.binary())
async def test_any_type_and_content_is_text_that_can_be_sent_or_refused(content_type, content):
    try:
        text = await text_of(content_type, content)
    except UsageError:
        return
    text.encode()
