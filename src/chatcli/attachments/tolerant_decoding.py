"""Decoding damaged text: cut in mid-character, with lost or changed bytes, with lines in UTF-8.

With multi-byte characters, one lost byte shifts all that follow, so a line that does not decode is read again
in the likeliest way: each byte belongs to a character or is skipped, at the least total cost (a shortest path
over the bytes).
"""

# ruff: noqa: PLR2004 - the ranges of bytes that encodings use have no better names

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.attachments.language_profiles import LanguageProfile, languages, sign_cost
from chatcli.core.frozen import mutable

if TYPE_CHECKING:
    from collections.abc import Iterator

REPLACEMENT: Final = "\ufffd"
ASCII_COST: Final = 3.0
BAD_BYTE_COST: Final = 11.0
BAD_EDGE_COST: Final = 9.0
"""The cost (nats) of an undecodable byte at the beginning or end of a text, which may be cut there."""

_LONGEST_REREAD_BYTES: Final = 200_000
_BEGINNING_BYTES: Final = 4_000
_UTF_8_CHARACTER: Final = rb"(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
_UTF_8_LINE: Final = re.compile(
    rb"^[\x00-\x09\x0b-\x7f]*+%b(?:[\x00-\x09\x0b-\x7f]|%b)*+$" % (_UTF_8_CHARACTER, _UTF_8_CHARACTER),
    re.MULTILINE,
)


class _MultiByte(NamedTuple):
    """Each of ``codecs`` is a fallback of those before it; ``lengths`` in bytes of non-ASCII characters."""

    codecs: tuple[str, ...]
    lengths: tuple[int, ...]
    languages: tuple[str, ...]


_NEC_IN_EUC: Final = "the rows of NEC and IBM in EUC-JP"
_MULTI_BYTE: Final = {
    "gb18030": _MultiByte(("gb18030",), (2, 4), ("zh-Hans", "zh-Hant")),
    "big5hkscs": _MultiByte(("cp950", "big5hkscs"), (2,), ("zh-Hant",)),
    "cp932": _MultiByte(("cp932", "shift_jis_2004"), (1, 2), ("ja",)),
    "euc_jp": _MultiByte(("euc_jp", _NEC_IN_EUC, "euc_jis_2004"), (2, 3), ("ja",)),
    "cp949": _MultiByte(("cp949",), (2,), ("ko",)),
}
_WIDEST: Final = {
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("big5", "cp950"), "big5hkscs"),
    **dict.fromkeys(("shift_jis", "shift_jis_2004", "shift_jisx0213"), "cp932"),
    **dict.fromkeys(("euc_jis_2004", "euc_jisx0213"), "euc_jp"),
    "euc_kr": "cp949",
    "iso8859_1": "cp1252",
    "tis_620": "cp874",
    "iso8859_11": "cp874",
}
_WITH_STATE: Final = ("utf", "iso2022", "hz")
_PRINTABLE: Final = bytes(range(0x20, 0x7F))


def decode_tolerantly(content: bytes, encoding: str) -> str:
    r"""Return ``content`` as text, with ``\ufffd`` for undecodable bytes."""
    encoding = widest(encoding)
    if encoding in {"utf_16_le", "utf_16_be"}:
        return _wide(content, encoding)
    if not _is_read_by_the_line(encoding):
        return content.decode(encoding, "replace")
    first, end, rest = content.partition(b"\n")
    rereading = _Rereading(encoding)
    text = rereading.first(first) + end.decode() + rereading.lines(rest)
    # Windows-1258 writes a letter and its tone separately.
    return unicodedata.normalize("NFC", text) if encoding == "cp1258" else text


def widest(encoding: str) -> str:
    """Return the superset of ``encoding`` that people use under its name."""
    return _WIDEST.get(encoding, encoding)


def damaged_places(text: str) -> int:
    """Return the number of undecodable places in ``text``."""
    return sum(REPLACEMENT == here != before for before, here in zip(" " + text, text, strict=False))


def damage_cost(text: str) -> float:
    """Return the cost of the undecodable places in ``text`` (nats)."""
    edges = text.startswith(REPLACEMENT) + text.endswith(REPLACEMENT, 1)
    return BAD_EDGE_COST * edges + BAD_BYTE_COST * (text.count(REPLACEMENT) - edges)


def _is_read_by_the_line(encoding: str) -> bool:
    """Whether ASCII bytes are always ASCII characters, whatever precedes them."""
    return (
        not encoding.startswith(_WITH_STATE) and _PRINTABLE.decode(encoding, "replace") == _PRINTABLE.decode()
    )


def _wide(content: bytes, encoding: str) -> str:
    """Decode UTF-16, which may be cut in mid-character; text with a NUL often was."""
    text = content.decode(encoding, "replace")
    shifted = REPLACEMENT + content[1:].decode(encoding, "replace")
    return min(text, shifted, key=lambda text: _cost(text[:_BEGINNING_BYTES]))


