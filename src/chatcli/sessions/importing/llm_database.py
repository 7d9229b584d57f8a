"""What the tables of ``llm`` have in common."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.usage import Usage
from chatcli.sessions.records import ReplyMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNTED: Final = 100
"""How often SQLite is asked how far it is."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


MOST_STEPS: Final = 200_000_000
"""Of SQLite's, some seconds, for one conversation: what takes longer was made to."""
MOST_ROWS: Final = 1_000_000
"""Of one query: nobody said so much in one conversation, and memory is not endless."""


class TookTooLong(Exception):
    """Reading a conversation took more than any conversation takes."""


class Database:
    """A database whose tables and columns depend on its age: what is not there counts as empty.

    Views and virtual tables are no tables of ``llm``: what is behind them could be anything.
    """

    def __init__(self, connection: sqlite3.Connection, most_steps: int = MOST_STEPS) -> None:
        self._connection = connection
        self._most_steps = most_steps

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Raise ``TookTooLong`` where what is read meanwhile takes too many of SQLite's steps."""
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
        """Yield the rows of a query on ``table``, none where an older database has no such table."""
        return self.rows(query, *values) if table in self.tables else iter(())


def text_of(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def moment_of(row: dict[str, Any], *names: str) -> datetime:
    """Return a time of ``row``, which without a time zone is in UTC; the first column there is counts."""
    for name in names:
        try:
            at = datetime.fromisoformat(text_of(row, name))
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            continue
    return BEGINNING


def reply_of(row: dict[str, Any]) -> ReplyMetadata:
    """Return what a row says of a model's answer."""
    usage = Usage(_count(row.get("input_tokens")), _count(row.get("output_tokens")))
    duration_ms = _count(row.get("duration_ms"))
    return ReplyMetadata(
        text_of(row, "resolved_model") or text_of(row, "model") or None,
        None if usage == Usage() else usage,
        "stop",
        None if duration_ms is None else duration_ms / 1000,
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def attachment_line(row: dict[str, Any]) -> str:
    """Return what stands for an attachment, whose bytes are not imported."""
    told = [text_of(row, name) for name in ("type", "url", "path")]
    return f"[attachment: {', '.join([*filter(None, told), 'not imported'])}]"
