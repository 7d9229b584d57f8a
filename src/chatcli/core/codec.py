"""The JSON of messages, usage and sources: in session files, in ``-o json`` and in every export.

::

    message   {"role", "parts": [part, ...]} and, where a provider wants something echoed, "provider_data": {...}
    part      {"type": "text", "text", "origin"} · {"type": "refusal", "text"}
              {"type": "reasoning", "text", "provider_data"}
              {"type": "tool_call", "id", "name", "arguments"} and, where there is some, "provider_data": {...}
              {"type": "tool_result", "id", "parts": [text or attachment, ...]}
              {"type": "image" | "audio" | "file", "sha256", "media_type", "name"}
    usage     {"input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "estimated"},
              and, where the endpoint reports them, "cache_write_tokens" and "searches"
    source    {"n", "title", "url" | "path"}

Reading ignores unknown fields, and raises ``TypeError`` if a known field has an invalid type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chatcli.core.events import CitedSource, Usage
from chatcli.core.json_values import (
    as_list,
    as_object,
    optional_count,
    optional_text,
    required_text,
)
from chatcli.core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chatcli.core.messages import Attachment, Origin, Part, Role

_HIGHEST_SOURCE: Final = 1_000_000
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
_ORIGINS: Final = frozenset({"person", "model", "document", "tool"})
_ATTACHMENTS: Final[dict[str, type[Attachment]]] = {"image": ImagePart, "audio": AudioPart, "file": FilePart}
_ATTACHMENT_TYPES: Final = {part: name for name, part in _ATTACHMENTS.items()}


class UnknownRole(ValueError):
    """A role this version does not know; a newer one may."""


def message_fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "parts": [part_fields(part) for part in message.parts]}
    if message.provider_data is not None:
        fields["provider_data"] = dict(message.provider_data)
    if message.imported is not None:
        fields["imported"] = message.imported
    return fields


def part_fields(part: Part) -> dict[str, Any]:
    match part:
        case TextPart(text, origin):
            return {"type": "text", "text": text, "origin": origin}
        case RefusalPart(text):
            return {"type": "refusal", "text": text}
        case ReasoningPart(text, provider_data):
            return {"type": "reasoning", "text": text, "provider_data": _json_object(provider_data)}
        case ToolCallPart():
            own = {"type": "tool_call", **tool_call_fields(part)}
            given = part.provider_data
            return own if given is None else own | {"provider_data": dict(given)}
        case ToolResultPart(identity, parts):
            return {"type": "tool_result", "id": identity, "parts": [part_fields(each) for each in parts]}
        case (
            ImagePart(sha256, media_type, name)
            | AudioPart(sha256, media_type, name)
            | FilePart(sha256, media_type, name)
        ):
            kind = _ATTACHMENT_TYPES[type(part)]
            return {"type": kind, "sha256": sha256, "media_type": media_type, "name": name}


def tool_call_fields(call: ToolCallPart) -> dict[str, str]:
    """Return the keys of a tool call in ``-o json``."""
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def usage_fields(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
        **({} if usage.cache_write_tokens is None else {"cache_write_tokens": usage.cache_write_tokens}),
        **({} if usage.searches is None else {"searches": usage.searches}),
    }


def source_fields(source: CitedSource) -> dict[str, object]:
    place = {"url": source.url} if source.path is None else {"path": source.path}
    return {"n": source.n, "title": source.title, **place}


def checked_role(fields: Any) -> tuple[Role, bool]:
    """Return the role of a message and whether the whole message is sound, without building it.

    Raise the errors of ``read_message`` where ``fields`` are no message.
    """
    if not isinstance(fields, dict):
        raise TypeError("message")
    role, parts = fields.get("role"), fields.get("parts")
    if not isinstance(role, str) or not isinstance(parts, list):
        raise TypeError("message")
    if role not in _ROLES:
        raise UnknownRole(role)
    is_sound = _is_object_or_none(fields.get("provider_data"))
    for part in parts:
        # Nearly all parts are text parts, in which nothing else can be wrong.
        is_text = type(part) is dict and part.get("type") == "text" and type(part.get("text")) is str
        if not (is_text and type(part.get("origin", "")) is str):
            read_part(part)
            is_sound = is_sound and not is_text and _is_sound(part)
    checked: Role = role  # type: ignore[assignment]
    return checked, is_sound


def read_message(fields: Any) -> Message:
    """Return the message that ``fields`` describe; raise ``UnknownRole`` or ``TypeError``."""
    role, _ = checked_role(fields)
    return Message(
        role,
        tuple(_read_parts(fields["parts"])),
        _json_object(fields.get("provider_data")),
        optional_text(fields.get("imported")),
    )


def read_part(fields: Any) -> Part | None:
    """Return the part that ``fields`` describe, ``None`` for an unknown type.

    Raise ``TypeError`` for a broken one.
    """
    kind = as_object(fields).get("type")
    reader = _PART_READERS.get(kind) if isinstance(kind, str) else None
    return None if reader is None else reader(fields)


def read_usage(fields: Any) -> Usage | None:
    if not isinstance(fields, dict):
        return None
    return Usage(
        optional_count(fields.get("input_tokens")),
        optional_count(fields.get("output_tokens")),
        optional_count(fields.get("cached_tokens")),
        optional_count(fields.get("reasoning_tokens")),
        estimated=fields.get("estimated") is True,
        cache_write_tokens=optional_count(fields.get("cache_write_tokens")),
        searches=optional_count(fields.get("searches")),
    )


def read_sources(listed: Any) -> Iterator[CitedSource]:
    for each in as_list(listed):
        fields = as_object(each)
        number, title, url, path = (fields.get(name) for name in ("n", "title", "url", "path"))
        place = path if url is None else url
        if type(number) is not int or not 0 < number <= _HIGHEST_SOURCE:
            continue
        if isinstance(title, str) and isinstance(place, str):
            yield CitedSource(number, title, url, path if url is None else None)


def _read_parts(listed: list[Any]) -> Iterator[Part]:
    return (part for part in map(read_part, listed) if part is not None)


def _text_part(fields: Mapping[str, Any]) -> TextPart:
    origin = fields.get("origin")
    # A text of unknown origin is trusted least.
    known: Origin = origin if isinstance(origin, str) and origin in _ORIGINS else "document"  # type: ignore[assignment]
    return TextPart(required_text(fields, "text"), known)


def _tool_result_part(fields: Mapping[str, Any]) -> ToolResultPart:
    listed = fields.get("parts")
    if not isinstance(listed, list):
        raise TypeError("parts")
    identity, parts = required_text(fields, "id"), _read_parts(listed)
    return ToolResultPart(
        identity,
        tuple(part for part in parts if isinstance(part, TextPart | ImagePart | AudioPart | FilePart)),
    )


def _tool_call_part(fields: Mapping[str, Any]) -> ToolCallPart:
    identity, name, arguments = (required_text(fields, key) for key in ("id", "name", "arguments"))
    return ToolCallPart(identity, name, arguments, _json_object(fields.get("provider_data")))


def _attachment(fields: Mapping[str, Any]) -> Attachment:
    part = _ATTACHMENTS[fields["type"]]
    return part(
        required_text(fields, "sha256"), required_text(fields, "media_type"), required_text(fields, "name")
    )


_PART_READERS: Final[dict[str, Callable[[Mapping[str, Any]], Part]]] = {
    "text": _text_part,
    "refusal": lambda fields: RefusalPart(required_text(fields, "text")),
    "reasoning": lambda fields: ReasoningPart(
        required_text(fields, "text"), _json_object(fields.get("provider_data"))
    ),
    "tool_call": _tool_call_part,
    "tool_result": _tool_result_part,
    **dict.fromkeys(_ATTACHMENTS, _attachment),
}


def _is_sound(part: Any) -> bool:
    """Return whether a decoded part has no broken optional fields."""
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    return _is_object_or_none(part.get("provider_data"))


def _is_object_or_none(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _json_object(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, dict) else None
