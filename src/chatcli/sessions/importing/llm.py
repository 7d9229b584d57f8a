"""The logs of ``llm`` (https://llm.datasette.io): a SQLite database, ``llm logs path`` says where.

Its tables changed with the years, and a database can hold conversations in several of them:

* ``threads``, ``turns``, ``messages``, ``parts``: since 0.36, a tree of messages (here)
* ``conversations``, ``responses``: since 0.6, one prompt and one response a row (``llm_database.py``)
* ``logs`` or ``log``: before that

Fetched with ``llm`` 0.36's ``migrations.py`` and ``logs.py`` at hand.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import LocalIOError
from chatcli.core.json_values import as_list, as_object
from chatcli.core.messages import Message, TextPart
from chatcli.sessions.importing.importer import Damaged, ImportedConversation, stable_name
from chatcli.sessions.importing.json_reading import not_importable, not_readable
from chatcli.sessions.importing.llm_database import (
    MOST_STEPS,
    Database,
    LogsTable,
    ResponsesTable,
    TookTooLong,
    attachment_line,
    moment_of,
    reply_of,
    text_of,
    tool_call,
)
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, new_id
from chatcli.storage.private_files import check_regular
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from chatcli.core.messages import Origin, Role
    from chatcli.sessions.importing.importer import Item, Progress
    from chatcli.sessions.records import Record


# All messages of a thread: its current ends, and the ends of all its calls.
_CHAIN: Final = """
with recursive chain(hash, parent_hash, role) as (
  select hash, parent_hash, role from messages where hash in (
    select tip_message_hash from threads where id = ?1
    union select tip_message_hash from turns where thread_id = ?1)
  union
  select messages.hash, messages.parent_hash, messages.role
    from messages join chain on messages.hash = chain.parent_hash
)
"""
_MESSAGES: Final = "select hash, parent_hash, role from chain"
_PARTS: Final = (
    "select message_hash, type, text, payload from parts join chain on chain.hash = message_hash"
    " order by message_hash, position"
)
_TURNS: Final = "select turns.* from turns join chain on chain.hash = tip_message_hash order by turns.datetime_utc, turns.id"
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "assistant",
}
_ORIGINS: Final[dict[str, Origin]] = {
    "system": "person",
    "user": "person",
    "assistant": "model",
    "tool": "tool",
}
_LARGEST_KEY: Final = 2**63


class ThreadsTable:
    """The tables ``threads``, ``turns``, ``messages`` and ``parts``."""

    def __init__(self, database: Database, app: str) -> None:
        self._database = database
        self._app = app

    @staticmethod
    def is_in(database: Database) -> bool:
        return {"threads", "turns", "messages", "parts"} <= database.tables

    def conversation_ids(self) -> Iterator[str]:
        query = "select id from threads where tip_message_hash is not null order by id"
        return (str(row["id"]) for row in self._database.rows(query))

    def conversation(self, thread_id: str) -> ImportedConversation:
        query = "select * from threads where id = ?"
        thread = next(self._database.rows(query, thread_id), {})
        return _Thread(self._database, thread_id, thread).read(self._app)


class _Thread:
    def __init__(self, database: Database, thread_id: str, row: dict[str, Any]) -> None:
        self._database = database
        self._id = thread_id
        self._row = row
        self._left_out: Counter[str] = Counter()
        self._rows = {str(row["hash"]): row for row in self._of_chain(_MESSAGES)}
        self._turns = list(self._of_chain(_TURNS))
        self._parts: dict[str, list[dict[str, Any]]] = {}
        for part in self._of_chain(_PARTS):
            self._parts.setdefault(str(part["message_hash"]), []).append(part)

    def read(self, app: str) -> ImportedConversation:
        name, tip = stable_name("llm", self._id), text_of(self._row, "tip_message_hash")
        messages = list(self._messages(tip))
        began = timestamp(moment_of(self._row, "datetime_utc"))
        records: list[Record] = [HeaderRecord(name, messages[0].at if messages else began, app), *messages]
        last_at = max((record.at for record in messages), default=began)
        if messages and messages[-1].id != tip:
            records.append(MarkRecord(new_id(), messages[-1].id, last_at, "head", tip))
        if title := text_of(self._row, "name"):
            records.append(MarkRecord(new_id(), tip, last_at, "title", title))
        return ImportedConversation(name, records, moment_of({"at": last_at}, "at"), self._left_out)

    def _of_chain(self, query: str) -> Iterator[dict[str, Any]]:
        return self._database.rows(f"{_CHAIN}{query}", self._id)

    def _messages(self, tip: str) -> Iterator[MessageRecord]:
        """Yield every message after the one it follows, in the order of the calls."""
        replies = {str(turn["tip_message_hash"]): reply_of(turn) for turn in self._turns}
        ends = [(str(turn["tip_message_hash"]), moment_of(turn, "datetime_utc")) for turn in self._turns]
        visited: set[str] = set()
        for end, at in [*ends, (tip, moment_of(self._row, "datetime_utc"))]:
            for message_hash in reversed(list(self._unvisited(end, visited))):
                row = self._rows[message_hash]
                message = self._message(message_hash, text_of(row, "role"))
                parent = _text_or_none(row["parent_hash"])
                yield MessageRecord(message_hash, parent, timestamp(at), message, replies.get(message_hash))

    def _unvisited(self, message_hash: Any, visited: set[str]) -> Iterator[str]:
        while message_hash in self._rows and message_hash not in visited:
            visited.add(message_hash)
            yield message_hash
            message_hash = _text_or_none(self._rows[message_hash]["parent_hash"])

    def _message(self, message_hash: str, role: str) -> Message:
        parts = (self._read_part(part, role) for part in self._parts.get(message_hash, []))
        read = tuple(part for found in parts for part in found if part.text)
        return Message(_ROLES.get(role, "assistant"), read, imported=SOURCE)

    def _read_part(self, part: dict[str, Any], role: str) -> Iterator[TextPart]:
        payload, origin = _payload(part), _ORIGINS.get(role, "tool")
        match part["type"]:
            case "text":
                yield TextPart(text_of(part, "text") or text_of(payload, "text"), origin)
                yield from self._borrowed(payload, origin)
            case "reasoning":
                self._left_out["thoughts"] += 1
            case "tool_call":
                yield TextPart(tool_call(text_of(payload, "name"), payload.get("arguments")), "model")
            case "tool_result":
                yield TextPart(text_of(payload, "output"), "tool")
                yield from self._borrowed(payload, "tool")
            case "attachment":
                self._left_out["attachments"] += 1
                yield TextPart(self._attachment(payload), "document")
            case kind:
                self._left_out[f"parts of the kind {str(kind)[:40]}"] += 1

    def _borrowed(self, payload: dict[str, Any], origin: Origin) -> Iterator[TextPart]:
        """Yield a composed text: the typed text and the attached fragments."""
        texts = payload.get("text_ref")
        for text in as_list(texts):
            if not isinstance(text, dict):
                continue
            if "fragment" not in text:
                # Line feeds only separate it from the fragments, which become parts of their own.
                yield TextPart(text_of(text, "literal").strip("\n"), origin)
                continue
            rows = self._database.rows_of(
                "fragments", "select content from fragments where id = ?", _key(text["fragment"])
            )
            for row in rows:
                yield TextPart(text_of(row, "content"), "document" if origin == "person" else origin)

    def _attachment(self, payload: dict[str, Any]) -> str:
        attachment = payload.get("attachment")
        own_id = as_object(attachment).get("id")
        query = "select type, url, path from attachments where id = ?"
        return attachment_line(next(self._database.rows_of("attachments", query, _key(own_id)), {}))


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _key(value: Any) -> str | int | None:
    """Return ``value`` as a key for SQLite, ``None`` if it is none."""
    is_key = isinstance(value, str) or (type(value) is int and abs(value) < _LARGEST_KEY)
    return value if is_key else None


def _payload(part: dict[str, Any]) -> dict[str, Any]:
    try:
        payload = json.loads(text_of(part, "payload") or "{}")
    except (ValueError, RecursionError):
        return {}
    return as_object(payload)


SOURCE: Final = "llm"
_PATIENCE_S: Final = 10.0
_LONGEST_VALUE_BYTES: Final = 1 << 28
_SHOWN_CHARACTERS: Final = 64
# Newest first: a conversation continued by a newer llm is complete in the newer tables.
_TABLES: Final = (ThreadsTable, ResponsesTable, LogsTable)


def read(path: Path, progress: Progress, *, app: str, most_steps: int = MOST_STEPS) -> Generator[Item]:
    """Yield the conversations of a database, opened read-only, also while ``llm`` writes to it.

    Each conversation may take ``most_steps`` steps of SQLite.

    Raise ``ConfigurationError`` for a database that is not llm's, ``LocalIOError`` for an unreadable one.
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
        # SQLite's messages repeat names from the database, which may not be valid text.
        raise not_importable(path, f"not a readable database: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
    # Nothing stored in the file may be executed.
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
        raise  # an error of this kind affects all conversations
    except (sqlite3.DatabaseError, ValueError, RecursionError) as error:
        return Damaged(where, str(error))
    return conversation


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
