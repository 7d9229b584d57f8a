"""Recognizing the encoding of a text by the language it would be in.

Every candidate decodes a sample, damaged as it may be, and the languages written in it rate how likely the
result is. The person's locale makes an encoding or a language likelier.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatcli.attachments.language_profiles import LanguageProfile, languages
from chatcli.attachments.tolerant_decoding import REPLACEMENT, damage_cost, decode_tolerantly, widest

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOCALE_WEIGHT: Final = 5.0
_LANGUAGE_WEIGHT: Final = 6.0
"""How much likelier the locale's encoding and the person's language are (nats)."""

_HOPELESSLY_BEHIND: Final = 40.0
_SAMPLE_BYTES: Final = 2_000
_LONGEST_LINE_BYTES: Final = 600
_FEW_LINE_ENDS: Final = 100
_LINE: Final = re.compile(rb"[^\n]*[\x80-\xff][^\n]*\n?")

_CYRILLIC: Final = ("ru", "uk", "bg", "be", "sr", "mk", "kk")
_WESTERN: Final = ("de", "fr", "es", "pt", "it", "sv", "da", "nb", "fi", "nl", "is", "ca")
_CENTRAL: Final = ("pl", "cs", "sk", "hu", "ro", "hr", "sl", "sq", "de")
_ALPHABETIC: Final = (*_WESTERN, *_CENTRAL, *_CYRILLIC, "el", "tr", "lt", "lv", "et")
_HAN: Final = ("zh-Hans", "zh-Hant")
_ALL_WIDE: Final = (*_HAN, "ja", "ko", "ru", "uk", "el", "ar", "fa", "he", "th", "vi", "de", "fr", "pl")


@dataclass(frozen=True, slots=True)
class EncodingCandidate:
    """An encoding: its name, how rare it is (nats), and the languages written in it."""

    encoding: str
    title: str
    rarity: float
    languages: tuple[str, ...]


CANDIDATES: Final[tuple[EncodingCandidate, ...]] = (
    EncodingCandidate("utf_8", "UTF-8", 0.0, (*_ALL_WIDE, *_WESTERN, *_CENTRAL, "tr")),
    EncodingCandidate("gb18030", "Simplified Chinese (GB18030)", 0.0, _HAN),
    EncodingCandidate("big5hkscs", "Traditional Chinese (Big5)", 0.5, ("zh-Hant",)),
    EncodingCandidate("cp932", "Japanese (Shift-JIS)", 0.0, ("ja",)),
    EncodingCandidate("euc_jp", "Japanese (EUC-JP)", 0.5, ("ja",)),
    EncodingCandidate("cp949", "Korean (EUC-KR)", 0.0, ("ko",)),
    EncodingCandidate("cp1252", "Western European (Windows-1252)", 0.0, _WESTERN),
    EncodingCandidate("iso8859_15", "Western European (ISO-8859-15)", 2.0, _WESTERN),
    EncodingCandidate("cp850", "Western European (cp850)", 3.0, _WESTERN),
    EncodingCandidate("cp1250", "Central European (Windows-1250)", 0.5, _CENTRAL),
    EncodingCandidate("iso8859_2", "Central European (ISO-8859-2)", 1.5, _CENTRAL),
    EncodingCandidate("cp852", "Central European (cp852)", 3.0, _CENTRAL),
    EncodingCandidate("cp1251", "Cyrillic (Windows-1251)", 0.0, _CYRILLIC),
    EncodingCandidate("koi8_r", "Cyrillic (KOI8-R)", 1.0, _CYRILLIC),
    EncodingCandidate("koi8_u", "Cyrillic (KOI8-U)", 1.5, _CYRILLIC),
    EncodingCandidate("cp866", "Cyrillic (cp866)", 1.5, _CYRILLIC),
    EncodingCandidate("cp1125", "Cyrillic (cp1125)", 3.0, ("uk",)),
    EncodingCandidate("iso8859_5", "Cyrillic (ISO-8859-5)", 2.0, _CYRILLIC),
    EncodingCandidate("cp1253", "Greek (Windows-1253)", 0.5, ("el",)),
    EncodingCandidate("iso8859_7", "Greek (ISO-8859-7)", 1.0, ("el",)),
    EncodingCandidate("cp737", "Greek (cp737)", 3.0, ("el",)),
    EncodingCandidate("cp1254", "Turkish (Windows-1254)", 1.0, ("tr", "az")),
    EncodingCandidate("iso8859_9", "Turkish (ISO-8859-9)", 1.5, ("tr",)),
    EncodingCandidate("cp857", "Turkish (cp857)", 3.0, ("tr",)),
    EncodingCandidate("cp1257", "Baltic (Windows-1257)", 3.0, ("lt", "lv", "et")),
    EncodingCandidate("iso8859_13", "Baltic (ISO-8859-13)", 4.0, ("lt", "lv", "et")),
    EncodingCandidate("cp1258", "Vietnamese (Windows-1258)", 1.5, ("vi",)),
    EncodingCandidate("cp874", "Thai (Windows-874)", 0.5, ("th",)),
    EncodingCandidate("cp1256", "Arabic (Windows-1256)", 0.5, ("ar", "fa")),
    EncodingCandidate("iso8859_6", "Arabic (ISO-8859-6)", 1.5, ("ar",)),
    EncodingCandidate("cp1255", "Hebrew (Windows-1255)", 0.5, ("he",)),
    EncodingCandidate("iso8859_8", "Hebrew (ISO-8859-8)", 1.5, ("he",)),
)
WIDE: Final[tuple[EncodingCandidate, ...]] = (
    EncodingCandidate("utf_16_le", "UTF-16", 1.0, _ALL_WIDE),
    EncodingCandidate("utf_16_be", "UTF-16", 2.0, _ALL_WIDE),
)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How well ``candidate`` fits a sample: its ``cost`` (nats) in ``language``, and the decoded sample."""

    candidate: EncodingCandidate
    language: str
    cost: float
    sample: str


