"""The table of import sources, and chatcli's own JSON export: ``chatcli sessions export --format json``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chatcli.sessions.exporting import is_document, records_of
from chatcli.sessions.importing import chatgpt, llm
from chatcli.sessions.importing.importer import ImportedConversation, stable_name
from chatcli.sessions.importing.json_reading import first_value, not_importable, not_readable, read_items
from chatcli.sessions.reading import damage
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, PartialRecord
from chatcli.storage.private_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from chatcli.sessions.importing.importer import Item, Progress
    from chatcli.sessions.records import Record


CHATCLI_JSON: Final = "chatcli"
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_conversation(value: Any) -> ImportedConversation:
    """Return the exported session unchanged, header included.

    Raise ``ValueError`` with the reason for an invalid document.
    """
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what is in a file is a value, whatever its type
    records = records_of(value)
    if count := sum(record.is_damaged for record in records):
        raise ValueError(f"it has {damage(count)}")
    header, name = records[0], value.get("name")
    own_id = header.id if isinstance(header, HeaderRecord) else ""
    return ImportedConversation(
        name if isinstance(name, str) and name else stable_name(CHATCLI_JSON, own_id),
        records,
        _last_at(records),
    )


def _last_at(records: Iterable[Record]) -> datetime:
    timed = (
        record
        for record in records
        if isinstance(record, HeaderRecord | MessageRecord | PartialRecord | MarkRecord)
    )
    moments = (_moment(record.at) for record in timed)
    return max((at for at in moments if at is not None), default=_BEGINNING)


def _moment(at: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_SQLITE_MAGIC: Final = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Source:
    """A row of the table.

    ``holds`` recognizes the source by the first entry of a JSON file; databases have their own signature.
    ``read`` takes a path, a progress callback, and the program name for the headers.
    """

    name: str
    title: str
    holds: Callable[[Any], bool]
    read: Callable[[Path, Progress, str], Generator[Item]]


def _read_chatgpt(path: Path, progress: Progress, app: str) -> Generator[Item]:
    return read_items(path, progress, partial(chatgpt.to_conversation, app=app))


def _read_llm(path: Path, progress: Progress, app: str) -> Generator[Item]:
    return llm.read(path, progress, app=app)


def _read_chatcli(path: Path, progress: Progress, _app: str) -> Generator[Item]:
    return read_items(path, progress, to_conversation)


def _is_no_json(_value: Any) -> bool:
    return False


SOURCES: Final = (
    Source(
        chatgpt.SOURCE,
        "ChatGPT's data export, as it comes or unpacked",
        chatgpt.is_conversation,
        _read_chatgpt,
    ),
    Source(llm.SOURCE, "the logs.db of llm", _is_no_json, _read_llm),
    Source(CHATCLI_JSON, "chatcli sessions export --format json", is_document, _read_chatcli),
)
SOURCES_BY_NAME: Final = {source.name: source for source in SOURCES}


def recognize(path: Path) -> Source:
    """Return the source of ``path``; raise ``ConfigurationError`` for an unknown format, or ``LocalIOError``."""
    try:
        with open_regular(path) as file:
            is_database = file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError as error:
        raise not_readable(path, error) from error
    if is_database:
        return SOURCES_BY_NAME[llm.SOURCE]
    value = first_value(path)
    found = next((source for source in SOURCES if value is not None and source.holds(value)), None)
    if found is None:
        raise not_importable(path)
    return found
