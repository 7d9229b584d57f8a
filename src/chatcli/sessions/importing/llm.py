"""The logs of ``llm`` (https://llm.datasette.io): a SQLite database, ``llm logs path`` says where.

Its tables changed with the years, and a database can hold conversations in several of them:

* ``threads``, ``turns``, ``messages``, ``parts``: since 0.36, a tree of messages (``llm_threads.py``)
* ``conversations``, ``responses``: since 0.6, one prompt and one response a row (``llm_responses.py``)
* ``logs`` or ``log``: before that

Fetched with ``llm`` 0.36's ``migrations.py`` and ``logs.py`` at hand.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import LocalIOError
from chatcli.sessions.importing.imported_conversation import Damaged
from chatcli.sessions.importing.json_files import not_importable, not_readable
from chatcli.sessions.importing.llm_database import MOST_STEPS, Database, TookTooLong
from chatcli.sessions.importing.llm_responses import LogsTable, ResponsesTable
from chatcli.sessions.importing.llm_threads import ThreadsTable
from chatcli.storage.private_files import check_regular

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from chatcli.sessions.importing.imported_conversation import Item, Progress

SOURCE: Final = "llm"

_PATIENCE_S: Final = 10.0
_LONGEST_VALUE_BYTES: Final = 1 << 28
_SHOWN_CHARACTERS: Final = 64
# Newest first: a conversation that was gone on with by a newer llm is complete in the newer tables.
_TABLES: Final = (ThreadsTable, ResponsesTable, LogsTable)


def read(path: Path, progress: Progress, *, app: str, most_steps: int = MOST_STEPS) -> Generator[Item]:
    """Yield the conversations of a database, which is only read, also while ``llm`` writes to it.

    One conversation may take ``most_steps`` of SQLite's.

    Raises ``ConfigurationError`` for a database that is not llm's, ``LocalIOError`` for one that cannot be read.
    """
    try:
        # SQLite would open a pipe, and wait.
        check_regular(path.stat())
    except OSError as error:
        raise not_readable(path, error) from error
    try:
        with closing(_connect(path)) as connection:
            yield from _conversations(Database(connection, most_steps), path, progress, app)
    except sqlite3.OperationalError as error:
        raise LocalIOError(
            f"cannot read the database {path}: {error}",
            hint="check the path, its permissions, and whether another program has locked it",
            code="not_read",
        ) from error
    except (sqlite3.Error, ValueError) as error:
        # SQLite's own words repeat names of the database, which need be no text.
        raise not_importable(path, f"not a readable database: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
    # Nothing in the file may be run, whatever it was made to be.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    return connection


def _conversations(database: Database, path: Path, progress: Progress, app: str) -> Generator[Item]:
    tables = [table(database, app) for table in _TABLES if table.is_in(database)]
    if not tables:
        raise not_importable(path, "a database, but not that of llm")
    listed: dict[str, Any] = {}
    try:
        with database.hurried():
            for table in tables:
                for conversation_id in table.conversation_ids():
                    listed.setdefault(conversation_id, table)
    except (ValueError, TookTooLong) as error:
        raise not_importable(path, "a database with more conversations than can be read") from error
    progress.total += len(listed)
    for conversation_id, table in listed.items():
        yield _item(table, conversation_id, database)
        progress.done += 1


def _item(table: Any, conversation_id: str, database: Database) -> Item:
    where = f"conversation {conversation_id[:_SHOWN_CHARACTERS]}"
    try:
        with database.hurried():
            conversation: Item = table.conversation(conversation_id)
    except TookTooLong:
        return Damaged(where, "reading it takes too long")
    except sqlite3.OperationalError:
        raise  # what keeps one from being read keeps all
    except (sqlite3.DatabaseError, ValueError, RecursionError) as error:
        return Damaged(where, str(error))
    return conversation


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
