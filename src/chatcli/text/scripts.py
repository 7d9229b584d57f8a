"""Character ranges of Chinese, Japanese and Korean for ``re``, and detection of a text's language by its script."""

from __future__ import annotations

import re
from typing import Final

from chatcli.text.lazy_pattern import lazy_pattern

HAN: Final = "\u2e80-\u2fdf\u3005\u3007\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HIRAGANA: Final = "\u3041-\u3096\u3099\u309a\u309d-\u309f"
KATAKANA: Final = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
HANGUL: Final = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb"
_LATIN: Final = "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a"

CJK_PUNCTUATION: Final = (
    "\u3001-\u3004\u3008-\u3020\u3030\u303d\u30a0\u30fb\ufe10-\ufe1f\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff65\uffe0-\uffe6"
)
"""Punctuation exclusive to these scripts, without shared quotation marks, dashes and ellipses."""

_LOOKED_AT_CHARACTERS: Final = 20_000
_LETTERS_A_HAN: Final = 3
"""Letters of an alphabet that carry about as much as one Chinese, Japanese or Korean character."""
_LEAST_KANA: Final = 0.1
"""Japanese with a smaller share of kana is a title; Chinese with a larger one is about Japanese."""
_IN_CODE: Final = lazy_pattern(
    r"^ *(```|~~~).*?(?:^ *\1|\Z)|`[^`\n]*`|\b\w{1,20}://\S+", re.DOTALL | re.MULTILINE
)


def language_of(text: str) -> str:
    """Return the BCP 47 tag of the main language of ``text`` by its script; code and addresses are ignored.

    One of ``zh-Hans``, ``zh-Hant``, ``ja``, ``ko``, ``en`` (Latin letters or no letters), or empty for other
    scripts.
    """
    words = "" if text.isascii() else _IN_CODE.sub(" ", text[:_LOOKED_AT_CHARACTERS])
    han, kana, hangul, latin = (
        len(re.findall(f"[{script}]", words)) for script in (HAN, HIRAGANA + KATAKANA, HANGUL, _LATIN)
    )
    others = sum(map(str.isalpha, words)) - han - kana - hangul - latin
    if (han + kana + hangul) * _LETTERS_A_HAN <= max(latin, others):
        return "" if others > latin else "en"
    if hangul > han + kana:
        return "ko"
    return "ja" if kana > (han + kana) * _LEAST_KANA else _chinese(words)


def _chinese(text: str) -> str:
    """Return the Chinese variant, by characters that only one of the national standards contains."""
    characters = re.findall(f"[{HAN}]", text)
    simplified = sum(_is_in(character, "gb2312") - _is_in(character, "big5") for character in characters)
    return "zh-Hant" if simplified < 0 else "zh-Hans"


def _is_in(character: str, standard: str) -> bool:
    try:
        character.encode(standard)
    except UnicodeEncodeError:
        return False
    return True