@mutable
class _Rereading:
    """Decodes lines in ``encoding``; ``left_bytes`` limits the slow decoding byte by byte."""

    encoding: str
    left_bytes: int = _LONGEST_REREAD_BYTES

    def first(self, line: bytes) -> str:
        """Return the first line, which may begin in mid-character and decode all the same."""
        if line.isascii() or self.encoding not in _MULTI_BYTE:
            return self.line(line)
        beginning = line[:_BEGINNING_BYTES]
        text, read_bytes = _reread(beginning, self.encoding, is_first=True)
        if len(beginning) == len(line):
            return self._as_utf_8(line, text)
        return text[: -1 if read_bytes < len(beginning) else None] + self.line(line[read_bytes:])

    def lines(self, content: bytes) -> str:
        """Return all further lines. Damaged lines, and those that may be UTF-8, are decoded one by one."""
        texts, start = [], 0
        for found in _UTF_8_LINE.finditer(content):
            texts += [*self._runs(content[start : found.start()]), self.line(found[0])]
            start = found.end()
        return "".join([*texts, *self._runs(content[start:])])

    def _runs(self, content: bytes) -> Iterator[str]:
        view, start = memoryview(content), 0
        while start < len(content):
            try:
                yield str(view[start:], self._codecs[0])
            except UnicodeDecodeError as error:
                line_start = content.rfind(b"\n", start, start + error.start) + 1 or start
                line_end = content.find(b"\n", start + error.start)
                line_end = len(content) if line_end < 0 else line_end
                yield str(view[start:line_start], self._codecs[0])
                yield self.line(content[line_start:line_end])
                start = line_end
            else:
                return

    @property
    def _codecs(self) -> tuple[str, ...]:
        return _MULTI_BYTE[self.encoding].codecs if self.encoding in _MULTI_BYTE else (self.encoding,)

    def line(self, line: bytes) -> str:
        if line.isascii():
            return line.decode()
        for codec in self._codecs:
            with suppress(UnicodeDecodeError, LookupError):
                return self._as_utf_8(line, line.decode(codec))
        if self.encoding not in _MULTI_BYTE or len(line) > self.left_bytes:
            return self._as_utf_8(line, line.decode(self.encoding, "replace"))
        self.left_bytes -= len(line)
        return self._as_utf_8(line, _reread(line, self.encoding)[0])

    def _as_utf_8(self, line: bytes, text: str) -> str:
        """Return ``text``, or the line decoded as UTF-8 if that is likelier: logs have several writers."""
        try:
            other = line.decode()
        except UnicodeDecodeError:
            return text
        return other if _cost(other) < _cost(text) else text


def _cost(text: str) -> float:
    profile = LanguageProfile()
    profile.add(text)
    return damage_cost(text) + min(language.cost(profile) for language in languages().values())


def _reread(line: bytes, encoding: str, *, is_first: bool = False) -> tuple[str, int]:
    """Return ``line`` in its likeliest reading, and its length without a character cut at the end.

    The first line of a text may begin in mid-character, and any may end so.
    """
    lengths = _MULTI_BYTE[encoding].lengths
    size = len(line)
    # The least cost of the rest from each byte on, and the decoding of its first character.
    costs = [0.0] * (size + 1)
    steps: list[tuple[int, str]] = [(1, "")] * size
    for at in range(size - 1, -1, -1):
        if line[at] < 0x80:
            costs[at], steps[at] = ASCII_COST + costs[at + 1], (1, chr(line[at]))
            continue
        is_edge = at == size - 1 or (is_first and at == 0)
        best = (BAD_EDGE_COST if is_edge else BAD_BYTE_COST) + costs[at + 1]
        step = (1, REPLACEMENT)
        for length in lengths:
            if at + length <= size and (read := _character(line[at : at + length], encoding)) is not None:
                cost = read[1] + costs[at + length]
                if cost < best:
                    best, step = cost, (length, read[0])
        costs[at], steps[at] = best, step
    at, text = 0, []
    while at < size:
        text.append(steps[at][1])
        at += steps[at][0]
    is_cut = text[-1] == REPLACEMENT
    return "".join(text), size - 1 if is_cut else size


@cache
def _character(content: bytes, encoding: str) -> tuple[str, float] | None:
    """Return the character of ``content`` and its cost, ``None`` if it is none."""
    kind = _MULTI_BYTE[encoding]
    for codec in kind.codecs:
        try:
            text = _nec_in_euc(content) if codec == _NEC_IN_EUC else content.decode(codec)
        except UnicodeDecodeError:
            continue
        if (
            unicodedata.category(text[0]) not in {"Cc", "Co", "Cn"}
            and len(text) <= 2
            and not text[-1].isascii()
        ):
            return text, _character_cost(text[0], kind.languages)
    return None


def _character_cost(character: str, names: tuple[str, ...]) -> float:
    if not character.isalpha():
        return sign_cost(character)
    return min(languages()[name].character_cost(character) for name in names)


def _nec_in_euc(content: bytes) -> str:
    """Decode NEC and IBM characters, in rows of Windows that JIS X 0208 leaves empty (eucJP-ms, CP51932)."""
    if len(content) != 2 or content[0] not in {0xAD, *range(0xF9, 0xFD)} or not 0xA1 <= content[1] <= 0xFE:
        raise UnicodeDecodeError("euc_jp", content, 0, len(content), "no such row")
    row, cell = content[0] - 0xA1, content[1] - 0xA1
    lead = 0x81 + row // 2
    trail = cell + (0x9F if row % 2 else 0x40 + (cell >= 63))
    return bytes([lead if lead < 0xA0 else lead + 0x40, trail]).decode("cp932")
