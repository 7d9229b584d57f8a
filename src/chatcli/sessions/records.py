"""Session file, format 1: one record, one JSON line.

::

    {"type":"header","format":1,"id","at","app"}
        and where it is known: "folder"
    {"type":"message","id","parent","at","message":{"role","parts":[...]}}
        and for a reply: "model", "usage", "finish_reason", "latency_s", "cost_usd"
        and where it cites any: "sources":[{"n","title","url"|"path"}]
    {"type":"partial","id","parent","at","text"}
    {"type":"mark","id","parent","at","kind","value"}
        and for a model: "endpoint"

Ids are opaque, ``at`` is RFC 3339 in UTC with milliseconds. A line is UTF-8 and ends in a line feed.

Reading is total: ``decode`` makes of any line a record, and nothing that is read from one raises later, whatever types
its fields have. What cannot be read is kept as it is in the file and counts as damage; what a newer version may have
written does not.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from jiter import from_json

from chatcli.core.events import CitedSource
from chatcli.core.messages import AudioPart, FilePart, ImagePart, Message, RefusalPart, TextPart
from chatcli.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chatcli.core.messages import Part, Role

    Clock: TypeAlias = Callable[[], datetime]
    """Tells the time with its time zone."""
    IdSource: TypeAlias = Callable[[], str]
    """Makes an id that no other record has."""

FORMAT: Final = 1

_HIGHEST_SOURCE: Final = 1_000_000

_DEEPEST_LEVELS: Final = 200
"""How deep a record may nest, as jiter sees it: what reads or writes it again never runs out of stack."""
_LARGEST_NUMBER: Final = 10**15
"""No answer takes as many tokens, seconds or dollars, and all of them can be added up as floats."""
_RECORD_START: Final = b'{"type":"'

_ROLES: Final = frozenset({"system", "user", "assistant"})
_ORIGINS: Final = frozenset({"person", "model", "document", "tool"})
_ATTACHMENTS: Final[dict[str, type[ImagePart | AudioPart | FilePart]]] = {
    "image": ImagePart,
    "audio": AudioPart,
    "file": FilePart,
}
_ATTACHMENT_TYPES: Final = {part: name for name, part in _ATTACHMENTS.items()}


def new_id() -> str:
    return secrets.token_hex(6)


def local_now() -> datetime:
    return datetime.now(UTC).astimezone()


def timestamp(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 in UTC with milliseconds: ``2026-11-23T21:05:07.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, slots=True)
class _AsRead:
    """Keeps the line a record was read from.

    It is written back as it was, with every field a newer version put there. ``dataclasses.replace`` makes a
    record without it, so what was replaced never comes back. ``is_damaged`` says that a known field has a type it
    cannot have, or that nothing can be read.
    """

    line: bytes | None = field(default=None, init=False, repr=False, compare=False)
    is_damaged: bool = field(default=False, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class HeaderRecord(_AsRead):
    """The first line. ``id`` is the session's own, ``app`` the program and version that began it.

    ``folder`` is the folder the person was in then, as an absolute path of that machine.
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
            _text(fields, "id"),
            _text(fields, "at"),
            _text(fields, "app"),
            version,
            _optional_text(fields.get("folder")),
        )


@dataclass(frozen=True, slots=True)
class ReplyMetadata:
    """How a reply came to be; ``None`` where nobody told."""

    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    sources: tuple[CitedSource, ...] = ()

    def fields(self) -> dict[str, Any]:
        own = {
            "model": self.model,
            "usage": None if self.usage is None else _usage_fields(self.usage),
            "finish_reason": self.finish_reason,
            "latency_s": self.latency_s,
            "cost_usd": self.cost_usd,
        }
        return own | {"sources": [source.fields() for source in self.sources]} if self.sources else own

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> ReplyMetadata | None:
        """Return what ``fields`` tell, ``None`` for a message that is no reply.

        A value of the wrong type counts as not told: it is no reason to lose the message.
        """
        if not _is_reply(fields):
            return None
        return cls(
            _optional_text(fields.get("model")),
            _read_usage(fields.get("usage")),
            _optional_text(fields.get("finish_reason")),
            _optional_number(fields.get("latency_s")),
            _optional_number(fields.get("cost_usd")),
            tuple(_read_sources(fields.get("sources"))),
        )


