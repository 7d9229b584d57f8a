"""Texts of many languages in their usual encodings: whole, cut at both ends, with one damaged byte.

``corpus/tuned.txt`` was used to tune the recognition; ``corpus/held_out.txt`` was written before and never
used for it. A record is a line ``%% LANGUAGE KIND`` and the text below it.
"""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).parent / "corpus"
HALVES = ("tuned", "held_out")

WIDE = ("utf_16_le", "utf_16_be")
WESTERN = ("cp1252", "iso8859_15", "cp850")
CENTRAL = ("cp1250", "iso8859_2", "cp852")
ENCODINGS = {
    "zh-Hans": ("gb2312", "gb18030", *WIDE),
    "zh-Hant": ("big5", "cp950", "big5hkscs", "gb18030", *WIDE),
    "yue": ("big5hkscs", "gb18030", *WIDE),
    "ja": ("shift_jis", "cp932", "euc_jp", "euc_jis_2004", "iso2022_jp", "iso2022_jp_ext", *WIDE),
    "ko": ("euc_kr", "cp949", *WIDE),
    "ru": ("cp1251", "koi8_r", "cp866", "iso8859_5", "utf_16_le"),
    "uk": ("cp1251", "koi8_u", "cp1125", "iso8859_5"),
    "bg": ("cp1251", "iso8859_5"),
    "el": ("cp1253", "iso8859_7", "cp737"),
    **dict.fromkeys(("de", "fr", "es", "pt", "it", "sv", "da"), WESTERN),
    **dict.fromkeys(("pl", "cs", "hu", "ro"), CENTRAL),
    "tr": ("cp1254", "iso8859_9", "cp857"),
    "lt": ("cp1257", "iso8859_13"),
    "vi": ("cp1258", *WIDE),
    "th": ("cp874", "tis_620"),
    "ar": ("cp1256", "iso8859_6"),
    "fa": ("utf_16_le",),
    "he": ("cp1255", "iso8859_8"),
}
# The cost of a cut or damaged byte: the characters around it, and a replacement character.
_LOST_AT_ONE_PLACE = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A text in an encoding, in a state: ``whole``, ``cut`` or ``damaged``."""

    language: str
    kind: str
    encoding: str
    state: str
    content: bytes
    text: str

    def __str__(self) -> str:
        return f"{self.language} {self.kind}, {self.encoding}, {self.state}"

    def is_right(self, decoded: str) -> bool:
        """Return whether ``decoded`` is the text, apart from what was cut off or damaged."""
        # Windows-1258 writes a letter and its tone separately.
        text, decoded = unicodedata.normalize("NFC", self.text), unicodedata.normalize("NFC", decoded)
        if self.state == "whole":
            return decoded == text
        if self.state == "cut":
            return any(
                text[start : start + len(kept)] == kept
                # The second byte of a cut character may be an ASCII letter.
                for kept in (decoded.strip("\ufffd"), decoded[1:].strip("\ufffd"))
                for start in range(_LOST_AT_ONE_PLACE)
                if len(kept) >= len(text) - 2 * _LOST_AT_ONE_PLACE
            )
        same = _same_length(text, decoded)
        rest = min(len(text), len(decoded)) - same
        return same + min(rest, _same_length(text[::-1], decoded[::-1])) >= len(text) - _LOST_AT_ONE_PLACE


def cases(half: str) -> Iterator[Case]:
    """Yield the texts of a half in every encoding that can represent them, each byte sequence once."""
    for record in (CORPUS / f"{half}.txt").read_text(encoding="utf-8").split("%% ")[1:]:
        heading, _, body = record.partition("\n")
        language, _, kind = heading.partition(" ")
        text, seen = body.rstrip("\n"), set()
        for encoding in ENCODINGS[language]:
            try:
                content = _encoded(text, encoding)
            except UnicodeEncodeError:
                continue
            if content not in seen and not content.isascii():
                seen.add(content)
                for state, left in _states(content, encoding, heading):
                    yield Case(language, kind, encoding, state, left, text)


def _encoded(text: str, encoding: str) -> bytes:
    content = (_with_tones_apart(text) if encoding == "cp1258" else text).encode(encoding)
    if encoding == "euc_kr" and content != text.encode("cp949"):
        raise UnicodeEncodeError(
            encoding, text, 0, 1, "only the codec puts syllables together that KS X 1001 does not have"
        )
    return content


def _with_tones_apart(text: str) -> str:
    tones = "\u0300\u0301\u0303\u0309\u0323"
    letters = []
    for letter in unicodedata.normalize("NFD", text):
        if letter in tones or not letters or not unicodedata.combining(letter):
            letters.append(letter)
        else:
            at = -1 if letters[-1] not in tones else -2
            letters[at] = unicodedata.normalize("NFC", letters[at] + letter)
    return "".join(letters)


def _states(content: bytes, encoding: str, heading: str) -> Iterator[tuple[str, bytes]]:
    yield "whole", content
    chance = random.Random(f"{heading} {encoding}")
    if len(content) >= 20:
        # In the middle of a character, in multi-byte encodings.
        yield "cut", content[1:-1]
    inner = [at for at in range(2, len(content) - 2) if content[at] >= 0x80]
    if len(content) >= 20 and inner and not encoding.startswith(("utf_16", "iso2022")):
        at = chance.choice(inner)
        by = chance.choice([b"", b"\xff", b"?", bytes([chance.randrange(0x80, 0x100)])])
        yield "damaged", content[:at] + by + content[at + 1 :]


def _same_length(one: str, other: str) -> int:
    """Return the length of the common beginning of ``one`` and ``other``."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
