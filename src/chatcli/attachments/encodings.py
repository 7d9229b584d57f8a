"""From bytes to text: what a person pipes in or attaches, in whatever encoding it comes."""

from __future__ import annotations

import codecs
import os
import unicodedata
from dataclasses import dataclass
from typing import Final, NamedTuple

from chatcli.attachments.east_asian import recognized
from chatcli.core.errors import UsageError

_SAMPLE: Final = 65_536
_SPACE: Final = 0x20
_LINE_CONTROLS: Final = frozenset("\t\n\r\f\x1b")
_REPLACEMENT: Final = "\ufffd"
_GOOD_FOR_EACH_BAD: Final = 4

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE_ENCODINGS: Final = (
    ("utf_32_le", "UTF-32"),
    ("utf_32_be", "UTF-32"),
    ("utf_16_le", "UTF-16"),
    ("utf_16_be", "UTF-16"),
)


class _Kind(NamedTuple):
    """A kind of data that is no text: how it begins, what it is called, what makes a text of it."""

    beginning: bytes
    title: str
    hint: str = "only text can be attached; convert it first"


# https://en.wikipedia.org/wiki/List_of_file_signatures
_KINDS: Final = (
    _Kind(b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    _Kind(b"\xff\xd8\xff", "a JPEG picture"),
    _Kind(b"GIF8", "a GIF picture"),
    _Kind(b"%PDF-", "a PDF", 'take its text: pdftotext FILE - | chatcli "PROMPT"'),
    _Kind(b"PK\x03\x04", "a zip archive or an office document", "unpack it, or save it as text"),
    _Kind(b"\x1f\x8b", "gzip data", 'unpack it: gzip -dc FILE | chatcli "PROMPT"'),
    _Kind(b"BZh", "bzip2 data", 'unpack it: bzip2 -dc FILE | chatcli "PROMPT"'),
    _Kind(b"\xfd7zXZ\0", "xz data", 'unpack it: xz -dc FILE | chatcli "PROMPT"'),
    _Kind(b"(\xb5/\xfd", "zstd data", 'unpack it: zstd -dc FILE | chatcli "PROMPT"'),
    _Kind(b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    _Kind(b"\x7fELF", "a program (ELF)"),
    _Kind(b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    _Kind(b"MZ", "a program (Windows)"),
    _Kind(b"SQLite format 3\0", "an SQLite database", "take what is asked about: sqlite3 FILE .dump"),
    _Kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document", "save it as text"),
    _Kind(b"RIFF", "a sound or a picture"),
    _Kind(b"OggS", "a sound"),
    _Kind(b"ID3", "a sound (MP3)"),
    _Kind(b"fLaC", "a sound"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded text; ``note`` says what had to be guessed or replaced."""

    text: str
    note: str | None = None


def decode(content: bytes, name: str, *, locale_encoding: str = "utf-8") -> Text:
    """Decode ``content``, called ``name`` in messages. Raise ``UsageError`` for what is no text.

    It is taken as what its byte order mark says, as UTF-8, as UTF-16 or UTF-32 without a mark, as an encoding of
    East Asia that can be recognized, as ``locale_encoding``, and last as Western European, which nothing
    contradicts. What is not certain comes with a note.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode_marked(content, encoding, name)
    if b"\0" in content:
        return _decode_wide(content, name)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _decode_nearly_utf_8(content, name) or _decode_guessing(content, name, locale_encoding)
    return _decode_mail(content, name) or Text(text)


def as_typed(argument: str) -> str:
    """Return an argument of the command line as it was typed.

    Where the locale knows only ASCII, Python hands over other bytes as lone surrogates.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:
        return _from_surrogates(argument)
    return argument


def _from_surrogates(argument: str) -> str:
    try:
        return decode(os.fsencode(argument), "an argument").text
    except (UnicodeEncodeError, UsageError):
        return argument.encode("utf-8", "replace").decode()


def _decode_marked(content: bytes, encoding: str, name: str) -> Text:
    text = content.decode(encoding, "replace")
    bad = text.count(_REPLACEMENT)
    # The end of a text that was cut may be half a character; more than that is no text.
    if bad > 1 or (bad and text.strip(_REPLACEMENT) == "") or _looks_binary(text):
        raise _binary(content, name)
    return Text(text, _replaced(name, bad))


def _decode_wide(content: bytes, name: str) -> Text:
    for encoding, title in _WIDE_ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _is_plain(text):
            return Text(text, f"{name} has no byte order mark: read as {title}")
    raise _binary(content, name)


def _is_plain(text: str) -> bool:
    """Tell text from bytes that were put together wrongly: every character is assigned and none is a control."""
    sample = text[:_SAMPLE]
    return all(
        character in _LINE_CONTROLS or unicodedata.category(character) not in {"Cc", "Cn", "Co"}
        for character in sample
    ) and any(character.isascii() for character in sample)


def _decode_nearly_utf_8(content: bytes, name: str) -> Text | None:
    """Decode UTF-8 with a few bytes that are none: a text cut in the middle of a character, a mixed log."""
    text = content.decode("utf-8", "replace")
    bad = text.count(_REPLACEMENT)
    good = sum(not character.isascii() for character in text[: 16 * _SAMPLE]) - bad
    is_cut = bad == 1 and text.endswith(_REPLACEMENT) and good > 0
    if not is_cut and good < _GOOD_FOR_EACH_BAD * bad:
        return None
    if _looks_binary(text):
        raise _binary(content, name)
    return Text(text, _replaced(name, bad))


def _decode_mail(content: bytes, name: str) -> Text | None:
    """Decode ISO-2022-JP, the 7-bit encoding of Japanese mail."""
    if b"\x1b$" not in content:
        return None
    try:
        return Text(content.decode("iso2022_jp"), f"{name} is not UTF-8: read as Japanese (ISO-2022-JP)")
    except UnicodeDecodeError:
        return None


def _decode_guessing(content: bytes, name: str, locale_encoding: str) -> Text:
    if found := recognized(content):
        encoding, title = found
        return _guessed(content, encoding, title, name)
    if _kind(content) or _looks_binary(content[:_SAMPLE].decode("latin-1")):
        raise _binary(content, name)
    try:
        content.decode(locale_encoding)
    except (LookupError, UnicodeDecodeError):
        return _guessed(content, "cp1252", "Western European (Windows-1252)", name)
    return _guessed(content, locale_encoding, f"{locale_encoding}, as the locale says", name)


def _guessed(content: bytes, encoding: str, title: str, name: str) -> Text:
    return Text(content.decode(encoding, "replace"), f"{name} is not UTF-8: read as {title}")


def _replaced(name: str, count: int) -> str | None:
    if not count:
        return None
    places = "1 place" if count == 1 else f"{count:,} places"
    return f"{name} is damaged: what could not be read in {places} is replaced by {_REPLACEMENT}"


def _looks_binary(text: str) -> bool:
    """Tell text from data by its control characters: text in an 8-bit encoding has next to none."""
    sample = text[:_SAMPLE]
    controls = sum(character < " " and character not in _LINE_CONTROLS for character in sample)
    return controls * 100 > len(sample)


def _kind(content: bytes) -> _Kind | None:
    return next((kind for kind in _KINDS if content.startswith(kind.beginning)), None)


def _binary(content: bytes, name: str) -> UsageError:
    kind = _kind(content)
    if kind is None:
        return UsageError(f"{name} is not text", hint="only text can be attached; convert it first")
    return UsageError(f"{name} is not text: it looks like {kind.title}", hint=kind.hint)