@dataclass(frozen=True, slots=True)
class MessageRecord(_AsRead):
    """A whole message; ``parent`` is the message before it, ``reply`` is there for a model's.

    ``role`` is the message's, and ``cost_usd`` what the reply says it took. Of a record that was read these are there
    at once, while ``message`` and ``reply`` are made of its line when they are first asked for: of the hundred
    thousand messages of a long conversation a resume shows one and sends a few dozen.
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
            "message": _message_fields(self.message),
        }
        return own if self.reply is None else own | self.reply.fields()

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> MessageRecord:
        """Return the record without ``message`` and ``reply``, but only where its line has a message in it."""
        record = cls.__new__(cls)
        # Frozen is what others find; that not all of it is there yet is between this method and ``__getattr__``.
        fill = object.__setattr__
        role, is_sound = _checked_role(fields.get("message"))
        fill(record, "id", _text(fields, "id"))
        fill(record, "parent", _parent(fields))
        fill(record, "at", _text(fields, "at"))
        fill(record, "role", role)
        fill(record, "cost_usd", _optional_number(fields.get("cost_usd")) if _is_reply(fields) else None)
        fill(record, "is_damaged", not (is_sound and _has_sound_metadata(fields)))
        return record

    def __getattr__(self, name: str) -> Any:
        """Fill in what is not there yet; only then does Python ask here."""
        value: Any
        match name:
            case "role":
                value = self.message.role
            case "cost_usd":
                value = None if self.reply is None else self.reply.cost_usd
            case "message" | "reply" if self.line is not None:
                fields = _fields_of(self.line)
                value = _read_message(fields["message"]) if name == "message" else ReplyMetadata.read(fields)
            case _:
                raise AttributeError(name)
        object.__setattr__(self, name, value)
        return value


@dataclass(frozen=True, slots=True)
class PartialRecord(_AsRead):
    """The new text of the reply ``id``, whose message will replace all its partials.

    One that ``begins_again`` replaces the partials before it: their text turned out to be no part of the answer.
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
            _text(fields, "id"),
            _parent(fields),
            _text(fields, "at"),
            _text(fields, "text"),
            fields.get("begins_again") is True,
        )


@dataclass(frozen=True, slots=True)
class MarkRecord(_AsRead):
    """Something about the conversation that is not said in it.

    ``endpoint`` stands in a ``model`` mark: the host whose model it is, with its port where that is not the usual one.

    ``value`` by ``kind``: ``title``, ``note``: a text; ``unnote``: the id of the mark with the note; ``pin``, ``unpin``:
    a message id; ``drop``, ``undrop``: the id of a question; ``head``: the message id the conversation continues from,
    ``None`` for its beginning; ``clear``: ``None``; ``unclear``: the id of the message after which it was cleared;
    ``summary``: ``{"from","to","text"}``; ``model``: a name; ``fork``: ``{"session","message"}``; ``refused``:
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
            _text(fields, "id"),
            _parent(fields),
            _text(fields, "at"),
            _text(fields, "kind"),
            fields.get("value"),
            _optional_text(fields.get("endpoint")),
        )


@dataclass(frozen=True, slots=True)
class UnknownRecord(_AsRead):
    """A JSON object that this version cannot read: kept as it is, skipped by the replay.

    It is from a newer version or, where its fields have the wrong types, ``is_damaged``.
    """

    content: dict[str, Any]

    @property
    def id(self) -> str | None:
        return _optional_text(self.content.get("id"))

    @property
    def parent(self) -> str | None:
        return _optional_text(self.content.get("parent"))

    def fields(self) -> dict[str, Any]:
        return self.content


@dataclass(frozen=True, slots=True)
class UnreadableRecord(_AsRead):
    """A line that is not a JSON object, or one that nests too deep: kept as it is, skipped by the replay.

    One that was torn when its writer died is no damage: nobody was told that it was kept.
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


def encode(record: Record) -> bytes:
    """Return the line of ``record`` with its line feed; a record that was read is written as it was.

    A lone surrogate becomes its JSON escape, so that the line is always UTF-8. JSON cannot keep two that make a pair
    apart: they come back as the one character they encode.
    """
    if record.line is not None:
        return record.line + b"\n"
    # Piece by piece: a long answer is in memory often enough.
    pieces = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).iterencode(record.fields())
    return b"".join([*(piece.encode("utf-8", "backslashreplace") for piece in pieces), b"\n"])


def decode(line: bytes) -> Record:
    """Return the record of a line without its line feed, whatever is in it."""
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
    # The one place that fills ``line``: it is no argument of the constructor, see ``_AsRead``.
    object.__setattr__(record, "line", line)
    return record


def _fields_of(line: bytes) -> Any:
    try:
        # A third of the time json takes, and short texts that come again, as ids do, are there once.
        return from_json(line, cache_mode="all")
    except ValueError:
        # It refuses lone surrogates, which a session may hold.
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
    except _NewerRole:
        return UnknownRecord(fields)
    except (TypeError, ValueError):
        return _damaged(UnknownRecord(fields))
    # Of a message more can be wrong, and it has looked itself.
    if isinstance(record, MessageRecord) or _is_text_or_none(fields.get("parent")):
        return record
    return _damaged(record)


