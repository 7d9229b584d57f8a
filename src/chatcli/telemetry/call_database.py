"""The SQLite database of calls as a file: made private, shared with other processes, moved aside if it is damaged."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import LocalIOError
from chatcli.storage.private_files import ensure_database
from chatcli.telemetry.call_tables import CHECKS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SIDE_FILES: Final = ("", "-wal", "-shm")
_ASIDE: Final = ".damaged"
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOREIGN: Final = _DAMAGED | {sqlite3.SQLITE_ERROR}
"""When the file is opened, ``SQLITE_ERROR`` says that the tables are not those of this program."""
_NOT_REGULAR: Final = (errno.EISDIR, errno.EINVAL)
_NO_FILE: Final = "move it away; chatcli makes a file in its place"
_PAUSE_S: Final = 0.01


class CallDatabase:
    """The file ``path``, opened when it is used. Every method raises ``LocalIOError`` if it cannot be.

    ``openings`` counts how often it was opened: each time it may be another file.
    """

    def __init__(self, path: Path, busy_timeout_s: float, on_damage: Callable[[str], None]) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._on_damage = on_damage
        self._opened: sqlite3.Connection | None = None
        self._file_number = 0
        self.openings = 0

    @property
    def exists(self) -> bool:
        """Whether there is a file, as far as can be seen."""
        try:
            return self._opened is not None or bool(self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, one to an empty database if there is no file."""
        if not self.exists:
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
                empty.executescript(TABLES)
                yield empty
            return
        with self.using() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for a transaction, the only one there is at the time."""
        with self.using() as connection, transaction(connection):
            yield connection

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._opened is None:
                self._opened = self._connect()
                self.openings += 1
            yield self._opened
        except sqlite3.Error as error:
            code = _code(error)
            if code in _DAMAGED:
                self._move_aside(error)
            elif code not in _BUSY and code != sqlite3.SQLITE_FULL:
                self.close()
            raise self._unavailable(str(error), code) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._unavailable("it is a symbolic link", hint=_NO_FILE) from error
            hint = _NO_FILE if error.errno in _NOT_REGULAR else None
            raise self._unavailable(error.strerror or str(error), hint=hint) from error

    def damaged_at_s(self) -> float | None:
        """Return when a damaged file that was moved aside was last written, ``None`` if there is none."""
        try:
            return self._aside("").stat().st_mtime
        except OSError:
            return None

    def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _unavailable(
        self, reason: str, code: int = sqlite3.SQLITE_CANTOPEN, hint: str | None = None
    ) -> LocalIOError:
        hint = hint or "check the permissions of the file and its folder"
        if code in _BUSY:
            reason, hint = "another process is using it", "try again"
        elif code in _DAMAGED and self._path.exists():
            hint = "move the file away"
        elif code in _DAMAGED:
            hint = f"it is in {self._aside('')} now; new calls go into a new file"
        elif code == sqlite3.SQLITE_FULL:
            hint = "free some space"
        elif code == sqlite3.SQLITE_IOERR:
            # Reading, too, needs room for a file beside the database.
            hint = "see whether the disk is full, or its folder can be used"
        return LocalIOError(f"cannot use the statistics in {self._path}: {reason}", hint=hint)

    def _connect(self) -> sqlite3.Connection:
        deadline_s = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return self._connected()
            except sqlite3.Error as error:
                # Two processes that make the database at once do not wait for each other.
                if _code(error) in _BUSY and time.monotonic() < deadline_s:
                    time.sleep(_PAUSE_S)
                    continue
                if _code(error) not in _FOREIGN:
                    raise
                self._move_aside(error)
                return self._connected()

    def _connected(self) -> sqlite3.Connection:
        # Made first, as SQLite would make it readable for others; its side files get the same permissions.
        self._file_number = ensure_database(self._path).st_ino
        if not os.access(self._path, os.W_OK):
            return self._connected_to_read()
        connection = self._connection(str(self._path))
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(TABLES)
            return _checked(connection)
        except BaseException:
            connection.close()
            raise

    def _connected_to_read(self) -> sqlite3.Connection:
        """Connect to a file that cannot be written; if its folder cannot be either, nobody else may be writing there."""
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            connection = self._connection(f"{self._path.absolute().as_uri()}?{mode}")
            try:
                return _checked(connection)
            except sqlite3.Error as error:
                connection.close()
                last = error
        raise last

    def _connection(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )

    def _move_aside(self, error: sqlite3.Error) -> None:
        """Move the damaged file and its side files aside, unless another process has done so and made a new one."""
        self.close()
        with suppress(OSError):
            if self._path.stat().st_ino != self._file_number:
                return
            for suffix in _SIDE_FILES:
                with suppress(FileNotFoundError):
                    self._path.with_name(f"{self._path.name}{suffix}").replace(self._aside(suffix))
            self._on_damage(f"the statistics were damaged ({error}); they are in {self._aside('')} now")

    def _aside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}{_ASIDE}{suffix}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # An error may have ended the transaction already.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    for check in CHECKS:
        connection.execute(check).fetchone()
    return connection


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
