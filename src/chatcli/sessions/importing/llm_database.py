"""The log database of ``llm`` and its older tables, in which a row is a prompt with its response."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from chatcli.core.events import Usage
from chatcli.core.json_values import as_text, optional_count
from chatcli.core.messages import Message, TextPart
from chatcli.sessions.importing.importer import ImportedConversation, fenced, stable_name
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, ReplyMetadata, new_id
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatcli.core.messages import Part, Role
    from chatcli.sessions.records import Record


_COUNTED: Final = 100
"""How often SQLite reports its progress."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST_STEPS: Final = 200_000_000
"""The limit of SQLite steps for one conversation, some seconds: a longer query is an attack."""
MOST_ROWS: Final = 1_000_000
"""The limit of rows of one query: no conversation is longer, and memory is limited."""


class TookTooLong(Exception):
    """Reading a conversation took more steps than any real one does."""


class Database:
    """A database whose tables and columns depend on its age: missing ones count as empty.

    Views and virtual tables are ignored: they could execute anything.
    """

    def __init__(self, connection: sqlite3.Connection, most_steps: int = MOST_STEPS) -> None:
        self._connection = connection
        self._most_steps = most_steps

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Raise ``TookTooLong`` if the body takes too many SQLite steps."""
        left = _COUNTED

        def count() -> bool:
            nonlocal left
            left -= 1
            return left <= 0

        self._connection.set_progress_handler(count, max(1, self._most_steps // _COUNTED))
        try:
            yield
        except sqlite3.OperationalError as error:
            if left > 0:
                raise
            raise TookTooLong from error
        finally:
            self._connection.set_progress_handler(None, 0)

    @cached_property
    def tables(self) -> frozenset[str]:
        rows = self._connection.execute(
            "select name from sqlite_master where type = 'table' and rootpage > 0"
        )
        return frozenset(str(row["name"]) for row in rows)

    def rows(self, query: str, *values: Any) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(self._connection.execute(query, values)):
            if number == MOST_ROWS:
                raise ValueError(f"it has more than {MOST_ROWS:,} rows")
            yield dict(row)

    def rows_of(self, table: str, query: str, *values: Any) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query on ``table``, none if the database has no such table."""
        return self.rows(query, *values) if table in self.tables else iter(())


def text_of(row: dict[str, Any], name: str) -> str:
    """Return the text in a column of ``row``, empty if there is none."""
    return as_text(row.get(name))


def moment_of(row: dict[str, Any], *names: str) -> datetime:
    """Return the time in the first existing column of ``row``; without a time zone it is in UTC."""
    for name in names:
        try:
            at = datetime.fromisoformat(text_of(row, name))
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            continue
    return BEGINNING


def reply_of(row: dict[str, Any]) -> ReplyMetadata:
    """Return the metadata of a model's answer in a row."""
    usage = Usage(optional_count(row.get("input_tokens")), optional_count(row.get("output_tokens")))
    duration_ms = optional_count(row.get("duration_ms"))
    return ReplyMetadata(
        text_of(row, "resolved_model") or text_of(row, "model") or None,
        None if usage == Usage() else usage,
        "stop",
        None if duration_ms is None else duration_ms / 1000,
    )


def attachment_line(row: dict[str, Any]) -> str:
    """Return the line that replaces an attachment, whose bytes are not imported."""
    details = [text_of(row, name) for name in ("type", "url", "path")]
    return f"[attachment: {', '.join([*filter(None, details), 'not imported'])}]"


_FRAGMENTS: Final = (
    "select content from {table} join fragments on fragments.id = fragment_id where response_id = ?"
    ' order by {table}."order"'
)
_ATTACHMENTS: Final = (
    "select type, url, path from prompt_attachments join attachments on attachments.id = attachment_id"
    ' where response_id = ? order by prompt_attachments."order"'
)


