"""Import of conversations: what a source yields, and how it is stored."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.sessions.folder import SUFFIX, checked_name
from chatcli.sessions.log import RecordFile
from chatcli.sessions.reading import find_header
from chatcli.sessions.records import HeaderRecord, MessageRecord, PartialRecord, encode
from chatcli.storage.private_files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from chatcli.sessions.records import Record
    from chatcli.sessions.store import SessionFile, SessionStore


_USUAL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HASH_CHARACTERS: Final = 16
_BACKTICKS: Final = re.compile(r"`+")
_SHORTEST_FENCE: Final = 3


@dataclass(slots=True)
class ImportedConversation:
    """A conversation read from a source.

    ``name`` is the name of its session, the same on every import; ``records`` begin with a header whose id is
    unique to the conversation. ``left_out`` counts unsupported content by its kind, in the plural.
    """

    name: str
    records: list[Record]
    last_at: datetime
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def message_ids(self) -> list[str]:
        return [record.id for record in self.records if isinstance(record, MessageRecord)]


@dataclass(frozen=True, slots=True)
class Damaged:
    """An invalid entry; ``reason`` is a clause: "it has no messages"."""

    where: str
    reason: str


Item: TypeAlias = ImportedConversation | Damaged


@dataclass(slots=True)
class Progress:
    """The progress of reading in bytes or conversations; ``total`` is 0 until it is known."""

    done: int = 0
    total: int = 0


def stable_name(source: str, source_id: str) -> str:
    """Return the session name of a conversation: its id in the source, or a hash of an unusual one."""
    if _USUAL_ID.fullmatch(source_id):
        return f"{source}-{source_id}"
    digest = hashlib.sha256(source_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{source}-{digest[:_HASH_CHARACTERS]}"


def moment(seconds: Any) -> datetime | None:
    """Return a time given in seconds since 1970, ``None`` for an invalid one."""
    if type(seconds) not in {int, float}:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def fenced(code: str, language: str = "") -> str:
    """Return ``code`` as a fenced block of Markdown."""
    longest = max(map(len, _BACKTICKS.findall(code)), default=0)
    fence = "`" * max(_SHORTEST_FENCE, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


_MOST_BYTES: Final = 1 << 30


@dataclass(slots=True)
class ImportSummary:
    """The outcome of an import.

    ``here`` counts the conversations imported before, of which those in ``grown`` have new messages in the
    source; ``empty`` those without messages. ``left_out`` counts unsupported content by its kind.
    """

    imported: int = 0
    here: int = 0
    empty: int = 0
    damaged: int = 0
    first_damage: Damaged | None = None
    grown: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Importer:
    """Writes conversations into a store. With ``dry_run`` it only reports what it would do."""

    def __init__(self, store: SessionStore, *, dry_run: bool = False) -> None:
        self.summary = ImportSummary()
        self._store = store
        self._dry_run = dry_run
        self._would_be_here: set[str] = set()

    def take(self, item: Item) -> None:
        """Import one conversation unless it exists; raise ``LocalIOError`` if it cannot be written."""
        if isinstance(item, Damaged):
            self.summary.damaged += 1
            self.summary.first_damage = self.summary.first_damage or item
        elif not any(isinstance(record, MessageRecord | PartialRecord) for record in item.records):
            self.summary.empty += 1
        else:
            self._take(item)

    def _take(self, conversation: ImportedConversation) -> None:
        own_id = _own_id(conversation)
        file, content = self._place(conversation, own_id)
        if content is not None or own_id in self._would_be_here:
            self.summary.here += 1
            if content is not None and _has_more(conversation, content):
                self.summary.grown.append(file.name)
            return
        if self._dry_run:
            self._would_be_here.add(own_id)
        else:
            _write(file.path, conversation)
        self.summary.imported += 1
        self.summary.left_out.update(conversation.left_out)

    def _place(self, conversation: ImportedConversation, own_id: str) -> tuple[SessionFile, bytes | None]:
        """Return the place of the conversation with the content of its file, or an unused place."""
        file = self._store.resolve(_checked(conversation.name, own_id))
        copies = file.copies()
        while True:
            try:
                content = read_regular(file.path, most_bytes=_MOST_BYTES)
            except FileNotFoundError:
                return file, None
            except OSError:
                content = b""  # a folder, or an unrelated file: not this conversation
            if _id_in(content, file.path) == own_id:
                return file, content
            file = next(copies)


def _own_id(conversation: ImportedConversation) -> str:
    header = conversation.records[0]
    return header.id if isinstance(header, HeaderRecord) else conversation.name


def _checked(name: str, own_id: str) -> str:
    """Return a valid session name: a file of unknown origin must not choose a path."""
    try:
        return checked_name(name.removesuffix(SUFFIX))
    except UsageError:
        return stable_name("imported", own_id)


def _id_in(content: bytes, path: Path) -> str | None:
    try:
        header = find_header(content, path)
    except ConfigurationError:
        return None
    return header.id if header else None


def _has_more(conversation: ImportedConversation, content: bytes) -> bool:
    """Return whether a session file lacks a message; ids in its lines are searched as they are written."""
    return any(_id_field(message_id) not in content for message_id in conversation.message_ids)


def _id_field(message_id: str) -> bytes:
    # As the encoder of session files writes it: {"type":"mark","id":"...","parent":...
    return encode(PartialRecord(message_id, None, "", "")).partition(b",")[2].partition(b',"parent"')[0]


def _write(path: Path, conversation: ImportedConversation) -> None:
    file = RecordFile(path)
    file.begin(conversation.records)
    file.close()
    _date(path, conversation.last_at)


def _date(path: Path, at: datetime) -> None:
    # Lists are ordered by file times. If these cannot be set, the import is still complete.
    with contextlib.suppress(OSError, OverflowError, ValueError):
        os.utime(path, (at.timestamp(), at.timestamp()))
