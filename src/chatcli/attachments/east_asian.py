"""Recognizing Chinese, Japanese and Korean text in the encodings from before Unicode."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

_SAMPLE_BYTES: Final = 65_536
_FAMILIAR_SHARE: Final = 0.75
_FREQUENT_SHARE: Final = 0.25
_FEWEST_OF_A_CUT_TEXT: Final = 4

_TRAILS: Final = range(0x40, 0xFF)
# Punctuation, full-width forms and the like stand in all of these languages and tell nothing.
_NEUTRAL: Final = re.compile("[\x00-\x7f\u2000-\u206f\u3000-\u303f\uff00-\uff65]+")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
# An ideograph by itself beside a Latin letter: two accented letters, or one and the next, taken for one character.
_LETTERS_TAKEN_FOR_ONE: Final = re.compile(
    "(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])|(?<![^\x00-\x7f])[^\x00-\x7f](?=[A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class _Script:
    """Which characters a language is written with: those of a few rows of ``charset``, a national standard.

    Where another language has its own characters in the same rows, some must be among the most ``frequent`` ones.
    """

    charset: str
    leads: tuple[int, ...]
    frequent: str = ""


# The standards order their characters by use: what stands in the first rows is nearly all there is in a text.
_HANGUL: Final = _Script(
    "euc_kr",
    (*range(0xB0, 0xC9),),
    "이다는에의가을를하고은로기지사도한자대서어나리아시수인정일전그보여해있었으게것들라며니요안까습세와과만장주",
)
_SIMPLIFIED: Final = _Script("gb2312", (*range(0xB0, 0xD8),))
_TRADITIONAL: Final = _Script("big5", (*range(0xA4, 0xC7),))
_KANA_AND_KANJI: Final = _Script("euc_jp", (0xA4, 0xA5, *range(0xB0, 0xD0)))
# In EUC-JP the same bytes are as good as Simplified Chinese, but for kana.
_WITH_KANA: Final = replace(
    _KANA_AND_KANJI, frequent="".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F5))))
)

_TITLES: Final = {
    "cp949": ("Korean (EUC-KR)", (_HANGUL,)),
    "euc_jp": ("Japanese (EUC-JP)", (_WITH_KANA,)),
    "gb18030": ("Simplified Chinese (GB18030)", (_SIMPLIFIED,)),
    "cp950": ("Traditional Chinese (Big5)", (_TRADITIONAL,)),
    "cp932": ("Japanese (Shift-JIS)", (_KANA_AND_KANJI,)),
    "utf_16_le": ("UTF-16", (_SIMPLIFIED, _KANA_AND_KANJI)),
    "utf_16_be": ("UTF-16", (_SIMPLIFIED, _KANA_AND_KANJI)),
}
"""By encoding, narrower ones first: what it is called, and the scripts it is recognized by."""


def recognized(content: bytes) -> tuple[str, str] | None:
    """Return the encoding ``content`` is surely in and what it is called, ``None`` when it may be anything else.

    Each encoding is tried strictly and judged by how much of the text consists of characters that are in daily use.
    """
    shares = {encoding: _share(content[:_SAMPLE_BYTES], encoding) for encoding in _TITLES}
    best = max(shares, key=shares.__getitem__)
    return (best, _TITLES[best][0]) if shares[best] >= _FAMILIAR_SHARE else None


def _share(content: bytes, encoding: str) -> float:
    """Return which share of the telling characters is familiar."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(content)
    except UnicodeDecodeError:
        return 0.0
    telling = _NEUTRAL.sub("", text)
    is_cut = bool(decoder.getstate()[0])
    if len(telling) < (_FEWEST_OF_A_CUT_TEXT if is_cut else 1) or _CONTROL.search(text):
        return 0.0
    if len(_LETTERS_TAKEN_FOR_ONE.findall(text)) * 2 >= len(telling):
        return 0.0
    _, scripts = _TITLES[encoding]
    if any(_is_unlikely(telling, script) for script in scripts):
        return 0.0
    familiar = frozenset[str]().union(*map(_familiar, scripts))
    return sum(character in familiar for character in telling) / len(telling)


def _is_unlikely(telling: str, script: _Script) -> bool:
    if not script.frequent:
        return False
    return sum(character in script.frequent for character in telling) < _FREQUENT_SHARE * len(telling)


@cache
def _familiar(script: _Script) -> frozenset[str]:
    pairs = (bytes([lead, trail]) for lead in script.leads for trail in _TRAILS)
    # A trail byte the standard does not use leaves nothing, or itself, which is ASCII.
    return frozenset(pair.decode(script.charset, "ignore") for pair in pairs)
