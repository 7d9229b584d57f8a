"""A session as JSON that loses nothing, and back.

::

    {"type": "chatcli_session", "version": 1, "name", "title", "records": [...]}

``records`` are the lines of the session file, in order, as objects (``sessions/records.py`` says what is in each):
ids, times, branches, marks and the fields of newer versions are all there. ``name`` is what the session was called,
``title`` what a list shows for it; both only say so, and nothing is read back from ``title``. Several sessions are a
list of such objects. Keys may be added; a reader passes over those it does not know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chatcli.sessions.records import FORMAT, HeaderRecord, UnreadableRecord, decode
from chatcli.sessions.titles import title_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatcli.sessions.records import Record
    from chatcli.sessions.session import Session

DOCUMENT_TYPE: Final = "chatcli_session"
VERSION: Final = 1


def to_document(session: Session, name: str) -> dict[str, Any]:
    """Return ``session`` as a JSON object."""
    return {
        "type": DOCUMENT_TYPE,
        "version": VERSION,
        "name": name,
        "title": title_of(session),
        # JSON has no place for a line that is none.
        "records": [
            _fields(record) for record in session.records if not isinstance(record, UnreadableRecord)
        ],
    }


def to_json(documents: Iterable[dict[str, Any]], *, as_list: bool) -> Iterator[str]:
    """Yield documents as text in ASCII, one line a record, piece by piece: a whole library is too much for the memory.

    Without ``as_list``, only the one document there is.
    """
    if as_list:
        yield "["
    for number, document in enumerate(documents):
        yield ",\n" if number else "\n" if as_list else ""
        yield from _indented(document)
    yield "\n]\n" if as_list else "\n"


def is_document(value: Any) -> bool:
    """Whether a JSON value says that it is a session."""
    return isinstance(value, dict) and value.get("type") == DOCUMENT_TYPE


def records_of(document: dict[str, Any]) -> list[Record]:
    """Return the records of a document, a header first.

    Raises ``ValueError`` with the reason for a document that has none or was made by a newer version.
    """
    version, records = document.get("version"), document.get("records")
    if type(version) is not int or not isinstance(records, list):
        raise ValueError("it has no version or no records")
    if version > VERSION:
        raise ValueError(f"it was made by a newer chatcli (version {version}, this one reads {VERSION})")
    found = [_record(fields) for fields in records]
    if not found or not isinstance(found[0], HeaderRecord):
        raise ValueError("it does not begin with a header")
    if found[0].format > FORMAT:
        raise ValueError("it was made by a newer chatcli, in a session format that this one does not read")
    return found


def _fields(record: Record) -> dict[str, Any]:
    # The line has what this version does not know as well.
    fields: dict[str, Any] = record.fields() if record.line is None else json.loads(record.line)
    return fields


def _record(fields: Any) -> Record:
    line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # As in a session file: a lone surrogate has no UTF-8 and stays an escape.
    record = decode(line.encode("utf-8", "backslashreplace"))
    if isinstance(record, UnreadableRecord):
        raise ValueError("one of its records is not a JSON object")  # noqa: TRY004 - what is in a file is a value
    return record


def _indented(document: dict[str, Any]) -> Iterator[str]:
    head = [f'  "{key}": {json.dumps(value)}' for key, value in document.items() if key != "records"]
    yield "{\n" + ",\n".join([*head, '  "records": [\n'])
    yield ",\n".join(f"    {json.dumps(record)}" for record in document["records"])
    yield "\n  ]\n}"
