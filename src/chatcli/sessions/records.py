"""Session file, format 1: one record, one JSON line.

::

    {"type":"header","format":1,"id","at","app"}
        and where it is known: "folder"
    {"type":"message","id","parent","at","message":{"role","parts":[...]}}      the message as core/codec.py writes it
        and for a reply: "model", "usage", "finish_reason", "latency_s", "cost_usd"
        and where it cites any: "sources":[{"n","title","url"|"path"}]
        and where another name of the model was asked for: "requested_model"
    {"type":"partial","id","parent","at","text"}
    {"type":"mark","id","parent","at","kind","value"}
        and for a model: "endpoint"

Ids are opaque, ``at`` is RFC 3339 in UTC with milliseconds. A line is UTF-8 and ends in a line feed.

Reading is total: ``decode`` returns a record for any line, and reading its fields never raises later, whatever
their types. Unreadable lines are kept unchanged in the file and count as damage; records of a newer version do
not.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from jiter import from_json

from chatcli.core.codec import (
    UnknownRole,
    checked_role,
    message_fields,
    read_message,
    read_sources,
    read_usage,
    source_fields,
    usage_fields,
)
from chatcli.core.frozen import frozen
from chatcli.core.json_values import optional_number, optional_text, required_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.core.events import CitedSource, Usage
    from chatcli.core.messages import Message, Role

    Clock: TypeAlias = Callable[[], datetime]
    """Returns the current time with its time zone."""
    IdSource: TypeAlias = Callable[[], str]
    """Returns a new unique record id."""

FORMAT: Final = 1

_DEEPEST_LEVELS: Final = 200
"""The deepest nesting of a record, as jiter counts it, so that no reader or writer exhausts its stack."""
_RECORD_START: Final = b'{"type":"'


new_id: Final[IdSource] = partial(secrets.token_hex, 6)
utc_now: Final[Clock] = partial(datetime.now, UTC)


@frozen
class _AsRead:
    """Keeps the line a record was read from.

    The record is written back as it was read, with the fields of newer versions. ``dataclasses.replace``
    drops the line, so that replaced values never return. ``is_damaged``: a known field has an invalid type,
    or nothing can be read.
    """

    line: bytes | None = field(default=None, init=False, repr=False, compare=False)
    is_damaged: bool = field(default=False, init=False, repr=False, compare=False)


@frozen
class HeaderRecord(_AsRead):
    """The first line. ``id`` is the session's own, ``app`` the program and version that began it.

    ``folder`` is the working directory then, as an absolute path of that machine.
    """

    id: str
    at: str
    app: str
    format: int = FORMAT
    folder: str | None = None

    def fields(self) -> dict[str, Any]:
        own = {"type": "header", "format": self.format, "id": self.id, "at": self.at, "app": self.app}
        return own if self.folder is None else own | {"folder": self.folder}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> HeaderRecord:
        version = fields.get("format")
        if type(version) is not int or version < FORMAT:
            raise ValueError("format")
        return cls(
            required_text(fields, "id"),
            required_text(fields, "at"),
            required_text(fields, "app"),
            version,
            optional_text(fields.get("folder")),
        )


@frozen
class ReplyMetadata:
    """Metadata of a reply; ``None`` where unknown.

    ``model`` is the one that the endpoint reported, ``requested_model`` what was asked for, if that is another name.
    """

    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    sources: tuple[CitedSource, ...] = ()
    requested_model: str | None = None

    @property
    def shown_model(self) -> str | None:
        """The model under the name by which a person can ask it again."""
        return self.requested_model or self.model

    def fields(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "model": self.model,
            "usage": None if self.usage is None else usage_fields(self.usage),
            "finish_reason": self.finish_reason,
            "latency_s": self.latency_s,
            "cost_usd": self.cost_usd,
        }
        if self.sources:
            own["sources"] = [source_fields(source) for source in self.sources]
        return own if self.requested_model is None else own | {"requested_model": self.requested_model}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> ReplyMetadata | None:
        """Return the metadata in ``fields``, ``None`` for a message that is not a reply.

        A value of an invalid type counts as unknown, so that the message is not lost.
        """
        if not _is_reply(fields):
            return None
        return cls(
            optional_text(fields.get("model")),
            read_usage(fields.get("usage")),
            optional_text(fields.get("finish_reason")),
            optional_number(fields.get("latency_s")),
            optional_number(fields.get("cost_usd")),
            tuple(read_sources(fields.get("sources"))),
            optional_text(fields.get("requested_model")),
        )


@frozen
class MessageRecord(_AsRead):
    """A complete message; ``parent`` is the message before it, ``reply`` the metadata of a model's message.

    ``role`` is the message's, ``cost_usd`` the reply's. In a record read from a file these are set at once,
    while ``message`` and ``reply`` are decoded on first access: of a hundred thousand messages a resume shows
    one and sends a few dozen.
    """

    id: str
    parent: str | None
    at: str
    message: Message
    reply: ReplyMetadata | None = None
    role: Role = field(init=False, repr=False, compare=False)
    cost_usd: float | None = field(init=False, repr=False, compare=False)

    def fields(self) -> dict[str, Any]:
        own = {
            "type": "message",
            "id": self.id,
            "parent": self.parent,
            "at": self.at,
            "message": message_fields(self.message),
        }
        return own if self.reply is None else own | self.reply.fields()

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> MessageRecord:
        """Return the record without ``message`` and ``reply``, if its line contains a message."""
        record = cls.__new__(cls)
        # The class is frozen for its users; only this method and ``__getattr__`` fill in fields later.
        fill = object.__setattr__
        role, is_sound = checked_role(fields.get("message"))
        fill(record, "id", required_text(fields, "id"))
        fill(record, "parent", _parent(fields))
        fill(record, "at", required_text(fields, "at"))
        fill(record, "role", role)
        fill(record, "cost_usd", optional_number(fields.get("cost_usd")) if _is_reply(fields) else None)
        fill(record, "is_damaged", not (is_sound and _has_sound_metadata(fields)))
        return record

    def __getattr__(self, name: str) -> Any:
        """Decode missing fields; Python calls this only while they are missing."""
        value: Any
        match name:
            case "role":
                value = self.message.role
            case "cost_usd":
                value = None if self.reply is None else self.reply.cost_usd
            case "message" | "reply" if self.line is not None:
                fields = _fields_of(self.line)
                value = read_message(fields["message"]) if name == "message" else ReplyMetadata.read(fields)
            case _:
                raise AttributeError(name)
        object.__setattr__(self, name, value)
        return value


@frozen
class PartialRecord(_AsRead):
    """New text of the reply ``id``; its message will replace all its partials.

    A partial that ``begins_again`` replaces the partials before it: their text was not part of the answer.
    """

    id: str
    parent: str | None
    at: str
    text: str
    begins_again: bool = False

    def fields(self) -> dict[str, Any]:
        fields = {"type": "partial", "id": self.id, "parent": self.parent, "at": self.at, "text": self.text}
        return {**fields, "begins_again": True} if self.begins_again else fields

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> PartialRecord:
        return cls(
            required_text(fields, "id"),
            _parent(fields),
            required_text(fields, "at"),
            required_text(fields, "text"),
            fields.get("begins_again") is True,
        )


@frozen
class MarkRecord(_AsRead):
    """A change of the conversation other than a message.

    ``endpoint`` is for ``model`` marks: the host of the model, with its port unless that is the default.

    ``value`` by ``kind``: ``title``, ``note``: a text; ``unnote``: the id of the mark with the note; ``pin``, ``unpin``:
    a message id; ``drop``, ``undrop``: the id of a question; ``head``: the message id the conversation continues from,
    ``None`` for its beginning; ``clear``: ``None``; ``unclear``: the id of the message after which it was cleared;
    ``summary``: ``{"from","to","text"}``; ``model``: a name; ``schema``: ``{"given","multi","form"}``, what was typed and the JSON Schema
    that answers fit from here on, ``None`` for any; ``fork``: ``{"session","message"}``; ``refused``:
    ``{"message","reason"}``, a question the endpoint refused for what it is, which is not sent unless it has an answer.
    """

    id: str
    parent: str | None
    at: str
    kind: str
    value: Any = None
    endpoint: str | None = None

    def fields(self) -> dict[str, Any]:
        own = {
            "type": "mark",
            "id": self.id,
            "parent": self.parent,
            "at": self.at,
            "kind": self.kind,
            "value": self.value,
        }
        return own if self.endpoint is None else own | {"endpoint": self.endpoint}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> MarkRecord:
        return cls(
            required_text(fields, "id"),
            _parent(fields),
            required_text(fields, "at"),
            required_text(fields, "kind"),
            fields.get("value"),
            optional_text(fields.get("endpoint")),
        )


@frozen
class UnknownRecord(_AsRead):
    """A JSON object this version cannot read: kept as it is, skipped by the replay.

    It is from a newer version or, if its fields have invalid types, ``is_damaged``.
    """

    content: dict[str, Any]

    @property
    def id(self) -> str | None:
        return optional_text(self.content.get("id"))

    @property
    def parent(self) -> str | None:
        return optional_text(self.content.get("parent"))

    def fields(self) -> dict[str, Any]:
        return self.content


@frozen
class UnreadableRecord(_AsRead):
    """A line that is not a JSON object, or nests too deep: kept as it is, skipped by the replay.

    A line torn when its writer died is not damage: storing it was never confirmed.
    """

    def fields(self) -> dict[str, Any]:
        return {}


Record: TypeAlias = (
    HeaderRecord | MessageRecord | PartialRecord | MarkRecord | UnknownRecord | UnreadableRecord
)

_READERS: Final[dict[str, Callable[[Mapping[str, Any]], Record]]] = {
    "header": HeaderRecord.read,
    "message": MessageRecord.read,
    "partial": PartialRecord.read,
    "mark": MarkRecord.read,
}


def encode(*records: Record) -> bytes:
    """Return the lines of ``records`` with their line feeds; a record read from a file is written unchanged.

    A lone surrogate becomes its JSON escape, so that the line is always UTF-8. JSON cannot separate two that
    form a pair: they come back as the one character they encode.
    """
    chunks: list[bytes] = []
    for record in records:
        if record.line is not None:
            chunks.append(record.line)
        else:
            # In steps: a long answer is in memory several times already.
            texts = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).iterencode(record.fields())
            chunks += (text.encode("utf-8", "backslashreplace") for text in texts)
        chunks.append(b"\n")
    return b"".join(chunks)


def decode(line: bytes) -> Record:
    """Return the record of a line without its line feed; never raises."""
    record: Record
    try:
        fields = _fields_of(line)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        record = _read(fields)
    else:
        is_torn = line.startswith(_RECORD_START) and not line.endswith(b"}")
        record = _damaged(UnreadableRecord(), is_damaged=not is_torn)
    # The only place that sets ``line``, which is not a constructor argument: see ``_AsRead``.
    object.__setattr__(record, "line", line)
    return record


def _fields_of(line: bytes) -> Any:
    try:
        # Three times as fast as json, and repeated short texts, such as ids, are shared.
        return from_json(line, cache_mode="all")
    except ValueError:
        # It rejects lone surrogates, which a session may contain.
        fields = json.loads(line.decode())
        if _nests_too_deep(fields):
            raise
        return fields


def _nests_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST_LEVELS):
        inside: list[Any] = []
        for found in level:
            if isinstance(found, dict):
                inside += found.values()
            elif isinstance(found, list):
                inside += found
        if not inside:
            return False
        level = inside
    return True


def _read(fields: dict[str, Any]) -> Record:
    kind = fields.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return _damaged(UnknownRecord(fields), is_damaged=not isinstance(kind, str))
    try:
        record = reader(fields)
    except UnknownRole:
        return UnknownRecord(fields)
    except (TypeError, ValueError):
        return _damaged(UnknownRecord(fields))
    # Messages validate the rest themselves.
    if isinstance(record, MessageRecord) or _is_text_or_none(fields.get("parent")):
        return record
    return _damaged(record)


_AnyRecord = TypeVar("_AnyRecord", bound=_AsRead)


def _damaged(record: _AnyRecord, *, is_damaged: bool = True) -> _AnyRecord:
    object.__setattr__(record, "is_damaged", is_damaged)
    return record


def _is_reply(fields: Mapping[str, Any]) -> bool:
    return "model" in fields or "finish_reason" in fields


def _has_sound_metadata(fields: Mapping[str, Any]) -> bool:
    usage = fields.get("usage")
    return (
        _is_text_or_none(fields.get("parent"))
        and _is_text_or_none(fields.get("model"))
        and _is_text_or_none(fields.get("requested_model"))
        and _is_text_or_none(fields.get("finish_reason"))
        and (usage is None or isinstance(usage, dict))
        and isinstance(fields.get("sources", []), list | None)
        and all(
            fields.get(name) is None or optional_number(fields[name]) is not None
            for name in ("latency_s", "cost_usd")
        )
    )


def _parent(fields: Mapping[str, Any]) -> str | None:
    return optional_text(fields.get("parent"))


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)
