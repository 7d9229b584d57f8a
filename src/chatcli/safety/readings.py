"""What a text says to a model: without hidden characters and look-alikes, and with what is encoded in it decoded.

A reading keeps, for every character, the span of the original text it came from.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
import urllib.parse
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FEWEST_LETTERS: Final = 10
MOST_DECODED_CHARS: Final = 20_000
MOST_KNOWN_RUNS: Final = 1_024
MOST_UNPRINTABLE: Final = 0.1

TAGS: Final = range(0xE0020, 0xE007F)
SELECTORS: Final = range(0xE0100, 0xE01F0)
BOXED: Final = range(0x1F130, 0x1F18A)
SELECTOR_BYTE: Final = 16
"""The byte that the first supplementary variation selector stands for; the sixteen before it are in the BMP."""

_CYRILLIC: Final = dict(zip("аАВсСеЕНіІјЈКМоОрРѕЅТуУхХԁһԛԝ", "aABcCeEHiIjJKMoOpPsSTyYxXdhqw", strict=True))
_GREEK: Final = dict(zip("αΑΒεΕΗιΙκΚΜνΝοΟρΡτΤυΥχΧΖ", "aABeEHiIkKMvNoOpPtTuYxXZ", strict=True))
LOOKALIKES: Final = _CYRILLIC | _GREEK

FOREIGN: Final = r"\u0370-\u03ff\u0400-\u052f"
_ODD: Final = re.compile(
    r"[\u00ad\u0130\u0131\u0300-\u036f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2070-\u209f\u2100-\u214f\u2460-\u24ff\u3000\u3164\ufb00-\ufb06\ufe00-\ufe0f\ufeff"
    r"\uff01-\uffef\U0001d400-\U0001d7ff\U0001f100-\U0001f1ff\U000e0000-\U000e01ef]+"
    rf"|[A-Za-z]{{1,40}}[{FOREIGN}][A-Za-z{FOREIGN}]{{0,40}}|[{FOREIGN}]{{1,40}}[A-Za-z][A-Za-z{FOREIGN}]{{0,40}}"
)
_BARE: Final = {
    ord(char): letter
    for char, letter in zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)
} | {0x130: "i", 0x131: "i"}
_SMALL_CAPITALS: Final = re.compile("[ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ]")
_MARKS: Final = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True, slots=True)
class TextReading:
    """A text in lower case, and where it came from.

    ``starts`` and ``origins`` are parallel: from ``starts[i]`` on, the reading is as long as the original from
    ``origins[i]`` on, unless ``fixed[i]``: then all of it came from the span that begins at ``origins[i]`` and ends
    where the next one begins.
    """

    text: str
    starts: tuple[int, ...] = (0,)
    origins: tuple[int, ...] = (0,)
    fixed: tuple[bool, ...] = (False,)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original text that a part of the reading came from."""
        first = bisect_right(self.starts, start) - 1
        last = max(first, bisect_left(self.starts, end) - 1)
        begin = self.origins[first] + (0 if self.fixed[first] else start - self.starts[first])
        stop = self.origins[last + 1] if self.fixed[last] else self.origins[last] + end - self.starts[last]
        return begin, max(begin, stop)


def read(text: str) -> TextReading:
    """Return the reading of a text with compatibility forms, look-alikes and invisible characters resolved."""
    if text.isascii():
        return TextReading(text.lower())
    if _SMALL_CAPITALS.search(text):
        text = text.translate(_BARE)
    parts: list[str] = []
    starts, origins, fixed = [0], [0], [False]
    at = length = 0
    for match in _ODD.finditer(text):
        plain = text[at : match.start()]
        parts += (plain, resolved := _resolve(match[0]))
        length += len(plain)
        starts += (length, length + len(resolved))
        origins += (match.start(), match.end())
        fixed += (True, False)
        length += len(resolved)
        at = match.end()
    parts.append(text[at:])
    return TextReading("".join(parts).lower(), tuple(starts), tuple(origins), tuple(fixed))


