"""chatcli's own JSON export: ``chatcli sessions export --format json``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chatcli.sessions.exporting import records_of
from chatcli.sessions.importing.importer import ImportedConversation, stable_name
from chatcli.sessions.reading import damage
from chatcli.sessions.records import HeaderRecord, MarkRecord, MessageRecord, PartialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.sessions.records import Record

SOURCE: Final = "chatcli"

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
        name if isinstance(name, str) and name else stable_name(SOURCE, own_id), records, _last_at(records)
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
