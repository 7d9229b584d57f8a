"""The index of the sessions: a file derived from the session files, rebuilt whenever it is missing.

::

    <data>/sessions/.index.db           SQLite; with -wal and -shm beside it while it is open

    sessions     a row per file: its summary, and the stamp by which changes are detected
    texts        the indexed texts of the two tables below, which are needed to remove their entries
    words        FTS5: all messages of a session, its title and its name, as one text
    beginnings   FTS5: the first letters of those words, small enough for the first keys of a search

The full-text tables store no text. Removing a session removes every byte of it from here: its entries are merged away
and their pages overwritten.
"""

from __future__ import annotations

import zlib
from threading import Event
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.sessions.folder import SUFFIX, Stamp, moment_of, newest_first, stamp_of, stamps
from chatcli.sessions.index_file import (
    FILE_NAME,
    PATIENCE_S,
    IndexClosed,
    IndexFile,
    IndexUnusable,
    transaction,
)
from chatcli.sessions.scanning import utterances
from chatcli.sessions.store import NOT_READ, SessionFile, SessionSummary
from chatcli.text.search_text import beginnings, expression, indexed, is_beginning

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Any

    from chatcli.sessions.store import SessionStore
    from chatcli.text.search_text import Term

_COLUMNS: Final = "name, mtime_ns, title, turns, folder, preview, damaged_records, is_unfinished, forked_from"
_LARGEST_WORDS_BYTES: Final = 1 << 30
_BATCH_FILES: Final = 50
"""How many files are read between two writes: others wait for a write at most a few tenths of a second."""


