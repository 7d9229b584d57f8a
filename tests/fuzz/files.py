"""What is fuzzed of the files that chatcli keeps, and of those it takes over: each may hold any bytes."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.endpoint_facts import LARGEST_SHARE, Facts, LearnedCounts
from chatcli.config.credentials import StoredKeys
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.core.errors import ChatcliError, ConfigurationError, LocalIOError
from chatcli.core.messages import question
from chatcli.cost.ledger import Expense, Ledger, together, total
from chatcli.schemas.answer_checking import AnswerChecker
from chatcli.schemas.schema_source import SchemaFolder, read_schema
from chatcli.schemas.wire_forms import response_format
from chatcli.sessions.importing.import_sources import SOURCES, recognize
from chatcli.sessions.importing.importer import Importer, Progress
from chatcli.sessions.index import SessionIndex
from chatcli.sessions.index_file import FILE_NAME
from chatcli.sessions.library import Library
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from chatcli.storage.cache import FolderCache, JsonFileCache, key_of
from chatcli.terminal.input_history import HistoryFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FOLDER: Final = tempfile.TemporaryDirectory(prefix="chatcli-fuzz-")
_NOW: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
_MOST_ROWS: Final = 200
_SQLITE_MAGIC: Final = b"SQLite format 3\0"


def imports(data: bytes) -> None:
    """Whatever a file to import holds, each entry is a session that reads back as it is, or is refused."""
    path = _folder("imports") / "file"
    path.write_bytes(data)
    for source in SOURCES:
        _import(path, source.read)
    with suppress(ConfigurationError):
        recognize(path)


def llm(data: bytes) -> None:
    """Whatever a database of ``llm`` is, it is read and nothing in it is run."""
    path = _folder("llm") / "logs.db"
    if data.startswith(_SQLITE_MAGIC):
        path.write_bytes(data)
    else:
        _make_database(path, data)
    before = path.read_bytes()
    _import(path, next(source for source in SOURCES if source.name == "llm").read)
    assert path.read_bytes() == before


def index(data: bytes) -> None:
    """Whatever stands in the place of the index, it answers, and of a session that is not there knows nothing."""
    folder = _folder("index")
    store = SessionStore(folder)
    log = SessionLog(store.resolve("trip"), app="fuzz")
    log.message(question("By train to Rome"), parent=None)
    log.close()
    path = store.folder / FILE_NAME
    if data.startswith(_SQLITE_MAGIC):
        path.write_bytes(data)
    else:
        with closing(SessionIndex(store)) as sound:
            sound.refresh()
        with closing(sqlite3.connect(path)) as other, suppress(sqlite3.Error, ValueError):
            other.set_progress_handler(lambda: True, 1_000_000)
            other.executescript(data.decode("utf-8", "replace"))
    with closing(Library.of(folder)) as library:
        library.refresh()
        assert {summary.name for summary in library.sessions()} <= {"trip"}
        assert {found.summary.name for found in library.search("rome")} <= {"trip"}
        assert library.count("rome") <= 1


def ledger(data: bytes) -> None:
    """Whatever the ledger holds, it adds up, and what is added to it is what is read back."""
    path = _folder("ledger") / "spending.jsonl"
    path.write_bytes(data)
    kept = Ledger(path, clock=lambda: _NOW, large_bytes=0)
    month, expenses = kept.month(), kept.expenses()
    spent = total(expenses)
    assert spent.usd.is_finite()
    assert month.total.usd <= spent.usd
    assert total(together(expenses, before=_NOW)).unknown == spent.unknown
    kept.append(Expense(_NOW, "m", "e", Decimal("0.25")))
    # The month does not have what is older or newer; what is sound of the file is still there.
    assert total(kept.expenses()).usd >= spent.usd
    assert kept.month().total.usd >= Decimal("0.25")


def memory(data: bytes) -> None:
    """Whatever is remembered of endpoints and parts, it is recalled or asked for again."""
    folder = _folder("memory")
    path = folder / "counts.json"
    path.write_bytes(data)
    remembered = Facts("http://b", JsonFileCache(path, clock_s=lambda: 1_000_000.0))
    remembered.recall("m")
    assert (
        0
        <= LearnedCounts(Facts("http://a", JsonFileCache(path, clock_s=lambda: 1_000_000.0))).share("m")
        <= LARGEST_SHARE
    )
    remembered.remember("m", 7)
    again = Facts("http://b", JsonFileCache(path, clock_s=lambda: 1_000_000.0))
    assert again.recall("m") in {(True, 7), (False, None)}
    (folder / f"{key_of('key')}.json").write_bytes(data)
    answers = FolderCache(folder)
    answers.get("key", None)
    answers.put("key", "notes")
    assert answers.get("key", None) == "notes"


def history(data: bytes) -> None:
    """Whatever the input history holds, its texts are texts, and what is added comes last."""
    path = _folder("history") / "input-history.jsonl"
    path.write_bytes(data)
    file = HistoryFile(path)
    before = list(file.texts())
    assert all(isinstance(text, str) and text for text in before)
    file.append(["added"])
    assert list(HistoryFile(path).texts())[-1] == "added"


def config(data: bytes) -> None:
    """Whatever the files of the configuration hold, they are settings or an error that says what to do."""
    folder = _folder("config")
    paths = Paths(folder, folder / "data", folder / "cache", folder / "local")
    for name in ("config.toml", "keys.json", "given.env"):
        (folder / name).write_bytes(data)
        with suppress(ConfigurationError):
            StoredKeys(folder, lambda: None).credentials()
        with suppress(ChatcliError):
            resolve({}, {}, paths, folder / "nowhere", folder / "given.env" if name == "given.env" else None)
        (folder / name).unlink()


def schemas(data: bytes) -> None:
    """Whatever the first line is as a schema, the others are values that fit it or have a problem, and never hang."""
    given, *answers = data.decode("utf-8", "replace").split("\n")
    with suppress(ChatcliError):
        form = response_format(read_schema(given, SchemaFolder(_folder("schemas"))))
        json.dumps([form.schema, form.strict, form.basic], allow_nan=False)
        assert form.check is not None
        for answer in answers[:_MOST_ROWS]:
            value, problem = form.check(answer)
            assert value is None or not problem
            assert problem or not AnswerChecker(form.schema).fits(
                {form.wrapped_in: value} if form.wrapped_in else value
            )
            json.dumps(value, allow_nan=False)


FILES: Final = (imports, llm, index, ledger, memory, history, config, schemas)


def _folder(name: str) -> Path:
    folder = Path(_FOLDER.name) / name
    if folder.exists():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _import(path: Path, read: Callable[[Path, Progress, str], Iterator[Any]]) -> None:
    store = SessionStore(path.parent / "data")
    importer, before = Importer(store), len(store.summaries())
    with suppress(ConfigurationError, LocalIOError):
        for item in islice(read(path, Progress(), "fuzz"), _MOST_ROWS):
            importer.take(item)
    assert len(store.summaries()) == before + importer.summary.imported
    assert not any(summary.damaged_records for summary in store.summaries())


def _make_database(path: Path, data: bytes) -> None:
    """Make tables without any constraint of the rows in ``data``: each a line ``[table, {column: value}]``."""
    with closing(sqlite3.connect(path)) as connection:
        for name, columns in _COLUMNS.items():
            connection.execute(f"CREATE TABLE {name} ({', '.join(f'{column!r}' for column in columns)})")
        for line in data.split(b"\n")[:_MOST_ROWS]:
            with suppress(ValueError, TypeError, LookupError, RecursionError, sqlite3.Error, OverflowError):
                table, fields = json.loads(line)
                columns = [column for column in _COLUMNS[table] if column in fields]
                values = [
                    json.dumps(fields[column]) if isinstance(fields[column], dict | list) else fields[column]
                    for column in columns
                ]
                names = ", ".join(f"{column!r}" for column in columns)
                connection.execute(
                    f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})",
                    values,
                )
        connection.commit()


_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "threads": ("id", "name", "tip_message_hash", "datetime_utc"),
    "turns": (
        "id",
        "thread_id",
        "tip_message_hash",
        "datetime_utc",
        "model",
        "resolved_model",
        "input_tokens",
        "output_tokens",
        "duration_ms",
    ),
    "messages": ("hash", "parent_hash", "role"),
    "parts": ("message_hash", "position", "type", "text", "payload"),
    "fragments": ("id", "content"),
    "attachments": ("id", "type", "url", "path"),
    "conversations": ("id", "name"),
    "responses": (
        "id",
        "conversation_id",
        "model",
        "prompt",
        "system",
        "response",
        "reasoning",
        "datetime_utc",
        "duration_ms",
        "input_tokens",
        "output_tokens",
    ),
    "logs": ("id", "chat_id", "timestamp", "system", "prompt", "response", "model"),
}
