"""Splitting of a long text into parts within a token budget, and of a long question into words and text.

Every character is in a part, in order. A part ends at the best boundary within its last quarter, and the next
one begins slightly before that, so that a passage across the cut is in one part.

Attachments are the text, and the person's own words are the question. Own words that are too long themselves,
as when a text was piped in without a prompt, are text as well, and the question is a short paragraph at one
of their ends: the last if it asks something, else the first if that asks or announces something, else the
first, else the last. Without a short one there is no question, and the model is asked for the content of the
text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.core.messages import Message, TextPart
from chatcli.text.documents import document, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.core.messages import Part
    from chatcli.core.ports import TokenCounter


FEW_CHARACTERS: Final = 256
"""Shorter groups of lines are one segment: cutting between them would gain nothing."""
_LONGEST_SIGN: Final = 64
# A line with the empty ones after it, so that the end of a paragraph belongs to it.
_LINE: Final = re.compile(r"[^\n]*\n+|[^\n]+\Z")
_HEADING: Final = re.compile(r"#{1,6}[ \t]|<h[1-6][ >]|={1,6} \S|\\(?:part|chapter|(?:sub)*section)\b")
_DEFINITION: Final = re.compile(
    r"@\w|(?:(?:export|default|public|private|protected|internal|static|final|abstract|sealed|async|pub(?:\([^)]*\))?"
    r"|unsafe|extern|inline|virtual)\s+)*"
    r"(?:def|class|fn|func|function|impl|trait|struct|enum|interface|type|module|namespace|object|record|fun|sub"
    r"|CREATE|defmodule|defn)\b"
)
# Western sentences end before a blank, Chinese and Japanese ones directly after their mark. The blank belongs
# to the next sentence, as for tokenizers: segments counted separately then have as many tokens as together.
_SENTENCE_END: Final = re.compile(
    r"[.!?…]+[\"')\]»”’]*(?=\s)|[。！？｡．]+[」』）】》”’\"]*|[;:；：](?=\s)|\n+"
)
_BLANKS: Final = re.compile(r"\s+(?=\S)")


class Strength(IntEnum):
    """How suitable the place before a segment is for a cut."""

    CHARACTER = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3
    PARAGRAPH = 4
    DEFINITION = 5
    HEADING = 6


class Segment(NamedTuple):
    """A section of the text, and how suitable the place before it is for a cut."""

    start: int
    end: int
    strength: Strength


def segments(text: str, longest_characters: int) -> Iterator[Segment]:
    """Yield all of ``text`` in order, in segments of at most ``longest_characters``, without a gap.

    Short lines that belong together are one segment.
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
    """Return the last place after ``start``, at most ``at``, that does not divide a visible character.

    A character longer than any real one is divided, but not between surrogates if there is another place.
    """
    from wcwidth import grapheme_boundary_before  # noqa: PLC0415 - hardly any text needs it, and it loads slowly

    if at >= len(text):
        return len(text)
    begin = max(start, at - _LONGEST_SIGN)
    # Only a short section is examined: otherwise the whole text would be read for each cut.
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


def _within(text: str, start: int, end: int, strength: Strength, longest: int) -> Iterator[Segment]:
    """Yield a section whole if it is short enough, else by its sentences, words or characters."""
    while end - start > longest:
        at, following = last_cut(text, start, start + longest)
        yield Segment(start, at, strength)
        start, strength = at, following
    yield Segment(start, end, strength)


def last_cut(text: str, start: int, limit: int) -> tuple[int, Strength]:
    """Return the last good place for a cut after ``start``, at most ``limit``."""
    sentences = [match.end() for match in _SENTENCE_END.finditer(text, start, limit)]
    if sentences and sentences[-1] > start:
        return sentences[-1], Strength.SENTENCE
    blank = None
    for blank in _BLANKS.finditer(text, start, limit):  # noqa: B007 - the last one is wanted
        pass
    if blank is not None and blank.start() > start:
        return blank.start(), Strength.WORD
    return before_character(text, start, limit), Strength.CHARACTER


