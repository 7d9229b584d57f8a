"""The file of the index: opening, tables, and errors."""

from __future__ import annotations

import time
import unicodedata
import zlib
from contextlib import contextmanager
from threading import Event, RLock
from typing import TYPE_CHECKING, Final

from chatcli.storage import private_files
from chatcli.text.search_text import TOKENIZER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME: Final = ".index.db"
_FORMAT: Final = 5
"""Increased when anything stored changes, the folding of words included."""
SCHEMA_VERSION: Final = _FORMAT * 1_000_000 + int(unicodedata.unidata_version.replace(".", ""))
"""Includes the version of Unicode: words split by other rules could not be removed again."""

_TABLES: Final = {
    "sessions": """CREATE TABLE sessions(
        id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
        is_session INTEGER NOT NULL, title BLOB, turns INTEGER, folder BLOB, preview BLOB,
        damaged_records INTEGER, is_unfinished INTEGER, forked_from BLOB)""",
    "texts": "CREATE TABLE texts(id INTEGER PRIMARY KEY, words BLOB NOT NULL)",
    "words": f"CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, tokenize='{TOKENIZER}')",
    "beginnings": f"""CREATE VIRTUAL TABLE beginnings USING fts5(
        text, content='', columnsize=0, detail=none, prefix='1 2', tokenize='{TOKENIZER}')""",
}
_SHADOWS: Final = ("data", "idx", "docsize", "config", "content")
"""The tables in which FTS5 stores each of its indexes."""
PATIENCE_S: Final = 5.0
_RETRY_S: Final = 0.01


class IndexUnusable(Exception):
    """An index cannot be used here: no FTS5, no disk space, no permission to write, or a lock."""


class IndexBroken(Exception):
    """The file is not a valid index. ``SessionIndex.discard`` deletes it."""


class IndexClosed(Exception):
    """The index was closed during a call."""


class IndexFile:
    """A connection to the file, opened on first use, used by one thread at a time."""

    def __init__(self, path: Path, closed: Event, patience_s: float) -> None:
        self._path = path
        self._closed = closed
        self._patience_s = patience_s
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated_errors():
            if self._closed.is_set():
                raise IndexClosed
            if self._connection is None:
                self._connection = _connect(self._path, self._patience_s)
            yield self._connection

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _connect(path: Path, patience_s: float) -> sqlite3.Connection:
    import sqlite3  # noqa: PLC0415 - only the list needs it

    try:
        # Created before SQLite does, with access for the owner only; SQLite gives its other files the same
        # permissions.
        private_files.create(path, b"")
    except FileExistsError:
        if path.is_symlink() or not path.is_file():
            raise IndexUnusable(f"{path} is not a regular file") from None
    connection = sqlite3.connect(path, timeout=patience_s, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(connection, patience_s)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        # A file from elsewhere must not execute anything.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        _make_tables(connection)
        _refuse_foreign(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> None:
    """Let queries run while another process writes (WAL)."""
    import sqlite3  # noqa: PLC0415

    until_s = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            # The only statement that does not wait by itself while another process executes it.
            if time.monotonic() >= until_s:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _make_tables(connection: sqlite3.Connection) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    with transaction(connection):
        # Another process may have been first.
        if _version(connection) == SCHEMA_VERSION:
            return
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise IndexBroken("it is of another version")
        for statement in _TABLES.values():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _refuse_foreign(connection: sqlite3.Connection) -> None:
    """Raise ``IndexBroken`` for a file marked as an index that has other tables, views or triggers."""
    shadows = {f"{table}_{shadow}" for table in ("words", "beginnings") for shadow in _SHADOWS}
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    for kind, name, table, sql in rows:
        is_own = kind == "table" and (sql == _TABLES.get(name) or name in shadows)
        # The index that SQLite creates for a UNIQUE constraint has no SQL.
        if not (is_own or (kind == "index" and sql is None and table in _TABLES.keys() | shadows)):
            raise IndexBroken(f"{name!r} is not its own")
    if not _TABLES.keys() <= {name for _, name, _, _ in rows}:
        raise IndexBroken("a table is missing")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        import sqlite3  # noqa: PLC0415
    except ImportError as error:
        raise IndexUnusable("this Python has no sqlite3") from error
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if str(error).startswith("no such table"):
            raise IndexBroken(str(error)) from error
        raise IndexUnusable(str(error)) from error
    except (sqlite3.DatabaseError, zlib.error, TypeError, ValueError, ArithmeticError) as error:
        # The last three: a value of a type that was never stored.
        raise IndexBroken(str(error)) from error
