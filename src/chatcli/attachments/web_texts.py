"""The text of a fetched web page, by the type its server declares and by its content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING, Final

from chatcli.attachments.encodings import NO_HINTS, EncodingHints, decode, encoding_named, has_byte_order_mark
from chatcli.attachments.file_kinds import is_certainly_data, not_text
from chatcli.core.errors import UsageError
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    ReadHtml: TypeAlias = Callable[[str, str], Awaitable[tuple[str | None, str]]]
    """Takes the HTML and name of a page, and returns its title and its readable text."""

_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "*/*"})
_TEXTS: Final = frozenset(
    {
        *(
            "application/json",
            "application/xml",
            "application/yaml",
            "application/x-yaml",
            "application/toml",
        ),
        *("application/javascript", "application/x-javascript", "application/ecmascript", "application/sql"),
        *("application/csv", "application/x-ndjson", "application/jsonl", "application/json-seq"),
        *(
            "application/rtf",
            "application/x-sh",
            "application/x-tex",
            "application/x-latex",
            "message/rfc822",
        ),
    }
)
_TEXT_SUFFIXES: Final = ("+json", "+xml", "+yaml")
_PICTURES: Final = "image/"
_LOOKS_LIKE_HTML: Final = re.compile(
    # Possessive: a page of unfinished comments must not be tried in every way they could end.
    r"\s*+(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html|head|body|title|meta|script|h1|div|p|table)\b",
    re.IGNORECASE | re.DOTALL,
)
_BEGINNING: Final = 2_000
# https://html.spec.whatwg.org/multipage/parsing.html#prescan-a-byte-stream-to-determine-its-encoding
_META: Final = re.compile(rb"<meta\b[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML: Final = re.compile(rb"\s*<\?xml\b[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_LONGEST_TITLE: Final = 300


@dataclass(frozen=True, slots=True)
class WebText:
    """The text of the page ``url``, with its title as its first heading if it is HTML.

    ``note`` says what was guessed or replaced.
    """

    url: str
    text: str
    note: str | None = None


async def web_text(
    url: str, content_type: str, content: bytes, read_html: ReadHtml, *, hints: EncodingHints = NO_HINTS
) -> WebText:
    """Return the text of ``content``; raise ``UsageError`` for anything but text.

    Markdown, plain text, JSON, CSV and XML are taken as they are, HTML is read by ``read_html``.
    """
    shown = sanitize_line(url)
    media_type, charset = _declared(content_type)
    _check_type(media_type, content, shown)
    is_html = media_type in _HTML
    decoded = decode(content, shown, _encoding(charset, content, hints, is_html=is_html))
    if is_html or (media_type in _UNKNOWN and _LOOKS_LIKE_HTML.match(decoded.text[:_BEGINNING])):
        title, text = await read_html(decoded.text, shown)
        return WebText(url, _titled(title, text), decoded.note)
    if not decoded.text.strip():
        raise UsageError(
            f"{shown} is empty", hint="check the address in your browser", code="page_unreadable"
        )
    return WebText(url, decoded.text, decoded.note)


def _declared(content_type: str) -> tuple[str, str | None]:
    """Return the media type, lower-case, and the charset that a header declares."""
    header = Message()
    header["content-type"] = content_type.replace("\r", " ").replace("\n", " ")
    media_type = content_type.partition(";")[0].strip().lower()
    charset = header.get_param("charset")
    return media_type, charset if isinstance(charset, str) else None


def _check_type(media_type: str, content: bytes, shown: str) -> None:
    is_text = (
        media_type.startswith("text/")
        or media_type in _TEXTS | _HTML | _UNKNOWN
        or (media_type.endswith(_TEXT_SUFFIXES) and not media_type.startswith(_PICTURES))
    )
    declared = sanitize_line(media_type)
    if is_certainly_data(content):
        said = f" (declared as {declared})" if media_type and is_text else ""
        error = not_text(content, shown)
        raise error.reworded(error.message + said, hint="only pages of text can be attached")
    if not is_text:
        raise UsageError(
            f"{shown} is not a page of text: its type is {declared}",
            hint="only pages of text can be attached; download it and convert it to text",
            code="page_unreadable",
        )


def _encoding(charset: str | None, content: bytes, hints: EncodingHints, *, is_html: bool) -> EncodingHints:
    """Return hints with the encoding that the person, the header or the page itself names, in this order.

    A byte order mark counts more than the header and the page.
    """
    if hints.given is not None or has_byte_order_mark(content):
        return hints
    within = _XML.match(content[:_BEGINNING]) or (
        _META.search(content[: 2 * _BEGINNING]) if is_html else None
    )
    own = within[1].decode("ascii", "replace") if within else None
    # A page whose declaration reads as ASCII is not UTF-16, whatever it says.
    own = "utf-8" if own is not None and own.lower().startswith(("utf-16", "utf-32")) else own
    for name in filter(None, (charset, own)):
        try:
            return EncodingHints(encoding_named(name), hints.environment, hints.system_encoding)
        except UsageError:
            continue
    return hints


def _titled(title: str | None, text: str) -> str:
    """Return ``text`` with a heading, unless it begins with one."""
    shown = sanitize_line(title or "")[:_LONGEST_TITLE].strip()
    return text if not shown or text.startswith("# ") else f"# {shown}\n\n{text}"
