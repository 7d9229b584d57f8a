"""A long text in parts, each of which fits a number of tokens.

Every character is in a part, in order. A part ends where the text has its best boundary within the part's last quarter,
and the next one begins a little before that, so that what stands across the cut is seen whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from chatcli.conversation.long_input.boundaries import Strength, last_cut, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatcli.core.ports import TokenCounter

FEWEST_TOKENS: Final = 16
"""The smallest budget: any one character fits it, whatever it is."""

_LONGEST_PIECE_CHARACTERS: Final = 2_000
_PIECES_A_PART: Final = 8
_SIGN_TOKENS: Final = 32
"""A sign made of many characters, such as an emoji of a family, is kept whole up to this length."""

_SEARCHED_SHARE: Final = 4
_OVERLAP_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class TextSlice:
    """``text[start:end]`` of a longer text, ``tokens`` long. Up to ``new_from`` the part before has it too."""

    text: str
    start: int
    end: int
    new_from: int
    tokens: int


class MeasuredText:
    """A text in pieces, each counted once, none of them longer than ``grain_tokens``."""

    def __init__(self, text: str, counter: TokenCounter, *, grain_tokens: int) -> None:
        self.text = text
        self._counter = counter
        self._grain_tokens = max(grain_tokens, 1)
        self.starts: list[int] = []
        self.strengths: list[Strength] = []
        tokens: list[int] = []
        # About as many characters as an English grain has; what has more tokens is cut once more.
        longest = min(_LONGEST_PIECE_CHARACTERS, 4 * self._grain_tokens)
        for start, end, strength in pieces(text, longest):
            for place, counted, found in self._counted(start, end, strength):
                self.starts.append(place)
                self.strengths.append(found)
                tokens.append(counted)
        self.starts.append(len(text))
        self._sums = list(accumulate(tokens, initial=0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def tokens(self, first: int, last: int) -> int:
        """Return the tokens of the pieces from ``first`` to before ``last``, each counted by itself."""
        return self._sums[last] - self._sums[first]

    def count(self, first: int, last: int) -> int:
        """Return the tokens of those pieces as one text."""
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

    About ``overlap_tokens`` of each part, at most a quarter of it, are repeated at the beginning of the next.
    """
    if budget_tokens < FEWEST_TOKENS:
        raise ValueError(f"a part needs room for {FEWEST_TOKENS} tokens")
    grain_tokens = max(budget_tokens // _PIECES_A_PART, min(budget_tokens // 2, _SIGN_TOKENS))
    if overlap_tokens:
        # What is repeated is whole pieces.
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
    """Return ``part`` in about two halves, in nothing where it is too small for that."""
    budget_tokens = part.tokens // 2 + 1
    if budget_tokens < _SIGN_TOKENS:
        return ()
    return split(part.text, counter, budget_tokens=budget_tokens, overlap_tokens=budget_tokens // 16)


def _fitting(measured: MeasuredText, first: int, done: int, budget_tokens: int) -> tuple[int, int, int]:
    """Return where the next part begins and ends, and its tokens. It goes on beyond ``done``.

    What is counted piece by piece may be a little less than the whole, so the whole has the last word.
    """
    end = _best_end(measured, first, done, budget_tokens)
    while (tokens := measured.count(first, end)) > budget_tokens:
        if end > done + 1:
            end -= 1
        elif first < done:
            first += 1
        else:
            break  # one piece, which is one character: nothing smaller is left
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
    """Return where the next part begins: at a sentence, where one begins within the overlap."""
    start = best = end
    while start - 1 > first and measured.tokens(start - 1, end) <= overlap_tokens:
        start -= 1
        if best == end or measured.strengths[start] >= min(measured.strengths[best], Strength.SENTENCE):
            best = start
    return best
