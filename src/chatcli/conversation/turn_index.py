"""Search of turns by the words of a question."""

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

# Porter's stemmer leaves words unchanged that are not English.
_TABLE: Final = f"CREATE VIRTUAL TABLE turns USING fts5(words, content='', tokenize='porter {TOKENIZER}')"
_NEAREST: Final = "SELECT rowid, rank FROM turns WHERE turns MATCH ? ORDER BY rank LIMIT ?"

_MOST_FOUND: Final = 24
_NEAR_ENOUGH: Final = 0.3
"""The minimum score of a turn as a share of the best. Any common word is a hit, and most are meaningless."""

_MOST_OCCURRENCES: Final = 500
"""The maximum sum of occurrences of the words searched for, which is the cost of a search.

The rarest words are searched first, and one in any case; frequent words distinguish turns the least.
"""


class TurnIndex:
    """The older turns of a conversation, ranked by BM25: https://www.sqlite.org/fts5.html#the_bm25_function.

    It grows with the turns that leave the window, is kept in memory, and rebuilt after an undo. Without FTS5
    nothing is found.
    """

    def __init__(self) -> None:
        self._connection = _connect()
        # An unclosed connection would cause a warning.
        weakref.finalize(self, self._connection.close)
        self._has_table = _made(self._connection)
        self._occurrences: Counter[str] = Counter()
        self._taken = 0
        self._newest: Turn | None = None

    def take(self, turns: Sequence[Turn], end: int, *, at_most: int | None = None) -> bool:
        """Index up to ``at_most`` turns before ``end`` that are not indexed yet; return whether none are left."""
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
        """Return the places of the turns most similar to ``question``, the most similar first."""
        words = self._distinctive_words(question)
        if not self._taken or not words:
            return []
        found = self._connection.execute(_NEAREST, (any_of(words), _MOST_FOUND)).fetchall()
        # A rank is negative, and better the smaller it is.
        return [number for number, rank in found if rank <= found[0][1] * _NEAR_ENOUGH]

    def _distinctive_words(self, question: str) -> list[str]:
        """Return the words to search for, the rarest first."""
        rare_first = sorted(distinct(indexed(question[:QUERY_CHARACTERS])), key=self._occurrences.__getitem__)
        # A word without occurrences may still match after stemming.
        occurrences = itertools.accumulate(self._occurrences[word] for word in rare_first)
        affordable = sum(so_far <= _MOST_OCCURRENCES for so_far in occurrences)
        return rare_first[: max(1, affordable)]

    def _forget(self) -> None:
        self._connection.execute("DROP TABLE turns")
        self._connection.execute(_TABLE)
        self._occurrences.clear()
        self._taken, self._newest = 0, None


def _connect() -> sqlite3.Connection:
    import sqlite3  # noqa: PLC0415 - only a conversation that does not fit needs it

    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _made(connection: sqlite3.Connection) -> bool:
    import sqlite3  # noqa: PLC0415

    try:
        connection.execute(_TABLE)
    except sqlite3.OperationalError:
        return False
    return True


def _is_same(turn: Turn, other: Turn | None) -> bool:
    # The id of the last message identifies all before it too: a conversation is a path in a tree.
    return other is not None and turn.ids == other.ids