FEWEST_TOKENS: Final = 16
"""The smallest budget, which any one character fits."""
_LONGEST_SEGMENT_CHARACTERS: Final = 2_000
_SEGMENTS_A_PART: Final = 8
_SIGN_TOKENS: Final = 32
"""A character of many code points, such as a family emoji, is kept whole up to this length."""
_SEARCHED_SHARE: Final = 4
_OVERLAP_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class TextSlice:
    """``text[start:end]`` of a longer text, ``tokens`` long. Up to ``new_from`` it repeats the part before."""

    text: str
    start: int
    end: int
    new_from: int
    tokens: int


class MeasuredText:
    """A text in segments of at most ``grain_tokens``, each counted once."""

    def __init__(self, text: str, counter: TokenCounter, *, grain_tokens: int) -> None:
        self.text = text
        self._counter = counter
        self._grain_tokens = max(grain_tokens, 1)
        self.starts: list[int] = []
        self.strengths: list[Strength] = []
        tokens: list[int] = []
        # The usual length of an English segment; one with more tokens is divided again.
        longest = min(_LONGEST_SEGMENT_CHARACTERS, 4 * self._grain_tokens)
        for start, end, strength in segments(text, longest):
            for place, counted, found in self._counted(start, end, strength):
                self.starts.append(place)
                self.strengths.append(found)
                tokens.append(counted)
        self.starts.append(len(text))
        self._sums = list(accumulate(tokens, initial=0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def tokens(self, first: int, last: int) -> int:
        """Return the tokens of the segments from ``first`` up to ``last``, each counted separately."""
        return self._sums[last] - self._sums[first]

    def count(self, first: int, last: int) -> int:
        """Return the tokens of those segments as one text."""
        return self._counter.count(self.text[self.starts[first] : self.starts[last]])

    def _counted(self, start: int, end: int, strength: Strength) -> Iterator[tuple[int, int, Strength]]:
        counted = self._counter.count(self.text[start:end])
        if counted <= self._grain_tokens or end - start == 1:
            yield start, counted, strength
            return
        middle, following = last_cut(self.text, start, (start + end) // 2)
        yield from self._counted(start, middle, strength)
        yield from self._counted(middle, end, following)


def split(
    text: str, counter: TokenCounter, *, budget_tokens: int, overlap_tokens: int = 0
) -> Sequence[TextSlice]:
    """Return ``text`` in parts of at most ``budget_tokens``, which is at least ``FEWEST_TOKENS``.

    About ``overlap_tokens`` of each part, at most a quarter, are repeated at the beginning of the next.
    """
    if budget_tokens < FEWEST_TOKENS:
        raise ValueError(f"a part needs room for {FEWEST_TOKENS} tokens")
    grain_tokens = max(budget_tokens // _SEGMENTS_A_PART, min(budget_tokens // 2, _SIGN_TOKENS))
    if overlap_tokens:
        # The overlap consists of whole segments.
        grain_tokens = min(grain_tokens, max(overlap_tokens // 2, _SIGN_TOKENS))
    measured = MeasuredText(text, counter, grain_tokens=grain_tokens)
    overlap_tokens = min(overlap_tokens, budget_tokens // _OVERLAP_SHARE)
    parts: list[TextSlice] = []
    first = end = 0
    while end < len(measured):
        first, end, tokens, done = *_fitting(measured, first, end, budget_tokens), end
        start, new_from, stop = measured.starts[first], measured.starts[done], measured.starts[end]
        parts.append(TextSlice(text[start:stop], start, stop, new_from, tokens))
        first = _overlap_start(measured, first, end, overlap_tokens)
    return parts


def halves(part: TextSlice, counter: TokenCounter) -> Sequence[TextSlice]:
    """Return ``part`` in two halves, none if it is too small for that."""
    budget_tokens = part.tokens // 2 + 1
    if budget_tokens < _SIGN_TOKENS:
        return ()
    return split(part.text, counter, budget_tokens=budget_tokens, overlap_tokens=budget_tokens // 16)


def _fitting(measured: MeasuredText, first: int, done: int, budget_tokens: int) -> tuple[int, int, int]:
    """Return the start, end and tokens of the next part, which extends beyond ``done``.

    The sum of the segments may be slightly less than the whole, so the whole is counted last.
    """
    end = _best_end(measured, first, done, budget_tokens)
    while (tokens := measured.count(first, end)) > budget_tokens:
        if end > done + 1:
            end -= 1
        elif first < done:
            first += 1
        else:
            break  # one segment of one character: there is nothing smaller
    return first, end, tokens


def _best_end(measured: MeasuredText, first: int, done: int, budget_tokens: int) -> int:
    furthest = done + 1
    while furthest < len(measured) and measured.tokens(first, furthest + 1) <= budget_tokens:
        furthest += 1
    if furthest == len(measured):
        return furthest
    enough = budget_tokens - budget_tokens // _SEARCHED_SHARE
    best = furthest
    for end in range(furthest, done, -1):
        if measured.tokens(first, end) < enough:
            break
        if measured.strengths[end] > measured.strengths[best]:
            best = end
    return best


def _overlap_start(measured: MeasuredText, first: int, end: int, overlap_tokens: int) -> int:
    """Return where the next part begins: at a sentence, if one begins within the overlap."""
    start = best = end
    while start - 1 > first and measured.tokens(start - 1, end) <= overlap_tokens:
        start -= 1
        if best == end or measured.strengths[start] >= min(measured.strengths[best], Strength.SENTENCE):
            best = start
    return best


LONGEST_QUESTION_CHARACTERS: Final = 1_000
SUMMARIZE: Final = "Say what the text says."
"""The question for a text without one."""
_PARAGRAPH_END: Final = re.compile(r"\n[ \t]*\n\s*")
_ASKS: Final = ("?", "？", "؟")
_ANNOUNCES: Final = (*_ASKS, ":", "：")


@dataclass(frozen=True, slots=True)
class LongText:
    """The text to read: ``text`` consists of the ``names``, each beginning at its place in ``starts``."""

    text: str
    names: tuple[str, ...]
    starts: tuple[int, ...]

    def named(self, start: int, end: int) -> str:
        """Return the names of the texts in ``text[start:end]``."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, max(start, end - 1)) - 1
        return self.names[first] if first == last else f"{self.names[first]} to {self.names[last]}"


@dataclass(frozen=True, slots=True)
class Divided:
    """A question in ``words``, the ``text`` it is about, and ``others``: attachments that are not text."""

    words: str
    text: LongText
    others: tuple[Part, ...] = ()

    def about(self, name: str, text: str) -> Message:
        """Return the question about ``text`` in place of the whole."""
        return Message(
            "user", (TextPart(self.words), TextPart(document(name, text), "document"), *self.others)
        )


def divide(question: Message, *, longest_words: int = LONGEST_QUESTION_CHARACTERS) -> Divided:
    """Return the question and the text it is about; own words longer than ``longest_words`` are text too."""
    texts = [part for part in question.parts if isinstance(part, TextPart)]
    own = "\n\n".join(part.text for part in texts if part.origin == "person")
    sources = [_source(part.text) for part in texts if part.origin != "person"]
    words = own
    if not sources or len(own) > longest_words:
        words, rest = _question_in(own)
        if rest:
            sources.insert(0, ("the text", rest))
    others = tuple(part for part in question.parts if not isinstance(part, TextPart))
    return Divided(words or SUMMARIZE, _joined(sources), others)


def _source(framed: str) -> tuple[str, str]:
    return read_document(framed) or ("the text", framed)


def _joined(sources: list[tuple[str, str]]) -> LongText:
    # A single text needs no frame; with several, each part must show where one ends and another begins.
    texts = [text for _, text in sources]
    if len(sources) > 1:
        texts = [document(name, text) + "\n\n" for name, text in sources]
    starts = tuple(accumulate(map(len, texts[:-1]), initial=0))
    return LongText("".join(texts), tuple(name for name, _ in sources), starts)


def _question_in(own: str) -> tuple[str, str]:
    """Return the question inside the person's long text, and the remaining text."""
    text = own.strip()
    ends = list(_PARAGRAPH_END.finditer(text, max(0, len(text) - 2 * LONGEST_QUESTION_CHARACTERS)))
    first_end = _PARAGRAPH_END.search(text)
    if first_end is None:
        return "", own
    first = text[: first_end.start()], text[first_end.end() :]
    last = (text[ends[-1].end() :], text[: ends[-1].start()]) if ends else ("", text)
    for (words, rest), endings in ((last, _ASKS), (first, _ANNOUNCES), (first, ""), (last, "")):
        if 0 < len(words) <= LONGEST_QUESTION_CHARACTERS and words.rstrip().endswith(endings):
            return words, rest
    return "", own