_AnyRecord = TypeVar("_AnyRecord", bound=_AsRead)


def _damaged(record: _AnyRecord, *, is_damaged: bool = True) -> _AnyRecord:
    object.__setattr__(record, "is_damaged", is_damaged)
    return record


class _NewerRole(ValueError):
    """A role that a newer version may know."""


def _message_fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "parts": [_part_fields(part) for part in message.parts]}
    if message.provider_data is not None:
        fields["provider_data"] = dict(message.provider_data)
    return fields


def _part_fields(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text, "origin": part.origin}
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "text": part.text}
    return {
        "type": _ATTACHMENT_TYPES[type(part)],
        "sha256": part.sha256,
        "media_type": part.media_type,
        "name": part.name,
    }


def _usage_fields(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
    }


def _is_reply(fields: Mapping[str, Any]) -> bool:
    return "model" in fields or "finish_reason" in fields


def _has_sound_metadata(fields: Mapping[str, Any]) -> bool:
    usage = fields.get("usage")
    return (
        _is_text_or_none(fields.get("parent"))
        and _is_text_or_none(fields.get("model"))
        and _is_text_or_none(fields.get("finish_reason"))
        and (usage is None or isinstance(usage, dict))
        and isinstance(fields.get("sources", []), list | None)
        and all(
            fields.get(name) is None or _optional_number(fields[name]) is not None
            for name in ("latency_s", "cost_usd")
        )
    )


def _checked_role(fields: Any) -> tuple[Role, bool]:
    """Return whose message it is, and whether all of it is sound; raise ``_read_message``'s errors where it is none."""
    if not isinstance(fields, dict):
        raise TypeError("message")
    role, parts = fields.get("role"), fields.get("parts")
    if not isinstance(role, str) or not isinstance(parts, list):
        raise TypeError("message")
    if role not in _ROLES:
        raise _NewerRole(role)
    is_sound = isinstance(fields.get("provider_data", {}), dict | None)
    for part in parts:
        # Nearly all parts are texts, and of those nothing else can be wrong.
        is_text = type(part) is dict and part.get("type") == "text" and type(part.get("text")) is str
        if not (is_text and type(part.get("origin", "")) is str):
            _read_part(part)
            is_sound = (
                is_sound and not is_text and isinstance(part, dict) and isinstance(part.get("type"), str)
            )
    checked: Role = role  # type: ignore[assignment]
    return checked, is_sound


def _read_message(fields: Any) -> Message:
    (role, _), parts, provider_data = _checked_role(fields), fields["parts"], fields.get("provider_data")
    read = [_read_part(part) for part in parts]
    return Message(
        role,
        tuple([part for part in read if part is not None]),
        provider_data if isinstance(provider_data, dict) else None,
    )


def _read_part(fields: Any) -> Part | None:
    kind = fields.get("type") if isinstance(fields, dict) else None
    if kind == "text":
        origin = fields.get("origin")
        # A text of unknown origin is trusted least.
        is_known = isinstance(origin, str) and origin in _ORIGINS
        return TextPart(_text(fields, "text"), origin if is_known else "document")
    if kind == "refusal":
        return RefusalPart(_text(fields, "text"))
    attachment = _ATTACHMENTS.get(kind) if isinstance(kind, str) else None
    if attachment is None:
        return None
    return attachment(_text(fields, "sha256"), _text(fields, "media_type"), _text(fields, "name"))


def _read_usage(fields: Any) -> Usage | None:
    if not isinstance(fields, dict):
        return None
    return Usage(
        _optional_count(fields.get("input_tokens")),
        _optional_count(fields.get("output_tokens")),
        _optional_count(fields.get("cached_tokens")),
        _optional_count(fields.get("reasoning_tokens")),
        estimated=fields.get("estimated") is True,
    )


def _read_sources(listed: Any) -> Iterator[CitedSource]:
    for each in listed if isinstance(listed, list) else ():
        fields = each if isinstance(each, dict) else {}
        number, title, url, path = (fields.get(name) for name in ("n", "title", "url", "path"))
        place = path if url is None else url
        if type(number) is not int or not 0 < number <= _HIGHEST_SOURCE:
            continue
        if isinstance(title, str) and isinstance(place, str):
            yield CitedSource(number, title, url, path if url is None else None)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _parent(fields: Mapping[str, Any]) -> str | None:
    return _optional_text(fields.get("parent"))


def _optional_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _optional_count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _LARGEST_NUMBER else None


def _optional_number(value: Any) -> float | None:
    return value if type(value) in {int, float} and abs(value) <= _LARGEST_NUMBER else None
