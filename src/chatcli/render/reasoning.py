"""A model's reasoning before its answer: whole lines while it streams, or one line about it."""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from wcwidth import iter_graphemes, width

from chatcli.text.sanitizer import TerminalSanitizer
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.render.themes import Theme

BAR: Final = "┊ "

_TAB: Final = "    "
_BRIEF_S: Final = 0.5
_LONGEST_CHARACTER: Final = 32
"""The maximum code points of one character: an endless row of marks must not grow without bound."""

# CJK text has no blanks: each character counts as a word, as in word processors.
_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD: Final = re.compile(f"[{_CJK}]|[^\\s{_CJK}]+")
_ENDS_NO_ROW: Final = frozenset("（「『【《〈")
_BEGINS_NO_ROW: Final = frozenset("、。，．！？：；）」』】》〉")


class Reasoning:
    """Turns a model's reasoning, given in chunks, into lines behind a bar.

    A line is returned once no later text can change it. So the lines depend on the text and the width only,
    not on how the text was cut, and the cost of a chunk depends on its own length. Widths are in columns, the
    bar included. ``finish`` and ``fold`` end the reasoning; text fed afterwards starts a new one.
    """

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._is_over = False
        self._begin()

    def feed(self, text: str, width: int) -> list[Segment]:
        """Return the finished lines, each with its end."""
        if self._is_over:
            self._begin()
        safe = self._sanitizer.feed(text)
        self._words.feed(safe)
        return self._printed(self._rows.feed(safe, self._room(width)))

    def finish(self, width: int) -> list[Segment]:
        """End the reasoning and return the remaining lines, each with its end."""
        safe = self._sanitizer.finish()
        self._words.feed(safe)
        rows = self._rows.feed(safe, self._room(width))
        rows += self._rows.finish(self._room(width))
        self._is_over = True
        return self._printed(rows)

    def tail(self, width: int, rows: int) -> list[list[Segment]]:
        """Return the last ``rows`` of the unfinished lines, without their ends."""
        if self._is_over:
            return []
        lines = self._rows.unfinished(self._room(width))
        return [[self._line(line)] for line in lines[max(0, len(lines) - rows) :]]

    def fold(self, elapsed_s: float) -> Segment:
        """Return a one-line summary without a line end: how long the reasoning took, and its word count."""
        self._is_over = True
        count = self._words.count
        words = f" ({counted(count, 'word')})" if count else ""
        if elapsed_s < _BRIEF_S:
            return self._theme.segment(f"thought briefly{words}", "reasoning")
        return self._theme.segment(f"thought for {elapsed_s:.0f} s{words}", "reasoning")

    def _begin(self) -> None:
        self._is_over = False
        self._sanitizer = TerminalSanitizer()
        self._words = _WordCounter()
        self._rows = _RowWrapper()

    def _room(self, columns: int) -> int:
        return max(1, columns - width(BAR))

    def _printed(self, rows: list[str]) -> list[Segment]:
        return [segment for row in rows for segment in (self._line(row), Segment.line())]

    def _line(self, row: str) -> Segment:
        return self._theme.segment((BAR + row).rstrip(), "reasoning")


class _WordCounter:
    """Counts the words of a text given in chunks."""

    def __init__(self) -> None:
        self.count = 0
        self._last = " "

    def feed(self, text: str) -> None:
        if not text:
            return
        self.count += len(_WORD.findall(text))
        # A word cut in two was counted twice.
        self.count -= (
            len(_WORD.findall(self._last))
            + len(_WORD.findall(text[0]))
            - len(_WORD.findall(self._last + text[0]))
        )
        self._last = text[-1]


class _RowWrapper:
    """Wraps a text given in chunks: between words and next to wide characters, within a word if it must.

    Blanks at a wrap are dropped, as are empty lines at the start and the end, and all but one of several in a
    row.
    """

    def __init__(self) -> None:
        self._done: list[str] = []
        self._held = ""  # a character that may be incomplete
        self._row = ""
        self._width = 0
        self._last_width = 0
        self._break_at = 0  # the length of the row after a break between words; 0 for none
        self._is_wrapped = False
        self._has_begun = False
        self._has_gap = False

    def feed(self, text: str, room: int) -> list[str]:
        """Return the completed rows."""
        self._fit(room)
        text = (self._held + text).replace("\t", _TAB)
        self._held = ""
        for character, may_grow in _characters(text):
            if may_grow:
                self._held = character
            else:
                self._put(character, room)
        return self._take_done()

    def finish(self, room: int) -> list[str]:
        """Return the remaining rows."""
        self._fit(room)
        held, self._held = self._held, ""
        if held:
            self._put(held, room)
        self._put("\n", room)
        return self._take_done()

    def unfinished(self, room: int) -> list[str]:
        """Return the rows ``finish`` would return, without finishing."""
        rehearsal = copy(self)
        rehearsal._done = []  # noqa: SLF001 - of this very class
        return rehearsal.finish(room)

    def _put(self, character: str, room: int) -> None:
        if character == "\n":
            self._end_line()
        elif character == " ":
            self._put_blank(room)
        else:
            self._put_visible(character, _columns(character), room)

    def _end_line(self) -> None:
        if self._row.strip():
            self._commit(self._row)
        elif not self._is_wrapped:
            self._has_gap = self._has_begun
        self._start_row("")
        self._is_wrapped = False

    def _put_blank(self, room: int) -> None:
        if self._width >= room:
            self._wrap(len(self._row))
        if self._row or not self._is_wrapped:
            self._append(" ", 1)
            self._break_at = len(self._row) if self._row.strip() else 0

    def _put_visible(self, character: str, columns: int, room: int) -> None:
        if self._may_break_before(character, columns):
            self._break_at = len(self._row)
        while self._row and self._width + columns > room:
            self._wrap(self._break_at or len(self._row))
        self._append(character, columns)

    def _may_break_before(self, character: str, columns: int) -> bool:
        return (
            max(columns, self._last_width) > 1
            and bool(self._row.strip())
            and character not in _BEGINS_NO_ROW
            and self._row[-1] not in _ENDS_NO_ROW
        )

    def _append(self, character: str, columns: int) -> None:
        self._row += character
        self._width += columns
        self._last_width = columns

    def _wrap(self, at: int) -> None:
        self._commit(self._row[:at])
        self._start_row(self._row[at:])
        self._is_wrapped = True

    def _start_row(self, row: str) -> None:
        self._row, self._break_at = row, 0
        self._width = sum(_columns(character) for character, _ in _characters(row))

    def _commit(self, row: str) -> None:
        if self._has_gap:
            self._done.append("")
        self._done.append(row.rstrip())
        self._has_gap, self._has_begun = False, True

    def _fit(self, room: int) -> None:
        """Rewrap the current row if there is less room than when it was begun."""
        if self._width > room:
            row = self._row
            self._start_row("")
            for character, _ in _characters(row):
                self._put(character, room)

    def _take_done(self) -> list[str]:
        done, self._done = self._done, []
        return done


def _columns(character: str) -> int:
    # A mark without a letter takes no room, but counts, so that rows end.
    return max(1, width(character))


def _characters(text: str) -> Iterator[tuple[str, bool]]:
    """Yield grapheme clusters, and whether text after ``text`` may still extend each."""
    at = 0
    while at < len(text):
        character = next(iter_graphemes(text[at : at + _LONGEST_CHARACTER + 1]))[:_LONGEST_CHARACTER]
        at += len(character)
        is_whole = at < len(text) or len(character) == _LONGEST_CHARACTER or character == "\n"
        yield character, not is_whole
