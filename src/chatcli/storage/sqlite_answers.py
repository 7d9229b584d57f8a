"""The ``AnswerStore`` in a SQLite database, shared by all processes of one person on a machine."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from chatcli.storage.answer_store import (
    MOST_COMPARED,
    StoreBusy,
    StoreStatistics,
    StoreUnavailable,
    sound_counters,
)
from chatcli.storage.private_files import ensure_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from chatcli.storage.answer_store import StoredAnswer, StoreLimits

FILE_NAME: Final = "answers-1.sqlite"
"""The number is that of the tables: another version of them is another file."""

_TABLE_NAMES: Final = ("answers", "claims", "counters")
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, content BLOB NOT NULL, scope TEXT NOT NULL, vector BLOB NOT NULL,
    size INTEGER NOT NULL, expires REAL NOT NULL, used REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON answers (used, size);
CREATE INDEX IF NOT EXISTS by_scope ON answers (scope, used) WHERE scope != '';
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, amount REAL NOT NULL);
"""
_CURRENT: Final = "(expires > ? AND used <= ? AND typeof(expires) = 'real' AND typeof(size) = 'integer')"
"""Neither expired nor used in the future: such an answer is of a clock that was set back, and its age is unknown."""

_CLOCKS_DIFFER_S: Final = 60.0
_BUSY_TIMEOUT_S: Final = 0.04
"""How long an operation waits for another process, which has the database for a millisecond."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""``SQLITE_ERROR``: the tables are not those of this program."""


class SqliteAnswers:
    """The store in the file ``path``, readable only by its owner; a damaged file is replaced.

    ``clock_s`` returns seconds since the epoch. Used by one thread at a time.
    """

    def __init__(self, path: Path, limits: StoreLimits, *, clock_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self._limits = limits
        self._clock_s = clock_s
        self._opened: sqlite3.Connection | None = None

    def look_up(self, key: str, owner: str, lease_s: float) -> bytes | str:
        content = self.get(key)
        if content is not None:
            return content
        with self._writing() as connection:
            # Another process may have stored it since.
            content = self._found(connection, key)
            if content is not None:
                return content
            now_s = self._clock_s()
            claim = connection.execute("SELECT owner, expires FROM claims WHERE key = ?", (key,)).fetchone()
            # One that ends later than any claim was made before the clock was set back.
            if claim is not None and claim[0] != owner and now_s < claim[1] <= now_s + lease_s:
                return str(claim[0])
            connection.execute("DELETE FROM claims WHERE expires <= ?", (now_s,))
            connection.execute(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, owner, now_s + lease_s)
            )
            return owner

    def get(self, key: str) -> bytes | None:
        with self._reading() as connection:
            content = self._found(connection, key)
        if content is not None:
            # That it was used is worth no wait.
            with suppress(StoreBusy), self._writing() as connection:
                connection.execute("UPDATE answers SET used = ? WHERE key = ?", (self._clock_s(), key))
        return content

    def renew(self, key: str, owner: str, lease_s: float) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE claims SET expires = ? WHERE key = ? AND owner = ?",
                (self._clock_s() + lease_s, key, owner),
            )

    def release(self, key: str, owner: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))

    def put(self, answer: StoredAnswer) -> None:
        now_s, size = self._clock_s(), answer.size_bytes
        with self._writing() as connection:
            connection.execute(
                f"DELETE FROM answers WHERE key = ? OR NOT {_CURRENT}",  # noqa: S608 - a constant
                (answer.key, *self._now(now_s)),
            )
            if size > self._limits.most_bytes:
                return
            connection.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(answer.key, answer.content, answer.scope, answer.vector),
                    *(size, now_s + self._limits.ttl_s, now_s),
                ),
            )
            self._evict(connection, answer.key)

    def vectors(self, scope: str) -> Sequence[tuple[str, bytes]]:
        with self._reading() as connection:
            return connection.execute(
                f"SELECT key, CAST(vector AS BLOB) FROM answers WHERE scope != '' AND scope = ? AND {_CURRENT}"  # noqa: S608 - as above
                " ORDER BY used DESC LIMIT ?",
                (scope, *self._now(), MOST_COMPARED),
            ).fetchall()

    def count(self, amounts: Mapping[str, float]) -> None:
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO counters VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET amount = amount + ?2",
                list(amounts.items()),
            )

    def statistics(self) -> StoreStatistics:
        with self._reading() as connection:
            answers, size_bytes = connection.execute(
                f"SELECT count(*), coalesce(sum(size), 0) FROM answers WHERE {_CURRENT}",  # noqa: S608 - as above
                self._now(),
            ).fetchone()
            counters = connection.execute("SELECT name, amount FROM counters").fetchall()
        return StoreStatistics(answers, size_bytes, sound_counters(counters))

    def clear(self) -> int:
        cleared = self.statistics().answers
        with self._writing() as connection:
            for table in _TABLE_NAMES:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of these names
        # Deleted rows stay in the file until it is written anew.
        with suppress(StoreBusy), self._reading() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return cleared

    def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _found(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        row = connection.execute(
            f"SELECT content FROM answers WHERE key = ? AND {_CURRENT}",  # noqa: S608 - as above
            (key, *self._now()),
        ).fetchone()
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def _now(self, now_s: float | None = None) -> tuple[float, float]:
        """Return the parameters of ``_CURRENT``."""
        now_s = self._clock_s() if now_s is None else now_s
        return now_s, now_s + _CLOCKS_DIFFER_S

    def _evict(self, connection: sqlite3.Connection, newest: str) -> None:
        """Delete the answers used longest ago until the cap is kept."""
        (size_bytes,) = connection.execute("SELECT sum(size) FROM answers").fetchone()
        beyond = size_bytes - self._limits.most_bytes
        if beyond <= 0:
            return
        evicted = []
        with closing(
            connection.execute("SELECT key, size FROM answers WHERE key != ? ORDER BY used, rowid", (newest,))
        ) as rows:
            for key, size in rows:
                evicted.append((key,))
                beyond -= size
                if beyond <= 0:
                    break
        connection.executemany("DELETE FROM answers WHERE key = ?", evicted)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; replace the file if it turns out to be damaged."""
        try:
            connection = self._opened = self._opened or self._connect()
            yield connection
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _BUSY:
                raise StoreBusy(f"{self._path} is in use") from error
            if code in _DAMAGED:
                self._discard()
            else:
                self.close()
            raise StoreUnavailable(f"{self._path}: {error}") from error
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror or error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                # An error may have ended the transaction already.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
            self._discard()
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        # Made first, as SQLite would make it readable for others; its side files get the same permissions.
        ensure_database(self._path)
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            # The first process waits for no disk either: a table that a power cut damages is made again.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
            connection.execute("PRAGMA synchronous = NORMAL")
            # A damaged file is often sound in its first page: this reads from every table.
            for table in _TABLE_NAMES:
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - one of these names
        except BaseException:
            connection.close()
            raise
        return connection

    def _discard(self) -> None:
        """Delete the damaged file with its side files."""
        self.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                self._path.with_name(f"{self._path.name}{suffix}").unlink()
