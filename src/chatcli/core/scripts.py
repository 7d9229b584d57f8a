"""The scripts of Chinese, Japanese and Korean, as ranges for a character class of ``re``."""

from __future__ import annotations

from typing import Final

HAN: Final = "\u2e80-\u2fdf\u3005\u3007\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HIRAGANA: Final = "\u3041-\u3096\u3099\u309a\u309d-\u309f"
KATAKANA: Final = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
HANGUL: Final = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb"

CJK_PUNCTUATION: Final = (
    "\u3001-\u3004\u3008-\u3020\u3030\u303d\u30a0\u30fb\ufe10-\ufe1f\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff65\uffe0-\uffe6"
)
"""Punctuation that only these scripts use; they share the quotation marks, the dash and the ellipsis with others."""