@lru_cache(maxsize=MOST_KNOWN_RUNS)
def _resolve(odd: str) -> str:
    """Return what a run of odd characters, or a word of two scripts, stands for."""
    if odd[0] <= "\u00ff" or odd[-1] <= "\u00ff" or re.match(rf"[{FOREIGN}]", odd):
        looks = "".join(LOOKALIKES.get(char, char if char.isascii() else "") for char in odd)
        return looks.replace("\u00ad", "")
    kept = []
    hidden = bytearray()
    for char in odd:
        code = ord(char)
        if code in TAGS:
            kept.append(chr(code - 0xE0000))
        elif code in SELECTORS:
            hidden.append((code - SELECTORS.start + SELECTOR_BYTE) & 0xFF)
        elif code in (0x130, 0x131):
            kept.append("i")
        elif code in (0x2028, 0x2029, 0x3000):
            kept.append(" ")
        elif code in BOXED:  # letters in squares and circles
            kept.append(chr(ord("a") + (code - BOXED.start) % 32 % 26))
        elif unicodedata.category(char) not in ("Cf", "Mn", "Cn") and code not in (0x115F, 0x1160, 0x3164):
            kept.append(char)
    if len(hidden) >= FEWEST_LETTERS:
        kept.append(hidden.decode("utf-8", "ignore"))
    folded = _MARKS.sub("", unicodedata.normalize("NFKC", "".join(kept)))
    return folded.replace("\u0130", "i")


_LINE: Final = re.compile(r"[^\n]{1,2000}")

LEET: Final = str.maketrans("013457@$!|8", "oieastasiib")
LEET_L: Final = str.maketrans("013457@$!|8", "oleastasllb")
_LEET_WORD: Final = re.compile(
    r"(?<![\w@$!|])(?=[\w@$!|]{0,3}[a-z])[a-z]{0,12}[013457@$!|][a-z0-9@$!|]{0,12}[a-z][a-z0-9@$!|]*"
)
_HAS_LEET: Final = re.compile(r"[a-z][013457@$!|][a-z]")
FEWEST_LEET_WORDS: Final = 2

_SPACED: Final = re.compile(r"(?<!\w)(?:[^\W\d_][ \t._\-*|]{1,4}){7,400}[^\W\d_](?!\w)")
_WORD_GAP: Final = re.compile(r"[ \t]{2,}|\s*[|/]\s*|(?<=\w)[._\-*]\s+(?=\w)")
_RUN_TOGETHER: Final = re.compile(
    r"(ignore|disregard|forget|override|previous|prior|above|instructions?|system|prompt|reveal|print|assistant|all"
    r"|password|secret|send|your|the|rules|now|are|you|do|not|tell|user|and|say)"
)


