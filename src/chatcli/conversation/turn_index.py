"""Finding the turns of a conversation that have to do with a question."""

from __future__ import annotations

import itertools
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Final

from chatcli.text.search_text import QUERY_CHARACTERS, TOKENIZER, any_of, distinct, indexed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from chatcli.conversation.history import Turn

# Porter's stemmer leaves whatever is not English as the tokenizer below it made it.
_TABLE: Final = f"CREATE VIRTUAL TABLE turns USING fts5(words, content='', tokenize='porter {TOKENIZER}')"
_NEAREST: Final = "SELECT rowid, rank FROM turns WHERE turns MATCH ? ORDER BY rank LIMIT ?"

_MOST_FOUND: Final = 24
_NEAR_ENOUGH: Final = 0.3
"""How good a turn must be, as a share of the best. Any word in common makes a hit, and most of them mean nothing."""

_MOST_OCCURRENCES: Final = 500
"""In how many turns the words that are looked for may stand, all counted: that is what a search costs. The rarest are
looked for first, and one in any case; those that stand everywhere tell turns apart the least."""


class TurnIndex:
    """The oldest turns of a conversation, ranked by BM25: https://www.sqlite.org/fts5.html#the_bm25_function.

    It grows with what falls out of the window, is kept in memory, and made anew where the conversation was gone back
    in. A Python without FTS5 finds nothing.
    """

    def __init__(self) -> None:
        self._connection = _connect()
        # One that is only forgotten would be warned of.
        weakref.finalize(self, self._connection.close)
        self._has_table = _made(self._connection)
        self._occurrences: Counter[str] = Counter()
        self._taken = 0
        self._newest: Turn | None = None

    def take(self, turns: Sequence[Turn], end: int, *, at_most: int | None = None) -> bool:
        """Take the turns before ``end`` that were not taken yet, ``at_most`` so many; return whether that is all."""
        if self._taken and (len(turns) < self._taken or not _is_same(turns[self._taken - 1], self._newest)):
            self._forget()
        if end <= self._taken or not self._has_table:
            return True
        wanted, end = end, end if at_most is None else min(end, self._taken + at_most)
        rows = []
        for number in range(self._taken, end):
            words = indexed("\n".join(message.text for message in turns[number].messages))
            self._occurrences.update(distinct(words))
            rows.append((number, words))
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO turns (rowid, words) VALUES (?, ?)", rows)
        self._taken, self._newest = end, turns[end - 1]
        return end == wanted

    def nearest(self, question: str) -> list[int]:
        """Return the places of the turns that have most to do with ``question``, the nearest first."""
        words = self._telling(question)
        if not self._taken or not words:
            return []
        found = self._connection.execute(_NEAREST, (any_of(words), _MOST_FOUND)).fetchall()
        # A rank is the better the smaller it is, and below zero.
        return [number for number, rank in found if rank <= found[0][1] * _NEAR_ENOUGH]

    def _telling(self, question: str) -> list[str]:
        """Return the words to look for, the rarest first."""
        rare_first = sorted(distinct(indexed(question[:QUERY_CHARACTERS])), key=self._occurrences.__getitem__)
        # One that was never met may still be, as the stemmer sees it.
        occurrences = itertools.accumulate(self._occurrences[word] for word in rare_first)
        affordable = sum(so_far <= _MOST_OCCURRENCES for so_far in occurrences)
        return rare_first[: max(1, affordable)]

    def _forget(self) -> None:
        self._connection.execute("DROP TABLE turns")
        self._connection.execute(_TABLE)
        self._occurrences.clear()
        self._taken, self._newest = 0, None


def _connect() -> sqlite3.Connection:
    import sqlite3  # noqa: PLC0415 - nobody waits for it whose conversation fits

    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _made(connection: sqlite3.Connection) -> bool:
    import sqlite3  # noqa: PLC0415

    try:
        connection.execute(_TABLE)
    except sqlite3.OperationalError:
        return False
    return True


def _is_same(turn: Turn, other: Turn | None) -> bool:
    # An id stands for all that came before as well: a conversation is a path in a tree.
    return other is not None and turn.ids == other.ids
