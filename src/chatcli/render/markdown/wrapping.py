"""Word wrapping of runs into rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from chatcli.render.markdown.inline import LINE_BREAK, Run
from chatcli.render.markdown.widths import chopped, columns_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Row: TypeAlias = list[Run]
_Word: TypeAlias = list[Run]

_BLANKS: Final = re.compile(r"[ \t\n]+")
_KEEPS_BLANKS: Final = frozenset({"code", "math"})


class Wrapper:
    """Fills rows of at most ``columns`` with words; returned rows are full and final.

    White space between words becomes one blank. A word wider than a row is cut.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._row: Row = []
        self._used = 0
        # A word may span runs, so only a blank or the next run can end it.
        self._word: _Word = []
        self._word_columns = 0
        self._word_ended_in: Run | None = None
        # The beginning of a word wider than a row is in earlier rows.
        self._has_overflowed = False
        self._blank: Run | None = None

    def copy(self) -> Wrapper:
        copied = Wrapper(self._columns)
        copied._row, copied._word = list(self._row), list(self._word)
        copied._used, copied._word_columns = self._used, self._word_columns
        copied._word_ended_in, copied._has_overflowed = self._word_ended_in, self._has_overflowed
        copied._blank = self._blank
        return copied

    def resized(self, columns: int) -> tuple[list[Row], Wrapper]:
        """Rewrap the unfinished text to ``columns``; return the full rows and the next wrapper."""
        if columns == self._columns:
            return [], self
        wrapper = Wrapper(columns)
        blank = [self._blank] if self._blank else []
        return wrapper.add([*self._row, *blank, *self._word]), wrapper

    def add(self, runs: Iterable[Run]) -> list[Row]:
        """Return the rows that are full now."""
        rows: list[Row] = []
        for run in runs:
            if run is LINE_BREAK:
                self._end_word(rows)
                self._end_row(rows)
                continue
            text = run.text if _KEEPS_BLANKS.intersection(run.roles) else _BLANKS.sub(" ", run.text)
            for fragment in words_of(text):
                if fragment[0] == " ":
                    self._end_word(rows)
                    if self._row:
                        self._blank = Run(fragment, run.roles, run.link)
                else:
                    self._add_fragment(fragment, run, rows)
        return rows

    def finish(self) -> list[Row]:
        """Return the remaining rows."""
        rows: list[Row] = []
        self._end_word(rows)
        if self._row:
            self._end_row(rows)
        return rows

    def _add_fragment(self, fragment: str, run: Run, rows: list[Row]) -> None:
        # Within one run, fragments without a blank between them are break opportunities.
        if self._word and (
            run is self._word_ended_in or len(words_of(self._word[-1].text[-1] + fragment[0])) > 1
        ):
            self._end_word(rows)
        self._word.append(Run(fragment, run.roles, run.link))
        self._word_ended_in = run
        self._word_columns += columns_of(fragment)
        if self._word_columns > self._columns:
            self._place_word(rows)
            self._has_overflowed = True

    def _end_word(self, rows: list[Row]) -> None:
        if self._word:
            self._place_word(rows)
        self._has_overflowed = False

    def _place_word(self, rows: list[Row]) -> None:
        blank_columns = len(self._blank.text) if self._blank else 0
        if (
            self._used
            and not self._has_overflowed
            and self._used + blank_columns + self._word_columns > self._columns
        ):
            self._end_row(rows)
        if self._blank:
            self._row.append(self._blank)
            self._used += blank_columns
            self._blank = None
        if self._used + self._word_columns > self._columns:
            self._add_wide_word(rows)
        else:
            self._row += self._word
            self._used += self._word_columns
        self._word = []
        self._word_columns = 0

    def _add_wide_word(self, rows: list[Row]) -> None:
        """Fill rows with a word that is wider than a row."""
        for part in self._word:
            chunks = chopped(part.text, self._columns, self._columns - self._used)
            for at, fragment in enumerate(chunks):
                if at:
                    self._end_row(rows)
                if fragment:
                    self._row.append(Run(fragment, part.roles, part.link))
                    self._used += columns_of(fragment)

    def _end_row(self, rows: list[Row]) -> None:
        rows.append(self._row)
        self._row = []
        self._used = 0
        self._blank = None


def wrapped(runs: Iterable[Run], columns: int) -> list[Row]:
    wrapper = Wrapper(columns)
    return [*wrapper.add(runs), *wrapper.finish()]