def undisguised(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield ``(start, end, text)`` of what is written in a line with digits for letters, or with letters apart."""
    if _HAS_LEET.search(text):
        for line in _LINE.finditer(text):
            if len(_LEET_WORD.findall(line[0])) >= FEWEST_LEET_WORDS:
                yield line.start(), line.end(), line[0].translate(LEET)
                yield line.start(), line.end(), line[0].translate(LEET_L)
    for match in _SPACED.finditer(text):
        words = [re.sub(r"[\W_]", "", word) for word in _WORD_GAP.split(match[0])]
        joined = " ".join(words) if len(words) > 1 else _RUN_TOGETHER.sub(r" \1 ", words[0])
        yield match.start(), match.end(), joined


def _from_base64(coded: str) -> bytes:
    plain = coded.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _from_base32(coded: str) -> bytes:
    plain = coded.rstrip("=")
    return base64.b32decode(plain + "=" * (-len(plain) % 8))


def _from_hex(coded: str) -> bytes:
    return bytes.fromhex(re.sub(r"0x|\\x|[\s:,]", "", coded))


def _from_bits(coded: str) -> bytes:
    bits = re.sub(r"\s", "", coded)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))


def _from_codes(coded: str) -> bytes:
    return bytes(int(number) for number in re.findall(r"\d+", coded))


def _from_escapes(coded: str) -> bytes:
    units = b"".join(int(unit, 16).to_bytes(2) for unit in re.findall(r"u([0-9a-fA-F]{4})", coded))
    return units.decode("utf-16-be", "ignore").encode()


MORSE: Final = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split(),  # noqa: SIM905
        "abcdefghijklmnopqrstuvwxyz",
        strict=True,
    )
)


def _from_morse(coded: str) -> bytes:
    words = re.split(r"\s*/\s*|\s{2,}", coded.strip())
    return " ".join("".join(MORSE.get(sign, "") for sign in word.split()) for word in words).encode()


_CODES: Final[tuple[tuple[re.Pattern[str], Callable[[str], bytes], str], ...]] = (
    (re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,60000}={0,2}"), _from_base64, ""),
    (re.compile(r"(?<![A-Z0-9])[A-Z2-7]{24,60000}={0,6}(?![A-Za-z0-9])"), _from_base32, ""),
    (
        re.compile(r"(?<![0-9a-zA-Z])(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,]{0,2}){10,20000}(?![0-9a-zA-Z])"),
        _from_hex,
        "",
    ),
    (re.compile(r"(?<!\d)(?:[01]{8}\s?){8,20000}(?!\d)"), _from_bits, ""),
    (re.compile(r"(?<!\d)(?:\d{2,3}[ ,]{1,2}){12,20000}\d{2,3}(?!\d)"), _from_codes, ""),
    (re.compile(r"(?:\\u[0-9a-fA-F]{4}){6,20000}"), _from_escapes, "\\u"),
    (re.compile(r"(?:[.\-]{1,5}[ /]{1,3}){16,20000}[.\-]{1,5}"), _from_morse, ""),
    (
        re.compile(r"(?:%[0-9a-fA-F]{2}[^\s%]{0,40}){4,2000}"),
        lambda coded: urllib.parse.unquote_to_bytes(coded.replace("+", " ")),
        "%",
    ),
    (re.compile(r"(?:&#?\w{2,8};[^\n&]{0,40}){6,2000}"), lambda coded: html.unescape(coded).encode(), "&"),
)
"""Patterns of what is encoded, how to decode it, and a text without which there is none."""

_ROT13: Final = (
    "vtaber",
    "cerivbhf",
    "vafgehpgvba",
    "flfgrz",
    "cebzcg",
    "qvfertneq",
    "nffvfgnag",
    "cnffjbeq",
)
_REVERSED: Final = (
    "snoitcurtsn",
    "erongi",
    "tpmorp",
    "suoiverp",
    "metsys",
    "drowssap",
    "tnatsissa",
    "drager",
    "令指",
    "示指",
    "略忽",
    "視無",
    "시무",
    "시지",
)


def decoded(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield ``(start, end, text)`` of what can be decoded to words."""
    for pattern, decode, needed in _CODES:
        for match in pattern.finditer(text) if needed in text else ():
            try:
                plain = decode(match[0][: 4 * MOST_DECODED_CHARS]).decode("utf-8")
            except (ValueError, binascii.Error):
                continue
            if plain != match[0] and _is_prose(plain):
                yield match.start(), match.end(), plain[:MOST_DECODED_CHARS]
    low = text.lower()
    for markers, turn in (
        (_ROT13, lambda line: codecs.encode(line, "rot13")),
        (_REVERSED, lambda line: line[::-1]),
    ):
        found = [marker for marker in markers if marker in low]
        if found:
            for line in _LINE.finditer(text):
                if any(marker in line[0].lower() for marker in found):
                    yield line.start(), line.end(), turn(line[0])[:MOST_DECODED_CHARS]


def _is_prose(text: str) -> bool:
    if len(text) < FEWEST_LETTERS:
        return False
    odd = sum(not (char.isprintable() or char in "\n\r\t") for char in text)
    letters = sum(char.isalpha() for char in text)
    return odd <= len(text) * MOST_UNPRINTABLE and letters * 2 > len(text)
