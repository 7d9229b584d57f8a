"""Indexing and querying of text for full-text search: one pair of functions shared by every search.

SQLite's FTS5 splits text at spaces, and its trigram tokenizer finds no word of two characters, of which Chinese and
Japanese mostly consist. So scripts written without spaces are indexed as pairs of neighbours::

    indexed("去北京玩 today")   ->  "去北 北京 京玩 玩 today"
    match("北京")              ->  '"北京"'                  two characters: one pair
    match("北京玩")            ->  '"北京 京玩"'              more: a phrase of pairs
    match("北")                ->  '"北" *'                  one: every pair that begins with it
    match("snake_case rom")   ->  '"snake_case" AND "rom" *'

Both sides are folded alike: Unicode's form NFKC, then case. The table is made with ``TOKENIZER``.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from chatcli.core.frozen import frozen
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOKENIZER: Final = "unicode61 remove_diacritics 2"
"""The FTS5 tokenizer for which ``indexed`` and ``match`` are designed."""

QUERY_CHARACTERS: Final = 1_000
"""A longer query is cut: it was pasted, and its beginning suffices."""

BEGINNING_CHARACTERS: Final = 3
"""Length of the word prefixes that ``beginnings`` stores."""

# Thai, Lao, Myanmar, Hangul jamo, Khmer; kana and Hangul compatibility; Han with its marks and extensions; Hangul
# syllables. Halfwidth forms and compatibility ideographs are not here: NFKC turns them into these.
_UNSPACED: Final = (
    "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9fe\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb"
    "\u1780-\u17dd\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_RUN: Final = lazy_pattern(f"[{_UNSPACED}]+")
_SEGMENT: Final = lazy_pattern(f"(?P<run>[{_UNSPACED}]+)|[^{_UNSPACED}]+")
# The tokenizer ends a word at every character that is neither a letter nor a digit.
_SEPARATORS: Final = lazy_pattern(r"[\W_]+")
_WORD: Final = lazy_pattern(r"[^\W_]+")
# Blocks of those scripts that have combining marks.
_MARKED: Final = lazy_pattern(
    "[\u0e00-\u0eff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9fe\u1780-\u17ff\u3099\u309a]"
)
# A letter with its marks, which fold together: a half-width kana and its voicing mark are one letter.
_CLUSTER: Final = lazy_pattern(".[\u0300-\u036f\u3099\u309a\uff9e\uff9f]*", re.DOTALL)
# Characters that cannot be bound as text or would terminate it.
_UNSAFE: Final = lazy_pattern("[\0\ud800-\udfff]")


@frozen
class Term:
    """A term of a query: ``text``, folded.

    ``is_prefix``: matches words that begin with it. ``is_run``: its script has no spaces, so it matches
    anywhere.
    """

    text: str
    is_prefix: bool
    is_run: bool


def folded(text: str) -> str:
    """Return ``text`` in NFKC, case-folded and, in scripts without spaces, without marks: both sides compare this form."""
    if text.isascii():
        return text.lower().replace("\0", " ")
    # Twice, since folding the case may undo the form (Unicode, definition D146).
    form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if _UNSAFE.search(form):
        form = _UNSAFE.sub(" ", form)
    return _RUN.sub(_letters, form) if _MARKED.search(form) else form


def indexed(text: str) -> str:
    """Return the form of ``text`` that is put into the index."""
    words = folded(text)
    return words if words.isascii() else _RUN.sub(_spaced_pairs, words)


def beginnings(words: str) -> str:
    """Return the distinct prefixes of ``words``, a result of ``indexed``, for a small separate index.

    A one-letter query would make the large index merge a good part of its entries. ``is_beginning`` says
    which terms this index can answer.
    """
    found = {word[:BEGINNING_CHARACTERS] for word in _WORD.findall(words)}
    return " ".join(sorted({word[:1] if _RUN.match(word) else word for word in found}))


def is_beginning(term: Term) -> bool:
    """Return whether an index of ``beginnings`` can find ``term``: a single short prefix."""
    if not term.is_prefix or not term.text.isalnum():
        return False
    # Python may know newer letters than the tokenizer, which then ends a word there.
    return len(term.text) < BEGINNING_CHARACTERS or (
        len(term.text) == BEGINNING_CHARACTERS and term.text.isascii()
    )


def match(words: str) -> str:
    """Return the FTS5 expression for texts that contain all of ``words``; empty if there is no term.

    Every word is a search term, never an operator. The last word may be incomplete unless a space follows it.
    """
    return expression(terms(words))


def expression(wanted: Iterable[Term]) -> str:
    """Return the FTS5 expression for texts that contain all the ``wanted`` terms."""
    return " AND ".join(map(_expression, wanted))


def any_of(words: Iterable[str]) -> str:
    """Return the FTS5 expression for texts that contain any of ``words``, a result of ``distinct``."""
    return " OR ".join(f'"{word}"' for word in words)


def distinct(words: str) -> list[str]:
    """Return the distinct words of ``words``, a result of ``indexed``, in order.

    The last letter of a run is omitted if there are pairs: one of them contains it.
    """
    found = dict.fromkeys(_WORD.findall(words))
    distinctive = [word for word in found if len(word) > 1 or not _RUN.match(word)]
    return distinctive or list(found)


def terms(words: str) -> list[Term]:
    """Return the terms of a query, in order."""
    query = folded(words[:QUERY_CHARACTERS])
    segments = [segment for word in query.split() for segment in _SEGMENT.finditer(word)]
    found = [
        Term(segment.group(), is_prefix=segment.end("run") - segment.start("run") == 1, is_run=True)
        if segment["run"]
        else Term(segment.group(), is_prefix=False, is_run=False)
        for segment in segments
        if any(map(str.isalnum, segment.group()))
    ]
    if found and not found[-1].is_run and query[-1:].isalnum():
        found[-1] = Term(found[-1].text, is_prefix=True, is_run=False)
    return found


def locate(text: str, term: Term) -> tuple[int, int] | None:
    """Return the span of the first occurrence of ``term`` in the unfolded ``text``, ``None`` if there is none.

    Finds the same texts as the index, except loose marks in a script without spaces.
    """
    if (pattern := _pattern(term)) is None:
        return None
    if text.isascii():
        hit = pattern.search(text.lower())
        return hit and hit.span()
    letters = [_folded_letter(character) for character in text]
    hit = pattern.search("".join(letters))
    if hit is None:
        return None
    places = [place for place, letter in enumerate(letters) for _ in letter]
    # Marks on the last letter were folded away but belong to the span.
    next_place = places[hit.end()] if hit.end() < len(places) else len(text)
    return places[hit.start()], max(next_place, places[hit.end() - 1] + 1)


def places(text: str, words: Iterable[str]) -> list[tuple[int, int]]:
    """Return the spans of the folded ``words`` in the unfolded ``text``, in order and without overlaps."""
    clusters = list(_CLUSTER.finditer(text))
    letters = [folded(cluster.group()) for cluster in clusters]
    owners = [cluster for cluster, letter in zip(clusters, letters, strict=True) for _ in letter]
    form = "".join(letters)
    found: list[tuple[int, int]] = []
    for start, end in sorted(
        hit.span() for word in words if word for hit in re.finditer(re.escape(word), form)
    ):
        first, last = owners[start].start(), owners[end - 1].end()
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


@lru_cache(maxsize=64)
def _pattern(term: Term) -> re.Pattern[str] | None:
    words = "".join(map(_folded_letter, term.text))
    if term.is_run:
        return re.compile(re.escape(words)) if words else None
    segments = [re.escape(segment) for segment in _SEPARATORS.split(words) if segment]
    if not segments:
        return None
    letter = rf"[^\W_{_UNSPACED}]"
    end = "" if term.is_prefix else f"(?!{letter})"
    return re.compile(f"(?<!{letter}){_SEPARATORS.pattern.join(segments)}{end}")


@lru_cache(maxsize=8_192)
def _folded_letter(character: str) -> str:
    """Fold one character and remove its diacritics, so that each result maps back to its source position."""
    letter = unicodedata.normalize("NFKC", character).casefold()
    if not _RUN.search(letter):
        letter = unicodedata.normalize("NFKD", letter)
    return "".join(part for part in letter if unicodedata.category(part)[0] != "M")


def _expression(term: Term) -> str:
    text = " ".join(_pairs(term.text)) if term.is_run and not term.is_prefix else term.text
    quoted = '"' + text.replace('"', '""') + '"'
    return f"{quoted} *" if term.is_prefix else quoted


def _letters(run: re.Match[str]) -> str:
    # The tokenizer would end a word at a vowel sign above a consonant.
    letters = run.group()
    return "".join(letter for letter in letters if unicodedata.category(letter)[0] != "M")


def _spaced_pairs(run: re.Match[str]) -> str:
    letters = run.group()
    return f" {' '.join(_pairs(letters))} {letters[-1]} "


def _pairs(letters: str) -> Iterator[str]:
    return (first + second for first, second in itertools.pairwise(letters))
