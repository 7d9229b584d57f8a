"""Small states that several processes change together: one JSON value for each key.

A change is a function of the value and the time; no other process changes the value meanwhile. States can be
lost at any time: a damaged file is begun anew.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from chatcli.core.json_values import as_object
from chatcli.storage.private_files import create, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

_Result = TypeVar("_Result")
_PATIENCE_S: Final = 5.0
_LASTS_S: Final = 86_400
_REDIS_TIMEOUT_S: Final = 2.0
_REDIS_PAUSE_S: Final = 0.002
_REDIS_PREFIX: Final = "chatcli:limits:1:"
"""Others use the same server: what is there says whose it is."""
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS states(key TEXT PRIMARY KEY, value TEXT NOT NULL, at REAL NOT NULL)"
)


class SharedState(Protocol):
    """States by key. Methods may be called from any thread, block, and raise ``OSError``."""

    def change(self, key: str, change: Callable[[dict[str, Any], float], _Result]) -> _Result:
        """Let ``change`` alter the value of ``key``, empty at first, and return its result.

        Its second argument is the time in seconds since the epoch, of one clock for all processes. It may be
        called several times; only the last one counts.
        """
        ...

    def close(self) -> None:
        """Close the connections; a change that waits for a server ends."""
        ...


class SQLiteState:
    """States of this machine, in the file ``path``, which only its owner can read."""

    def __init__(
        self, path: Path, *, patience_s: float = _PATIENCE_S, clock_s: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._patience_s = patience_s
        self._clock_s = clock_s
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def change(self, key: str, change: Callable[[dict[str, Any], float], _Result]) -> _Result:
        with self._lock:
            try:
                return self._change(key, change)
            except sqlite3.DatabaseError as error:
                self._disconnect()
                if not _is_damage(error):
                    raise OSError(None, f"{self._path.name}: {error}") from error
                for suffix in ("", "-journal"):
                    self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)
            try:
                return self._change(key, change)
            except sqlite3.Error as error:
                self._disconnect()
                raise OSError(None, f"{self._path.name}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _change(self, key: str, change: Callable[[dict[str, Any], float], _Result]) -> _Result:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        try:
            row = connection.execute("SELECT value FROM states WHERE key = ?", (key,)).fetchone()
            value, now_s = _read(row[0] if row else None), self._clock_s()
            result = change(value, now_s)
            connection.execute(
                "INSERT OR REPLACE INTO states VALUES(?, ?, ?)", (key, json.dumps(value), now_s)
            )
            connection.execute("DELETE FROM states WHERE at < ?", (now_s - _LASTS_S,))
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
        return result

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._identity == _identity(self._path):
            return self._connection
        # Deleted meanwhile, as a cache may be: what is written to the open file would be lost.
        self._disconnect()
        make_folder(self._path.parent)
        with suppress(FileExistsError):
            create(self._path, b"")
        if self._path.is_symlink() or not self._path.is_file():
            raise OSError(None, f"{self._path.name} is not a regular file")
        connection = sqlite3.connect(
            self._path, timeout=self._patience_s, isolation_level=None, check_same_thread=False
        )
        try:
            # The time of the file is the time of the last change, which it would not be with a write-ahead log.
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            # Nothing here must outlast a power cut.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, _identity(self._path)
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class RedisState:
    """States on a Redis server, for several machines; ``url`` is ``redis://…``, ``rediss://…`` or ``unix://…``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._client: Redis | None = None

    def change(self, key: str, change: Callable[[dict[str, Any], float], _Result]) -> _Result:
        try:
            import redis  # noqa: PLC0415 - an extra, slow to import
        except ImportError as error:
            raise OSError(
                None, "the package redis is not installed (in the checkout: pip install '.[redis]')"
            ) from error
        until_s, key = time.monotonic() + _PATIENCE_S, _REDIS_PREFIX + key
        try:
            while time.monotonic() < until_s:
                with self._connected().pipeline() as transaction:
                    transaction.watch(key)  # type: ignore[no-untyped-call]
                    value = _read(transaction.get(key))
                    seconds, microseconds = transaction.time()
                    result = change(value, seconds + microseconds / 1e6)
                    transaction.multi()
                    transaction.set(key, json.dumps(value), ex=_LASTS_S)
                    with suppress(redis.WatchError):
                        transaction.execute()
                        return result
                time.sleep(random.uniform(0, _REDIS_PAUSE_S))  # noqa: S311 - so that two do not meet again
        except redis.RedisError as error:
            words = str(error).partition("\n")[0]
            raise OSError(None, f"Redis: {words or type(error).__name__}") from error
        raise OSError(None, "Redis: too many programs change the same state")

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Redis:
        import redis  # noqa: PLC0415 - as above

        with self._lock:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    self._url,
                    socket_timeout=_REDIS_TIMEOUT_S,
                    socket_connect_timeout=_REDIS_TIMEOUT_S,
                    retry=None,
                )
            return self._client


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is damaged, or its tables are not those of this program."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return not isinstance(error, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _read(stored: str | bytes | None) -> dict[str, Any]:
    try:
        return dict(as_object(json.loads(stored or "{}")))
    except (TypeError, ValueError, RecursionError):
        return {}