def likelihoods(
    content: bytes, *, locale_encoding: str | None = None, language: str | None = None
) -> list[Likelihood]:
    """Return every candidate for ``content``, which has non-ASCII bytes, the likeliest first."""
    if b"\0" in content:
        chunks, candidates = [content[:_SAMPLE_BYTES]], WIDE
    else:
        chunks, candidates = _sample(content), CANDIDATES
        # A UTF-8 locale says nothing about a text that is not UTF-8.
        locale_encoding = None if locale_encoding in {None, "utf_8", "ascii"} else widest(locale_encoding)
        if locale_encoding and locale_encoding not in {known.encoding for known in CANDIDATES}:
            title = f"{locale_encoding}, as the locale says"
            candidates += (EncodingCandidate(locale_encoding, title, 0.0, _ALPHABETIC),)
        if len(chunks) == 1 and len(chunks[0]) == min(len(content), _SAMPLE_BYTES):
            candidates += WIDE
    found: list[Likelihood] = []
    limit = math.inf
    for candidate in candidates:
        likelihood = _likelihood(candidate, chunks, locale_encoding, language, limit)
        if likelihood is not None:
            found.append(likelihood)
            limit = min(limit, likelihood.cost + _HOPELESSLY_BEHIND)
    return sorted(found, key=lambda likelihood: likelihood.cost)


def text_cost(text: str) -> float:
    """Return the cost of a text in its likeliest language (nats), including damage."""
    profile = LanguageProfile()
    profile.cost = damage_cost(text)
    for part in text.split(REPLACEMENT):
        profile.add(part)
    return min(languages()[name].cost(profile, math.inf) for name in _ALL_WIDE)


def _sample(content: bytes) -> list[bytes]:
    """Return lines with non-ASCII bytes, the first ones and others from everywhere."""
    if content.count(b"\n") * _FEW_LINE_ENDS < len(content):
        return [content[:_SAMPLE_BYTES]]
    spans = [match.span() for match in _LINE.finditer(content)]
    step = max(1, sum(min(end - start, _LONGEST_LINE_BYTES) for start, end in spans) // _SAMPLE_BYTES)
    return [content[start : min(end, start + _LONGEST_LINE_BYTES)] for start, end in spans[::step]]


def _likelihood(
    candidate: EncodingCandidate,
    chunks: Sequence[bytes],
    locale_encoding: str | None,
    language: str | None,
    limit: float,
) -> Likelihood | None:
    """Return how well ``candidate`` explains ``chunks``, ``None`` if the cost exceeds ``limit``."""
    profile, samples = LanguageProfile(), []
    profile.cost = candidate.rarity - (_LOCALE_WEIGHT if candidate.encoding == locale_encoding else 0.0)
    for chunk in chunks:
        text = decode_tolerantly(chunk, candidate.encoding)
        samples.append(text)
        profile.cost += damage_cost(text)
        for part in text.split(REPLACEMENT):
            profile.add(part)
        if profile.cost > limit:
            return None
    says_something = any(
        character > "\x7f" and character != REPLACEMENT for sample in samples for character in sample
    )
    if not says_something and candidate not in WIDE:
        return None  # everything characteristic of the encoding would be damage
    best = None
    for name in candidate.languages:
        bonus = _LANGUAGE_WEIGHT if name == language else 0.0
        cost = languages()[name].cost(profile, limit + bonus) - bonus
        if cost < limit:
            best, limit = Likelihood(candidate, name, cost, "".join(samples)), cost
    return best
