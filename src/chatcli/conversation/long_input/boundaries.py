"""Where a text may be cut: at its headings and definitions, between paragraphs, lines, sentences, words."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW_CHARACTERS: Final = 256
"""Lines shorter than this together are one piece: a cut a few words earlier would win nothing."""

_LONGEST_SIGN: Final = 64
# A line with the empty ones behind it, so that a paragraph's end belongs to it.
_LINE: Final = re.compile(r"[^\n]*\n+|[^\n]+\Z")
_HEADING: Final = re.compile(r"#{1,6}[ \t]|<h[1-6][ >]|={1,6} \S|\\(?:part|chapter|(?:sub)*section)\b")
_DEFINITION: Final = re.compile(
    r"@\w|(?:(?:export|default|public|private|protected|internal|static|final|abstract|sealed|async|pub(?:\([^)]*\))?"
    r"|unsafe|extern|inline|virtual)\s+)*"
    r"(?:def|class|fn|func|function|impl|trait|struct|enum|interface|type|module|namespace|object|record|fun|sub"
    r"|CREATE|defmodule|defn)\b"
)
# Western sentences end before a blank, Chinese and Japanese ones right behind their mark. The blank belongs to what
# follows, as it does for tokenizers: pieces counted by themselves then have as many tokens as together.
_SENTENCE_END: Final = re.compile(
    r"[.!?…]+[\"')\]»”’]*(?=\s)|[。！？｡．]+[」』）】》”’\"]*|[;:；：](?=\s)|\n+"
)
_BLANKS: Final = re.compile(r"\s+(?=\S)")


class Strength(IntEnum):
    """How well a text can be cut before a piece."""

    CHARACTER = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3
    PARAGRAPH = 4
    DEFINITION = 5
    HEADING = 6


class Piece(NamedTuple):
    """A stretch of the text, and how well it can be cut before it."""

    start: int
    end: int
    strength: Strength


def pieces(text: str, longest_characters: int) -> Iterator[Piece]:
    """Yield all of ``text`` in order, in pieces of at most ``longest_characters``, without a gap.

    Short lines that belong together are one piece.
    """
    start, strength, end = 0, Strength.HEADING, 0
    few = min(FEW_CHARACTERS, longest_characters)
    for line in _LINE.finditer(text):
        own = _strength(text, line.start())
        fits = line.end() - start <= longest_characters
        if end > start and (own > Strength.LINE or end - start >= few or not fits):
            yield from _within(text, start, end, strength, longest_characters)
            start = end
        if start == line.start():
            strength = own
        end = line.end()
    if end > start:
        yield from _within(text, start, end, strength, longest_characters)


def before_character(text: str, start: int, at: int) -> int:
    """Return the last place behind ``start`` and at ``at`` at the latest that cuts through nothing seen as one sign.

    A sign longer than any that is written is cut, but no pair of surrogates where there is another place.
    """
    from wcwidth import grapheme_boundary_before  # noqa: PLC0415 - hardly any text needs it, and it loads slowly

    if at >= len(text):
        return len(text)
    begin = max(start, at - _LONGEST_SIGN)
    # Looked at in a little stretch: the whole text would be read for each cut.
    boundary = begin + grapheme_boundary_before(text[begin : at + 1], at + 1 - begin)
    if boundary > begin:
        at = min(boundary, at)
    if at - 1 > start and "\ud800" <= text[at - 1] <= "\udbff" and "\udc00" <= text[at] <= "\udfff":
        at -= 1
    return at


def _strength(text: str, at: int) -> Strength:
    if at == 0:
        return Strength.HEADING
    if _HEADING.match(text, at):
        return Strength.HEADING
    if _DEFINITION.match(text, at):
        return Strength.DEFINITION
    return Strength.PARAGRAPH if text.endswith("\n\n", max(0, at - 2), at) else Strength.LINE


def _within(text: str, start: int, end: int, strength: Strength, longest: int) -> Iterator[Piece]:
    """Yield a stretch whole where it is short enough, else by its sentences, words or characters."""
    while end - start > longest:
        at, following = last_cut(text, start, start + longest)
        yield Piece(start, at, strength)
        start, strength = at, following
    yield Piece(start, end, strength)


def last_cut(text: str, start: int, limit: int) -> tuple[int, Strength]:
    """Return the last good place for a cut behind ``start`` and at ``limit`` at the latest."""
    sentences = [match.end() for match in _SENTENCE_END.finditer(text, start, limit)]
    if sentences and sentences[-1] > start:
        return sentences[-1], Strength.SENTENCE
    blank = None
    for blank in _BLANKS.finditer(text, start, limit):  # noqa: B007 - the last one is wanted
        pass
    if blank is not None and blank.start() > start:
        return blank.start(), Strength.WORD
    return before_character(text, start, limit), Strength.CHARACTER
