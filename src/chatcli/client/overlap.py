"""Joining the rest of an answer to its beginning.

Asked to go on exactly where it stopped, a model often says the last words again, or the last line, or all of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LONGEST_LOOK_BACK: Final = 20_000
_TELLING_COLUMNS: Final = 10
"""An overlap this wide is no accident; the width lets five Chinese characters count as much as ten Latin letters."""

_TELLING_OF_A_LINE: Final = 3
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n?", re.MULTILINE)


class OverlapRemover:
    """Takes the rest of an answer as it comes and returns what is new in it.

    What may still turn out to be a repetition of the end of ``so_far`` is held back.
    """

    def __init__(self, so_far: str) -> None:
        self._tail = so_far[-_LONGEST_LOOK_BACK:]
        self._is_all = len(so_far) <= _LONGEST_LOOK_BACK
        fence = open_fence(so_far) or ""
        # Without a language, a line that opens a block could as well be the one that closes it.
        self._fence_again = fence if fence.strip().strip("`~") else ""
        self._held: str | None = ""

    def join(self, text: str) -> str:
        """Return the new text that is certain to be new."""
        if self._held is None:
            return text
        self._held += text
        if self._may_still_repeat(self._held):
            return ""
        return self.rest()

    def rest(self) -> str:
        """Return what was held back and is new after all."""
        held, self._held = self._held or "", None
        return held[self._repeated(held) :]

    def _may_still_repeat(self, held: str) -> bool:
        """Tell whether some end of the tail begins with ``held`` and goes on."""
        return self._fence_again.startswith(held) or held in self._tail[:-1]

    def _repeated(self, held: str) -> int:
        """Return how many characters at the start of ``held`` were said already."""
        if self._fence_again and held.startswith(self._fence_again):
            return len(self._fence_again)
        longest = min(len(held), len(self._tail))
        for length in range(longest, 0, -1):
            if self._tail.endswith(held[:length]) and self._is_telling(held, length):
                return length
        return 0

    def _is_telling(self, held: str, length: int) -> bool:
        """Tell whether an overlap of ``length`` characters is a repetition and no accident."""
        overlap = held[:length]
        before = self._tail[: len(self._tail) - length]
        if _columns(overlap.strip()) >= _TELLING_COLUMNS or (self._is_all and not before):
            return True
        starts_line = not before or before.endswith("\n")
        if starts_line and "\n" not in overlap and len(overlap.strip()) >= _TELLING_OF_A_LINE:
            return True
        return _is_whole_word(before, overlap)


def open_fence(text: str) -> str | None:
    """Return the line that opened the code block ``text`` ends in, ``None`` where it ends in none."""
    opened: str | None = None
    for match in _FENCE.finditer(text):
        mark = match[1]
        if opened is None:
            opened = match[0].lstrip(" ")
        elif opened.startswith(mark[0] * 3) and not match[0].strip().strip(mark[0]):
            opened = None
    return opened


def _is_whole_word(before: str, overlap: str) -> bool:
    """Tell whether ``overlap`` is a word, or what was said of it, from its start on."""
    if len(overlap) < 2 or not overlap.isalpha() or not overlap.isascii():  # noqa: PLR2004 - one letter tells nothing
        return False
    return not before or not before[-1].isalnum()


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