class ResponsesTable:
    """The tables ``conversations`` and ``responses``."""

    def __init__(self, database: Database, app: str) -> None:
        self._database = database
        self._app = app

    @staticmethod
    def is_in(database: Database) -> bool:
        return "responses" in database.tables

    def conversation_ids(self) -> Iterator[str]:
        query = "select distinct coalesce(conversation_id, id) as id from responses order by id"
        return (str(row["id"]) for row in self._database.rows(query))

    def conversation(self, conversation_id: str) -> ImportedConversation:
        line = _Line(self._app, stable_name("llm", conversation_id))
        query = "select * from responses where coalesce(conversation_id, id) = ? order by datetime_utc, id"
        for row in self._database.rows(query, conversation_id):
            self._add(row, line)
        return line.conversation(self._title(conversation_id))

    def _title(self, conversation_id: str) -> str:
        rows = self._database.rows_of(
            "conversations", "select name from conversations where id = ?", conversation_id
        )
        return next((text_of(row, "name") for row in rows), "")

    def _add(self, row: dict[str, Any], line: _Line) -> None:
        row_id = str(row["id"])
        line.at = timestamp(moment_of(row, "datetime_utc"))
        system = "\n\n".join([*self._fragments("system_fragments", row_id), text_of(row, "system")]).strip()
        line.set_system(system, row_id)
        line.add(f"{row_id}-tools", "assistant", self._tool_results(row_id))
        line.add(f"{row_id}-prompt", "user", self._prompt(row, line.left_out))
        line.add(row_id, "assistant", self._answer(row), reply_of(row))
        line.left_out["thoughts"] += bool(text_of(row, "reasoning"))

    def _prompt(self, row: dict[str, Any], left_out: Counter[str]) -> Iterator[TextPart]:
        row_id = str(row["id"])
        yield TextPart(text_of(row, "prompt"))
        for fragment in self._fragments("prompt_fragments", row_id):
            yield TextPart(fragment, "document")
        for attachment in self._database.rows_of("prompt_attachments", _ATTACHMENTS, row_id):
            left_out["attachments"] += 1
            yield TextPart(attachment_line(attachment), "document")

    def _answer(self, row: dict[str, Any]) -> Iterator[TextPart]:
        yield TextPart(text_of(row, "response"), "model")
        query = "select name, arguments from tool_calls where response_id = ? order by id"
        for call in self._database.rows_of("tool_calls", query, str(row["id"])):
            yield TextPart(tool_call(text_of(call, "name"), text_of(call, "arguments")), "model")

    def _tool_results(self, row_id: str) -> Iterator[TextPart]:
        query = "select output from tool_results where response_id = ? order by id"
        for result in self._database.rows_of("tool_results", query, row_id):
            yield TextPart(text_of(result, "output"), "tool")

    def _fragments(self, table: str, row_id: str) -> list[str]:
        rows = self._database.rows_of(table, _FRAGMENTS.format(table=table), row_id)
        return [text_of(row, "content") for row in rows]


class LogsTable:
    """The table ``logs``, or ``log`` before it. The id of a chat's first row identifies the chat."""

    _TIMES: ClassVar = ("datetime_utc", "timestamp_utc", "timestamp")

    def __init__(self, database: Database, app: str) -> None:
        self._database = database
        self._app = app
        self._name = "logs" if "logs" in database.tables else "log"

    @staticmethod
    def is_in(database: Database) -> bool:
        return not {"logs", "log"}.isdisjoint(database.tables)

    def conversation_ids(self) -> Iterator[str]:
        query = f"select distinct coalesce(chat_id, rowid) as chat from {self._name} order by chat"  # noqa: S608
        return (f"log-{row['chat']}" for row in self._database.rows(query))

    def conversation(self, conversation_id: str) -> ImportedConversation:
        line = _Line(self._app, stable_name("llm", conversation_id))
        query = (
            f"select rowid as row_id, * from {self._name}"  # noqa: S608 - one of two names
            " where cast(coalesce(chat_id, rowid) as text) = ? order by rowid"
        )
        for row in self._database.rows(query, conversation_id.removeprefix("log-")):
            row_id = f"log-{row['row_id']}"
            line.at = timestamp(moment_of(row, *self._TIMES))
            line.set_system(text_of(row, "system"), row_id)
            line.add(f"{row_id}-prompt", "user", [TextPart(text_of(row, "prompt"))])
            line.add(row_id, "assistant", [TextPart(text_of(row, "response"), "model")], reply_of(row))
        return line.conversation("")


class _Line:
    """A conversation without branches, built message by message. ``at`` is the time of the next message."""

    def __init__(self, app: str, name: str) -> None:
        self._app = app
        self._name = name
        self._messages: list[MessageRecord] = []
        self._system = ""
        self.at = timestamp(BEGINNING)
        self.left_out: Counter[str] = Counter()

    def set_system(self, text: str, row_id: str) -> None:
        """Set the system prompt of a row; every row repeats it."""
        if text != self._system:
            self._system = text
            self.add(f"{row_id}-system", "system", [TextPart(text)] if text else [], may_be_empty=True)

    def add(
        self,
        message_id: str,
        role: Role,
        parts: Iterable[TextPart],
        reply: ReplyMetadata | None = None,
        *,
        may_be_empty: bool = False,
    ) -> None:
        kept: tuple[Part, ...] = tuple(part for part in parts if part.text)
        if kept or may_be_empty:
            parent = self._messages[-1].id if self._messages else None
            self._messages.append(
                MessageRecord(message_id, parent, self.at, Message(role, kept, imported="llm"), reply)
            )

    def conversation(self, title: str) -> ImportedConversation:
        first = self._messages[0].at if self._messages else self.at
        records: list[Record] = [HeaderRecord(self._name, first, self._app), *self._messages]
        if title and self._messages:
            records.append(MarkRecord(new_id(), self._messages[-1].id, self.at, "title", title))
        return ImportedConversation(self._name, records, moment_of({"at": self.at}, "at"), +self.left_out)


def tool_call(name: str, arguments: Any) -> str:
    """Return a tool call as a part of the model's message."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return fenced(f"{name}({written})")
