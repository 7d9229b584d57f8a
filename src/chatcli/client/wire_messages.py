"""Messages in the form of each API, with the data its provider expects back. Unsupported parts are refused.

A provider's private data, such as signatures and encrypted reasoning, goes back only to the endpoint and model it came
from. The reasoning of an answer goes back with its tool calls, as all providers of reasoning models expect, and with
every answer if the endpoint has refused a request without it.

The system prompt is sent as ``system``, if that role is refused as ``developer``, and finally at the head of the first
question. ``Request.without`` contains the refused roles, beside refused fields.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.prompt_caching import marked_places, with_mark
from chatcli.core.errors import BadResponse, RequestRefused, ServerFailed, UsageError
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
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.errors import EndpointError
    from chatcli.core.messages import Part
    from chatcli.core.request import Request


def wire_text(text: str) -> str:
    """Return ``text`` without lone surrogates, which UTF-8 cannot encode: a pair becomes its character."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_json(value: Any) -> str:
    """Return ``value`` as JSON, empty if it is nested too deeply."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # a value that was just decoded may be too deep to encode
        return ""


ANSWER_ALONE: Final = "an answer without its reasoning"
"""A refusal, beside the names of fields and roles in ``Request.without``."""

_PLACEHOLDER: Final = " "
"""Replaces reasoning that was not stored: DeepSeek V4 rejects an empty text."""
_REASONING_FIELD: Final = "reasoning_content"
_OWN_FIELDS: Final = frozenset({"role", "content", "tool_calls", "type"})
"""Fields of a message that stored data of a provider never sets: a session or a shared cache may hold anything."""
_REFUSED_WITH: Final = {200, 400, 422}
_WANTS_REASONING: Final = lazy_pattern(
    # As DeepSeek writes: "The `reasoning_content` in the thinking mode must be passed back to the API."
    r"\b(?:reasoning|thinking)\w*\b[^.]{0,80}?\b(?:must be (?:passed|sent|returned|provided|included|set)"
    # As Moonshot writes: "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"
    r"|is (?:missing|required))\b"
    # As DeepSeek wrote earlier: "Missing `reasoning_content` field in the assistant message at message index 1"
    r"|\bmissing\W{1,3}(?:field\W{1,3})?(?:reasoning|thinking)\w*",
    re.IGNORECASE,
)
_READ_CHARACTERS: Final = 10_000
"""More than any refusal; a server may repeat the whole request."""
_SENT_PARTS: Final = (TextPart, RefusalPart, ReasoningPart, ToolCallPart)
_KINDS: Final[Mapping[type, str]] = {ImagePart: "a picture", AudioPart: "a sound", FilePart: "a file"}


def refuses_answer_alone(error: EndpointError, request: Request, without: frozenset[str]) -> bool:
    """Return whether ``error`` asks for the reasoning of earlier answers, which were sent without it."""
    if ANSWER_ALONE in without or not isinstance(error, RequestRefused) or error.status not in _REFUSED_WITH:
        return False
    wording = (error.provider_message or error.message)[:_READ_CHARACTERS]
    has_answers = any(message.role == "assistant" for message in request.messages)
    return has_answers and _WANTS_REASONING.search(wording) is not None


def chat_messages(request: Request, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the messages of ``request`` for ``/chat/completions``; raise ``UsageError`` for unsupported parts."""
    messages = sent_messages(request)
    marked = marked_places(messages, request) if request.prompt_cache else ()
    return [
        with_mark(wired) if place in marked else wired
        for place, message in enumerate(messages)
        for wired in wired_messages(message, request, endpoint)
    ]