class SessionIndex:
    """An index of one folder of sessions. Calls come from any thread, and a refresh blocks no query.

    ``patience_s`` is how long to wait for another process that writes. Every method raises ``IndexUnusable``,
    ``IndexBroken`` or ``IndexClosed``; none ever harms a session.
    """

    def __init__(self, store: SessionStore, *, patience_s: float = PATIENCE_S) -> None:
        self._store = store
        self._path = store.folder / FILE_NAME
        self._closed = Event()
        self._writer = IndexFile(self._path, self._closed, patience_s)
        self._reader = IndexFile(self._path, self._closed, patience_s)

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Update the index from the files that changed, the newest first.

        ``progress(done, total)`` is called for the files to read; an exception from it ends the refresh and
        keeps what was read.
        """
        there = stamps(self._store.folder)
        with self._writer.opened() as connection:
            known = {
                _text(name): Stamp(*stamp)
                for name, *stamp in connection.execute("SELECT name, mtime_ns, size_bytes FROM sessions")
            }
        self._forget(known.keys() - there.keys())
        self._take_in(
            {name: stamp for name, stamp in there.items() if known.get(name) != stamp},
            progress or _ignore_progress,
        )

    def look_again(self, names: Iterable[str]) -> None:
        """Update a few sessions. Of deleted ones no word remains in the file."""
        there = {name: stamp_of(self._store.folder, name) for name in names}
        self._forget([name for name, stamp in there.items() if stamp is None])
        self._take_in({name: stamp for name, stamp in there.items() if stamp is not None}, _ignore_progress)

    def summaries(self, folder: str | None = None) -> list[SessionSummary]:
        """Return the sessions as of the last refresh, newest first; with ``folder``, those begun in it."""
        return self._select("is_session", [], folder, limit=-1)

    def find(self, terms: Sequence[Term], folder: str | None = None, *, limit: int) -> list[SessionSummary]:
        """Return the sessions that contain all ``terms``, newest first."""
        condition, values = _condition(terms)
        return self._select(condition, values, folder, limit=limit)

    def unreadable(self) -> list[str]:
        """Return the names of the files that are not valid sessions."""
        query = "SELECT name FROM sessions WHERE NOT is_session ORDER BY name"
        with self._reader.opened() as connection:
            return [_text(name) for (name,) in connection.execute(query)]

    def count(self, terms: Sequence[Term], folder: str | None = None) -> int:
        """Return the number of sessions ``find`` would return; without terms, of all sessions."""
        condition, values = _condition(terms)
        condition, values = _in_folder(condition, values, folder)
        with self._reader.opened() as connection:
            row = connection.execute(f"SELECT count(*) FROM sessions WHERE {condition}", values).fetchone()  # noqa: S608
            return int(row[0])

    def discard(self) -> None:
        """Delete the file, so that the next call creates a new one."""
        for connection in (self._writer, self._reader):
            connection.close()
        try:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise IndexUnusable(str(error)) from error

    def close(self) -> None:
        """Close the file; a refresh in another thread stops first."""
        self._closed.set()
        for connection in (self._writer, self._reader):
            connection.close()

    def _select(
        self, condition: str, values: list[object], folder: str | None, *, limit: int
    ) -> list[SessionSummary]:
        condition, values = _in_folder(condition, values, folder)
        query = f"SELECT {_COLUMNS} FROM sessions WHERE {condition} ORDER BY mtime_ns DESC, name LIMIT ?"  # noqa: S608
        with self._reader.opened() as connection:
            return [self._summary(row) for row in connection.execute(query, [*values, limit])]

    def _summary(self, row: tuple[Any, ...]) -> SessionSummary:
        name, mtime_ns, title, turns, folder, preview, damaged_records, is_unfinished, forked_from = row
        file_name = _text(name)
        return SessionSummary(
            name=file_name,
            path=self._store.folder / f"{file_name}{SUFFIX}",
            title=_text(title),
            turns=_count(turns),
            last_used=moment_of(mtime_ns),
            folder=None if folder is None else _text(folder),
            preview=_text(preview),
            damaged_records=_count(damaged_records),
            is_unfinished=bool(_count(is_unfinished)),
            forked_from=None if forked_from is None else _text(forked_from),
        )

    def _take_in(self, changed: dict[str, Stamp], progress: Callable[[int, int], None]) -> None:
        names = newest_first(changed)
        for start in range(0, len(names), _BATCH_FILES):
            progress(start, len(names))
            self._take_in_batch({name: changed[name] for name in names[start : start + _BATCH_FILES]})
        if names:
            progress(len(names), len(names))

    def _take_in_batch(self, batch: dict[str, Stamp]) -> None:
        # No lock is held while files are read: others may remove a session, and another chatcli may be
        # refreshing too.
        with self._writer.opened() as connection:
            left = [(name, stamp) for name, stamp in batch.items() if _stamp(connection, name) != stamp]
        read = [(name, *self._read(name, stamp)) for name, stamp in left]
        with self._writer.opened() as connection, transaction(connection):
            for name, stamp, reading in read:
                _replace(connection, name, stamp, reading)

    def _read(self, name: str, stamp: Stamp) -> tuple[Stamp, _IndexedWords | None]:
        if self._closed.is_set():
            raise IndexClosed
        file = SessionFile(name, self._store.folder / f"{name}{SUFFIX}")
        try:
            session = self._store.load(file)
        except ConfigurationError as error:
            # A file that could not be opened is tried again next time: changed permissions leave no stamp.
            return (stamp if error.code != NOT_READ else stamp._replace(size_bytes=-1)), None
        summary = self._store.summary(file, session, last_used=moment_of(stamp.mtime_ns))
        texts = [name, session.title or summary.title, *utterances(session.records)]
        return stamp, _IndexedWords(summary, "\n".join(map(indexed, texts)))

    def _forget(self, names: Collection[str]) -> None:
        if not names:
            return
        with self._writer.opened() as connection:
            with transaction(connection):
                for name in names:
                    if (key := _key(connection, name)) is not None:
                        _take_out(connection, key)
                        connection.execute("DELETE FROM sessions WHERE id = ?", [key])
                # A deleted entry stays readable in the file until its segment is merged.
                connection.execute("INSERT INTO words(words) VALUES('optimize')")
                connection.execute("INSERT INTO beginnings(beginnings) VALUES('optimize')")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _IndexedWords:
    """The indexed text and summary of one session file."""

    __slots__ = ("summary", "words")

    def __init__(self, summary: SessionSummary, words: str) -> None:
        self.summary = summary
        self.words = words


def _replace(connection: sqlite3.Connection, name: str, stamp: Stamp, reading: _IndexedWords | None) -> None:
    """Replace the entry of a session; ``None`` marks a file that is not a session."""
    key = _key(connection, name)
    if key is not None:
        _take_out(connection, key)
    summary = reading.summary if reading else None
    row = [
        key,
        _bytes(name),
        *stamp,
        summary is not None,
        _bytes(summary.title) if summary else None,
        summary.turns if summary else None,
        _bytes(summary.folder) if summary and summary.folder is not None else None,
        _bytes(summary.preview) if summary else None,
        summary.damaged_records if summary else None,
        summary.is_unfinished if summary else None,
        _bytes(summary.forked_from) if summary and summary.forked_from is not None else None,
    ]
    new_key = connection.execute("REPLACE INTO sessions VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", row).lastrowid
    if reading is not None:
        connection.execute(
            "INSERT INTO texts VALUES(?,?)", [new_key, zlib.compress(reading.words.encode(), 1)]
        )
        connection.execute("INSERT INTO words(rowid, text) VALUES(?,?)", [new_key, reading.words])
        connection.execute(
            "INSERT INTO beginnings(rowid, text) VALUES(?,?)", [new_key, beginnings(reading.words)]
        )


def _take_out(connection: sqlite3.Connection, key: int) -> None:
    row = connection.execute("SELECT words FROM texts WHERE id = ?", [key]).fetchone()
    if row is None:
        return
    words = zlib.decompressobj().decompress(row[0], _LARGEST_WORDS_BYTES).decode()
    connection.execute("INSERT INTO words(words, rowid, text) VALUES('delete',?,?)", [key, words])
    connection.execute(
        "INSERT INTO beginnings(beginnings, rowid, text) VALUES('delete',?,?)", [key, beginnings(words)]
    )
    connection.execute("DELETE FROM texts WHERE id = ?", [key])


def _key(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT id FROM sessions WHERE name = ?", [_bytes(name)]).fetchone()
    return None if row is None else int(row[0])


def _stamp(connection: sqlite3.Connection, name: str) -> Stamp | None:
    query = "SELECT mtime_ns, size_bytes FROM sessions WHERE name = ?"
    row = connection.execute(query, [_bytes(name)]).fetchone()
    return None if row is None else Stamp(*row)


def _condition(terms: Sequence[Term]) -> tuple[str, list[object]]:
    short = [term for term in terms if is_beginning(term)]
    others = [term for term in terms if not is_beginning(term)]
    conditions, values = ["is_session"], list[object]()
    for table, wanted in (("beginnings", short), ("words", others)):
        if wanted:
            conditions.append(f"id IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)")  # noqa: S608
            values.append(expression(wanted))
    return " AND ".join(conditions), values


def _in_folder(condition: str, values: list[object], folder: str | None) -> tuple[str, list[object]]:
    return (
        (condition, values) if folder is None else (f"{condition} AND folder = ?", [*values, _bytes(folder)])
    )


def _bytes(text: str) -> bytes:
    # A file name may contain invalid Unicode, which SQLite does not accept.
    return text.encode("utf-8", "surrogatepass")


def _count(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("no count")
    return value


def _text(content: Any) -> str:
    if type(content) is not bytes:
        raise TypeError("no text")
    return content.decode("utf-8", "surrogatepass")


def _ignore_progress(_done: int, _total: int) -> None:
    return
