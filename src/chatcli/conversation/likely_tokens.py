"""Estimated tokens of a text without a vocabulary, by its scripts; errs on the high side."""

from __future__ import annotations

import re
from math import ceil
from typing import Final

_SAMPLES: Final = 4
_SAMPLE_CHARACTERS: Final = 2_000
"""A longer text is sampled: this runs with each key press."""

# As vocabularies split text first: words with the blank before them, up to three digits, punctuation, white
# space.
_WORD: Final = re.compile(r" ?[A-Za-z]+")
_DIGITS: Final = re.compile(r"[0-9]{1,3}")
_SIGNS: Final = re.compile(r" ?[!-/:-@\[-`{-~]{1,2}")
_BLANKS: Final = re.compile(r"[ \t]{2,}|\n\s*| (?=[0-9])")
_DENSE: Final = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_PICTURES: Final = re.compile(r"[\u2190-\u2bff\ue000-\ufdff\U00010000-\U0010ffff]")
_OTHERS: Final = re.compile(r"[^\x00-\x7f]")
_OTHERS_A_TOKEN: Final = 2
_LETTERS_A_TOKEN: Final = 6
_UNUSUAL: Final = re.compile(r"[a-z][A-Z]|[B-DF-HJ-NP-TV-Xb-df-hj-np-tv-xz]{4}")


def likely_tokens(text: str) -> int:
    """Return the approximate number of tokens of ``text``."""
    if len(text) <= _SAMPLES * _SAMPLE_CHARACTERS:
        return _tokens(text)
    step = (len(text) - _SAMPLE_CHARACTERS) // (_SAMPLES - 1)
    samples = [text[at : at + _SAMPLE_CHARACTERS] for at in range(0, step * _SAMPLES, step)]
    return ceil(sum(map(_tokens, samples)) * len(text) / sum(map(len, samples)))


def _tokens(text: str) -> int:
    words = sum(max(1, round(len(word.lstrip()) / _LETTERS_A_TOKEN)) for word in _WORD.findall(text))
    units = words + sum(len(kind.findall(text)) for kind in (_UNUSUAL, _DIGITS, _SIGNS, _BLANKS))
    if text.isascii():
        return units
    dense, pictures = len(_DENSE.findall(text)), len(_PICTURES.findall(text))
    others = len(_OTHERS.findall(text)) - dense - pictures
    return units + dense + 2 * pictures + ceil(others / _OTHERS_A_TOKEN)
