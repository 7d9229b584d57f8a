"""Kinds of data that are not text, recognized by their content and never by a name or a declared type."""

from __future__ import annotations

import codecs
from typing import Final, NamedTuple

from chatcli.core.errors import UsageError

PDF: Final = b"%PDF-"
"""The only data that is often valid UTF-8 as a whole."""

_FOUR_ZEROS: Final = bytes(4)  # the character U+0000 in every encoding
_LONGEST_COMMON_WORD: Final = 3  # a text may begin with "MZ" or "ID3"
_NEVER_IN_TEXT: Final = frozenset({*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F})
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE, codecs.BOM_UTF8)


class Kind(NamedTuple):
    """A kind of data: its ``signature`` at an ``offset``, its title, and what to do with it.

    ``is_certain``: no text has the signature, although it has no control character.
    """

    signature: bytes
    title: str
    hint: str = "only text can be attached; convert it first"
    offset: int = 0
    is_certain: bool = False

    @property
    def is_unlikely_in_text(self) -> bool:
        """Whether it is more than the beginning of a common word."""
        return self.begins_no_text or len(self.signature) > _LONGEST_COMMON_WORD

    @property
    def begins_no_text(self) -> bool:
        return self.is_certain or not _NEVER_IN_TEXT.isdisjoint(self.signature)

    def fits(self, content: bytes) -> bool:
        return content.startswith(self.signature, self.offset)


# https://en.wikipedia.org/wiki/List_of_file_signatures
_KINDS: Final = (
    Kind(b"\x89PNG\r\n\x1a\n", "a PNG image"),
    Kind(b"\xff\xd8\xff", "a JPEG image", is_certain=True),
    Kind(b"GIF8", "a GIF image"),
    Kind(b"WEBP", "a WebP image", offset=8),
    Kind(b"II*\0", "a TIFF image"),
    Kind(b"MM\0*", "a TIFF image"),
    Kind(b"BM", "a BMP image"),
    Kind(PDF, "a PDF", 'extract its text: pdftotext FILE - | chatcli "PROMPT"', is_certain=True),
    Kind(b"PK\x03\x04", "a zip archive or Office document", "unpack it, or save it as text"),
    Kind(b"\x1f\x8b", "gzip data", 'unpack it: gzip -dc FILE | chatcli "PROMPT"'),
    Kind(b"BZh", "bzip2 data", 'unpack it: bzip2 -dc FILE | chatcli "PROMPT"'),
    Kind(b"\xfd7zXZ\0", "xz data", 'unpack it: xz -dc FILE | chatcli "PROMPT"'),
    Kind(b"(\xb5/\xfd", "zstd data", 'unpack it: zstd -dc FILE | chatcli "PROMPT"', is_certain=True),
    Kind(b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    Kind(b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    Kind(b"ustar", "a tar archive", "unpack it first", offset=257),
    Kind(b"\x7fELF", "a program (ELF)"),
    Kind(b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    Kind(b"\xca\xfe\xba\xbe", "a program (Java or Mach-O)"),
    Kind(b"\0asm", "a program (WebAssembly)"),
    Kind(b"MZ", "a program (Windows)"),
    Kind(b"SQLite format 3\0", "an SQLite database", "dump what you need: sqlite3 FILE .dump"),
    Kind(b"PAR1", "a Parquet table", "save what you need as CSV"),
    Kind(b"\x93NUMPY", "a NumPy array"),
    Kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "save it as text"),
    Kind(b"ftyp", "a video or an image (MP4, HEIC, AVIF)", offset=4),
    Kind(b"\x1aE\xdf\xa3", "a video (Matroska, WebM)"),
    Kind(b"RIFF", "audio or an image"),
    Kind(b"OggS", "a sound"),
    Kind(b"ID3", "a sound (MP3)"),
    Kind(b"fLaC", "a sound"),
    Kind(b"wOF2", "a font"),
    Kind(b"wOFF", "a font"),
)


def kind_of(content: bytes) -> Kind | None:
    """Return the kind whose signature ``content`` has. Some words of a text are signatures, too."""
    return next((kind for kind in _KINDS if kind.fits(content)), None)


def is_certainly_data(content: bytes) -> bool:
    """Whether ``content`` has a signature that no text has, in whatever encoding."""
    kind = kind_of(content)
    return kind is not None and kind.begins_no_text and not content.startswith(_WIDE_MARKS)


def is_surely_data(beginning: bytes) -> bool:
    """Whether data with this beginning is not text in any encoding: fast enough to run while typing."""
    if beginning.startswith(_WIDE_MARKS):
        return False
    kind = kind_of(beginning)
    is_binary = kind is not None and not _NEVER_IN_TEXT.isdisjoint(beginning)
    return _FOUR_ZEROS in beginning or is_binary or is_certainly_data(beginning)


def not_text(content: bytes, name: str) -> UsageError:
    """Return the error for data named ``name``, which says what it looks like."""
    kind = kind_of(content)
    if kind is None:
        return UsageError(f"{name} is not text", hint="only text can be attached; convert it first")
    return UsageError(f"{name} is not text: it looks like {kind.title}", hint=kind.hint)
