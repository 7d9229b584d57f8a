"""Messages as each API wants them, with what a provider wants echoed back. What cannot be sent is refused.

What a provider wrote for itself, signatures and encrypted reasoning, goes back to the endpoint and model it came from,
and to nobody else. The reasoning of an answer goes back with the tool calls it led to, which every provider that thinks
wants, and with every answer where an endpoint has refused a request for the lack of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.client.system_role import DEVELOPER_ROLE, role_in_force, with_prompt_in_question
from chatcli.client.wire_text import wire_text
from chatcli.core.errors import RequestRefused, UsageError
from chatcli.core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.errors import EndpointError
    from chatcli.core.messages import Message, Part
    from chatcli.core.request import Request

ANSWER_ALONE: Final = "an answer without its reasoning"
"""What an endpoint refuses, beside the names of fields and roles in ``Request.without``."""

_PLACEHOLDER: Final = " "
"""In place of reasoning that nobody has kept: DeepSeek V4 takes no empty text for it."""
_REASONING_FIELD: Final = "reasoning_content"
_REFUSED_WITH: Final = {200, 400, 422}
_WANTS_REASONING: Final = re.compile(
    # As DeepSeek says it: "The `reasoning_content` in the thinking mode must be passed back to the API."
    r"\b(?:reasoning|thinking)\w*\b[^.]{0,80}?\b(?:must be (?:passed|sent|returned|provided|included|set)"
    # As Moonshot says it: "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"
    r"|is (?:missing|required))\b"
    # As DeepSeek said it before: "Missing `reasoning_content` field in the assistant message at message index 1"
    r"|\bmissing\W{1,3}(?:field\W{1,3})?(?:reasoning|thinking)\w*",
    re.IGNORECASE,
)
_READ_CHARACTERS: Final = 10_000
_KINDS: Final = {ImagePart: "a picture", AudioPart: "a sound", FilePart: "a file"}


def refuses_answer_alone(error: EndpointError, request: Request, without: frozenset[str]) -> bool:
    """Tell whether ``error`` asks for the reasoning of earlier answers, which were sent without."""
    if ANSWER_ALONE in without or not isinstance(error, RequestRefused) or error.status not in _REFUSED_WITH:
        return False
    said = (error.provider_message or error.message)[:_READ_CHARACTERS]
    has_answers = any(message.role == "assistant" for message in request.messages)
    return has_answers and _WANTS_REASONING.search(said) is not None


def chat_messages(request: Request, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the messages of ``request`` for ``/chat/completions``; raise ``UsageError`` for what it cannot be sent."""
    return [
        wired
        for message, role in _with_roles(request)
        for wired in (
            _tool_messages(message) if role == "tool" else [_chat_message(message, role, request, endpoint)]
        )
    ]


def response_items(request: Request, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the messages of ``request`` as the input of ``/responses``; raise as ``chat_messages`` does."""
    return [
        item for message, role in _with_roles(request) for item in _items(message, role, request, endpoint)
    ]


def whole_reply(
    message: Message, answer: str, reasoning: str, *, request: Request, endpoint: Endpoint
) -> Message:
    """Return a reply with the text that was streamed, its provider's data bound to the endpoint and model it is from.

    ``message`` has the parts that came beside the text, as an ``AnswerReader`` gives it.
    """
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


def _with_roles(request: Request) -> Iterator[tuple[Message, str]]:
    in_force = role_in_force(request.without)
    sent: Sequence[Message] = request.messages
    if in_force is None:
        sent = with_prompt_in_question(sent)
    for message in sent:
        _refuse_what_cannot_be_sent(message.parts)
        is_renamed = message.role == "system" and in_force == DEVELOPER_ROLE
        yield message, "developer" if is_renamed else message.role


def _refuse_what_cannot_be_sent(parts: Sequence[Part]) -> None:
    for part in parts:
        if isinstance(part, ToolResultPart):
            _refuse_what_cannot_be_sent(part.parts)
        elif isinstance(part, ImagePart | AudioPart | FilePart):
            raise UsageError(
                f"the conversation contains {_KINDS[type(part)]} ({part.name}), which cannot be sent yet",
                hint="/context lists the turns; /drop N leaves one out",
                code="cannot_be_sent",
            )


def _chat_message(message: Message, role: str, request: Request, endpoint: Endpoint) -> dict[str, Any]:
    wired: dict[str, Any] = {"role": role, "content": wire_text(message.text)}
    reasoning = _reasoning_fields(message, request, endpoint) if role == "assistant" else {}
    if calls := message.tool_calls:
        # OpenAI wants null beside calls, and DeepSeek no null beside reasoning.
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
    return {**wired, **reasoning, **_data_for(message.provider_data, request, endpoint)}


def _reasoning_fields(message: Message, request: Request, endpoint: Endpoint) -> dict[str, Any]:
    """Return the reasoning of an answer as its endpoint wants it back, nothing where it wants none."""
    part = next((part for part in message.parts if isinstance(part, ReasoningPart)), None)
    data = dict(_data_for(part.provider_data, request, endpoint)) if part is not None else {}
    field = data.pop("field", None)
    if ANSWER_ALONE in request.without:
        text = part.text if part is not None else ""
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
            if isinstance(item, dict):
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
    """Return what of a provider's data goes back to this endpoint and model."""
    if data is None:
        return {}
    own = dict(data)
    came_from = own.pop("endpoint", endpoint.host), own.pop("model", request.model)
    return own if came_from == (endpoint.host, request.model) else {}


def _words(result: ToolResultPart) -> str:
    return "\n\n".join(part.text for part in result.parts if isinstance(part, TextPart))