def wired_messages(message: Message, request: Request, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return one of ``sent_messages`` for ``/chat/completions``.

    Of ``request`` only the model and what is left out count. Raise ``UsageError`` for unsupported parts.
    """
    role = _sendable_role(message, request)
    return (
        list(_tool_messages(message)) if role == "tool" else [_chat_message(message, role, request, endpoint)]
    )


MESSAGES: Final = object()
"""Stands in a body for messages that are encoded already."""


class MessageEncodings:
    """The messages of the last request to ``/chat/completions`` with their JSON."""

    def __init__(self) -> None:
        self._basis: tuple[object, ...] = ()
        # By identity: comparing long texts takes as long as encoding them. The message is kept, so that no other
        # gets its identity.
        self._kept: dict[int, tuple[Message, bool, bytes]] = {}

    def encoded(self, request: Request, endpoint: Endpoint) -> bytes:
        """Return the JSON of ``chat_messages``; raise like it."""
        basis = request.model, request.without, endpoint.host
        if basis != self._basis:
            self._basis, self._kept = basis, {}
        kept, used, contents = self._kept, {}, []
        messages = sent_messages(request)
        marked = marked_places(messages, request) if request.prompt_cache else ()
        for place, message in enumerate(messages):
            known, is_marked = kept.get(id(message)), place in marked
            if known is None or known[0] is not message or known[1] is not is_marked:
                wired = wired_messages(message, request, endpoint)
                wired = [with_mark(each) for each in wired] if is_marked else wired
                known = message, is_marked, b",".join(map(encoded, wired))
            used[id(message)] = known
            contents.append(known[2])
        # A small request between two questions, as for a title, does not replace the conversation.
        self._kept = used if len(used) * 2 >= len(kept) else {**kept, **used}
        return b"[%b]" % b",".join(filter(None, contents))

    def body(self, fields: Mapping[str, Any], request: Request, endpoint: Endpoint) -> bytes:
        """Return ``fields`` as JSON, with the messages of ``request`` in the place of ``MESSAGES``; raise like ``encoded``."""
        messages = self.encoded(request, endpoint)
        pairs = (
            encoded(name) + b":" + (messages if value is MESSAGES else encoded(value))
            for name, value in fields.items()
        )
        return b"{%b}" % b",".join(pairs)


def encoded(value: object) -> bytes:
    """Return ``value`` as JSON, as the openai package encodes it; raise ``UnicodeEncodeError`` for lone surrogates."""
    return json.dumps(
        value, default=_time_as_json, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()


def _time_as_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def response_items(request: Request, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the messages of ``request`` as the input of ``/responses``; raise like ``chat_messages``."""
    return [
        item
        for message in sent_messages(request)
        for item in _items(message, _sendable_role(message, request), request, endpoint)
    ]


def whole_reply(
    message: Message, answer: str, reasoning: str, *, request: Request, endpoint: Endpoint
) -> Message:
    """Return a reply with its streamed text, its provider's data bound to the endpoint and model it is from.

    ``message`` has the parts received beside the text, from an ``AnswerReader``.
    """
    if not (reasoning or message.parts) and message.provider_data is None:
        return Message("assistant", (TextPart(answer, "model"),))
    origin = {"endpoint": endpoint.host, "model": request.model}
    is_wanted = bool(message.tool_calls) or ANSWER_ALONE in request.without
    echoed = next((part.provider_data for part in message.parts if isinstance(part, ReasoningPart)), None)
    parts: list[Part] = []
    if reasoning or echoed:
        is_echoed = echoed is not None and (is_wanted or "item" in echoed)
        parts.append(ReasoningPart(reasoning, {**origin, **(echoed or {})} if is_echoed else None))
    for part in message.parts:
        if isinstance(part, ToolCallPart) and part.provider_data is not None:
            part = replace(part, provider_data={**origin, **part.provider_data})  # noqa: PLW2901
        if not isinstance(part, ReasoningPart):
            parts.append(part)
    return replace(message, parts=tuple(parts)).with_answer(answer)


def sent_messages(request: Request) -> Sequence[Message]:
    """Return the messages of ``request`` as far as the endpoint takes a system prompt."""
    if role_in_force(request.without) is None:
        return with_prompt_in_question(request.messages)
    return request.messages


def _sendable_role(message: Message, request: Request) -> str:
    """Return the role ``message`` is sent with; raise ``UsageError`` if it cannot be sent."""
    _refuse_unsendable(message.parts)
    is_renamed = message.role == "system" and role_in_force(request.without) == DEVELOPER_ROLE
    return "developer" if is_renamed else message.role


def _refuse_unsendable(parts: Sequence[Part]) -> None:
    for part in parts:
        if isinstance(part, ToolResultPart):
            _refuse_unsendable(part.parts)
        elif not isinstance(part, _SENT_PARTS):
            kind = _KINDS.get(type(part), "a part of another kind")
            raise UsageError(
                f"the conversation contains {kind} ({getattr(part, 'name', type(part).__name__)}), which cannot be sent yet",
                hint="/context lists the turns; /drop N leaves one out",
                code="cannot_be_sent",
            )


def _chat_message(message: Message, role: str, request: Request, endpoint: Endpoint) -> dict[str, Any]:
    wired: dict[str, Any] = {"role": role, "content": wire_text(message.text)}
    data = _data_for(message.provider_data, request, endpoint)
    if role != "assistant":
        return {**wired, **data}
    reasoning = _reasoning_fields(message, request, endpoint)
    if calls := message.tool_calls:
        # OpenAI requires null beside calls, and DeepSeek refuses null beside reasoning.
        wired["content"] = wired["content"] or ("" if reasoning else None)
        wired["tool_calls"] = [
            {
                **_data_for(call.provider_data, request, endpoint),
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
    return {**wired, **reasoning, **data}


def _reasoning_fields(message: Message, request: Request, endpoint: Endpoint) -> dict[str, Any]:
    """Return the reasoning of an answer in the field its endpoint expects, empty if it expects none."""
    part = next((part for part in message.parts if isinstance(part, ReasoningPart)), None)
    is_own = part is not None and _is_from(part.provider_data, request, endpoint)
    data = dict(_data_for(part.provider_data, request, endpoint)) if part is not None else {}
    field = data.pop("field", None)
    field = field if isinstance(field, str) and field not in _OWN_FIELDS else None
    if ANSWER_ALONE in request.without:
        text = part.text if part is not None and is_own else ""
        return {**data, field or _REASONING_FIELD: wire_text(text) or _PLACEHOLDER}
    if part is None or not message.tool_calls:
        return {}
    return data if field is None else {**data, field: wire_text(part.text)}


def _tool_messages(message: Message) -> Iterator[dict[str, Any]]:
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            yield {"role": "tool", "tool_call_id": part.id, "content": wire_text(_words(part))}


def _items(message: Message, role: str, request: Request, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for part in message.parts:
        if isinstance(part, ReasoningPart):
            item = _data_for(part.provider_data, request, endpoint).get("item")
            if isinstance(item, dict) and item.get("type") == "reasoning":
                yield item
        elif isinstance(part, ToolResultPart):
            yield {"type": "function_call_output", "call_id": part.id, "output": wire_text(_words(part))}
    if role == "tool":
        return
    calls = message.tool_calls
    if message.text or not calls:
        data = _data_for(message.provider_data, request, endpoint)
        yield {"role": role, "content": wire_text(message.text), **data}
    for call in calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _data_for(data: Mapping[str, Any] | None, request: Request, endpoint: Endpoint) -> dict[str, Any]:
    """Return the provider data that goes back to this endpoint and model; it cannot change what a message is."""
    if data is None or not _is_from(data, request, endpoint):
        return {}
    left_out = _OWN_FIELDS | {"endpoint", "model"}
    return {name: value for name, value in data.items() if name not in left_out}


def _is_from(data: Mapping[str, Any] | None, request: Request, endpoint: Endpoint) -> bool:
    """Whether a provider's private data came from this endpoint and model; ``False`` without data."""
    if data is None:
        return False
    origin = data.get("endpoint", endpoint.host), data.get("model", request.model)
    return origin == (endpoint.host, request.model)


def _words(result: ToolResultPart) -> str:
    return "\n\n".join(part.text for part in result.parts if isinstance(part, TextPart))


SYSTEM_ROLE: Final = "system role"
DEVELOPER_ROLE: Final = "developer role"
ROLES: Final = frozenset({SYSTEM_ROLE, DEVELOPER_ROLE})
"""Contains a space, so that it differs from every field name."""

_NAME: Final = r"[\"'`]?(?:system|developer)[\"'`]?"
_WORD: Final = r"(?:roles?|messages?|prompts?|instructions?)"
_NOT_TAKEN: Final = (
    r"(?:unsupported|(?:not|n't)\s+(?:be\s+|yet\s+|currently\s+)?"
    r"(?:support|allow|permit|enabl|accept|available|recogni|one of|implement))"
)
_UNKNOWN: Final = r"(?:unsupported|unexpected|unknown|unrecogni[sz]ed|invalid|bad)"
_SAID: Final = lazy_pattern(
    # Gemma's template: "System role not supported"; Google: "Developer instruction is not enabled for models/…".
    rf"\b{_NAME}\s+{_WORD}\b[^.]{{0,40}}?{_NOT_TAKEN}"
    # As Bedrock says it: "This model doesn't support system messages."
    rf"|{_NOT_TAKEN}\w*[^.]{{0,30}}?\b{_NAME}\s+{_WORD}\b"
    # Anthropic: 'messages: Unexpected role "system"'.
    rf"|{_UNKNOWN}\s+(?:message\s+)?role\W{{0,4}}{_NAME}"
    rf"|\brole\W{{0,4}}{_NAME}[^.]{{0,30}}?{_NOT_TAKEN}"
    # Mistral's first template: "Only user and assistant roles are supported!"
    r"|only\s+[\"'`]?user[\"'`]?,?\s+(?:and|or)\s+[\"'`]?(?:assistant|model)[\"'`]?\s+roles",
    re.IGNORECASE,
)
_PLACE: Final = lazy_pattern(r"\b(?:messages|input)\W{1,4}\d+\W{1,5}role\b", re.IGNORECASE)
"""``messages[0].role`` (OpenAI, DeepSeek), ``messages.0.role`` (JSON Schema), ``"messages", 0, "role"`` (FastAPI)."""
_ANY_ROLE: Final = r"[\"'`](?:system|developer|user|assistant|function|tool|model)[\"'`]"
_ROLES_TAKEN: Final = lazy_pattern(
    rf"{_ANY_ROLE}(?:\s{{0,2}},?\s{{0,2}}(?:\b(?:and|or)\b)?\s{{0,2}}{_ANY_ROLE})+", re.IGNORECASE
)
_ASSISTANT: Final = lazy_pattern(r"assistant|model", re.IGNORECASE)
_FIRST_PLACE: Final = lazy_pattern(r"\b(?:messages|input)\W{1,4}0\W{1,5}role\b", re.IGNORECASE)
"""The position of the system prompt."""
_ROLE_OUT_OF: Final = lazy_pattern(
    r"\broles?\b[^.]{0,60}?(?:(?:should|must) be(?: one of)?|one of|allowed|expected|valid|permitted|supported)\W",
    re.IGNORECASE,
)
_NAMED: Final = lazy_pattern(r"\b(?:system|developer)\b", re.IGNORECASE)


def refused_role(error: EndpointError, request: Request, without: frozenset[str]) -> str | None:
    """Return the role of the system prompt that ``error`` refuses, ``None`` if it is about something else.

    A request without a system prompt has no such role, nor has one whose prompt is part of a question.
    """
    in_force = role_in_force(without)
    if in_force is None or not any(message.role == "system" for message in request.messages):
        return None
    # A template on a local server may fail after the headers, or as a server error.
    is_refusal = isinstance(error, RequestRefused) and error.status in _REFUSED_WITH
    if not is_refusal and not isinstance(error, BadResponse | ServerFailed):
        return None
    wording = (error.provider_message or error.message)[:_READ_CHARACTERS]
    return in_force if _is_about_role(f"{error.parameter or ''} {wording}", in_force) else None


def system_prompt_moved(refused: str) -> str:
    """Return the notice of how the system prompt is sent after a refused role."""
    if refused == SYSTEM_ROLE:
        return "it is sent as developer"
    return "the system prompt is sent with the first question"


def role_in_force(without: frozenset[str]) -> str | None:
    """Return the role of the system prompt, ``None`` if it is part of the first question."""
    return next((role for role in (SYSTEM_ROLE, DEVELOPER_ROLE) if role not in without), None)


def _is_about_role(wording: str, in_force: str) -> bool:
    if _SAID.search(wording):
        return True
    # Refusals often list the accepted roles, and sometimes nothing else.
    if _PLACE.search(wording) and _NAMED.search(_ROLES_TAKEN.sub("", wording)):
        return True
    taken = _ROLES_TAKEN.search(wording)
    if taken is None or not _ASSISTANT.search(taken[0]):
        return False
    is_about_it = (_FIRST_PLACE if _PLACE.search(wording) else _ROLE_OUT_OF).search(wording)
    return bool(is_about_it and in_force.partition(" ")[0] not in taken[0].lower())


def with_prompt_in_question(messages: Sequence[Message]) -> Sequence[Message]:
    """Return ``messages`` with the system prompt at the head of the first question."""
    instructions = tuple(part for message in messages if message.role == "system" for part in message.parts)
    others = [message for message in messages if message.role != "system"]
    for place, message in enumerate(others):
        if message.role == "user":
            others[place] = replace(message, parts=instructions + message.parts)
            return others
    return [Message("user", instructions), *others]
