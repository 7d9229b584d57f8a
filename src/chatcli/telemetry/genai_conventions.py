"""A call in the words of OpenTelemetry's semantic conventions for generative AI.

The version is pinned. 1.41.0 is the last one of the general conventions that has them, and the one that dashboards know:
https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai. Their successors are made in a repository of their
own, under other names. What they have no name for begins with ``chatcli.``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.call_records import CANCELLED, OK
from chatcli.core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chatcli.core.call_records import CallContent, CallRecord
    from chatcli.core.messages import Message, Part

SEMANTIC_CONVENTIONS: Final = "1.41.0"
SCHEMA_URL: Final = f"https://opentelemetry.io/schemas/{SEMANTIC_CONVENTIONS}"

DURATION: Final = "gen_ai.client.operation.duration"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - no password
COST: Final = "chatcli.cost"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no password

SECONDS_BUCKETS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
    *(1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
TOKEN_BUCKETS: Final = tuple(float(4**exponent) for exponent in range(14))

_OPENAI: Final = "openai"
"""The provider of endpoints that nobody knows, as they speak OpenAI's API: the conventions want it so."""
_PROVIDERS: Final = (
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("amazonaws.com", "aws.bedrock"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("deepseek.com", "deepseek"),
    ("groq.com", "groq"),
    ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("mistral.ai", "mistral_ai"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    ("perplexity.ai", "perplexity"),
    ("x.ai", "x_ai"),
)
_LOOPBACK: Final = ("localhost", "127.", "[::1]")
_MOST_CHARACTERS: Final = 100_000
"""The longest text of one part of a message that is sent."""


def span_name(call: CallRecord) -> str:
    return f"{_operation(call)} {call.asked_model}"


def error_type(call: CallRecord) -> str | None:
    """Return the code of the error a call ended with; a call that the person stopped has one, too."""
    return None if call.outcome == OK else call.outcome


def has_failed(call: CallRecord) -> bool:
    return call.outcome not in (OK, CANCELLED)


def metric_attributes(call: CallRecord) -> dict[str, str | int]:
    """Return the attributes of the metrics of ``call``; there are few values of each."""
    address, port = _address(call.endpoint)
    attributes: dict[str, str | int] = {
        "gen_ai.operation.name": _operation(call),
        "gen_ai.provider.name": provider_of(call.endpoint),
        "gen_ai.request.model": call.asked_model,
        "server.address": address,
        "server.port": port,
    }
    if call.outcome == OK:
        attributes["gen_ai.response.model"] = call.model
    if (error := error_type(call)) is not None:
        attributes["error.type"] = error
    return attributes


def span_attributes(call: CallRecord) -> dict[str, Any]:
    """Return the attributes of the span of ``call``."""
    given = {
        "gen_ai.response.time_to_first_chunk": call.ttft_s,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
        "gen_ai.response.finish_reasons": call.finish_reason and (call.finish_reason,),
        "chatcli.call.id": call.id,
        "chatcli.operation": call.operation,
        "chatcli.profile": call.profile,
        "chatcli.attempts": call.attempts,
        "chatcli.retry_wait_s": call.retry_wait_s,
        "chatcli.limit_wait_s": call.limit_wait_s,
        "chatcli.cost_usd": call.cost_usd,
        "chatcli.request_id": call.request_id,
        "chatcli.findings": call.findings,
    }
    return metric_attributes(call) | {name: value for name, value in given.items() if value not in (None, "")}


def content_attributes(
    call: CallRecord, content: CallContent, redact: Callable[[str], str]
) -> dict[str, str]:
    """Return what was said, without keys. Only for those who asked for it."""
    attributes = {"gen_ai.input.messages": _as_json([_said(one, redact) for one in content.messages])}
    if content.reply is not None:
        reply = _said(content.reply, redact) | {"finish_reason": call.finish_reason or ""}
        attributes["gen_ai.output.messages"] = _as_json([reply])
    return attributes


def provider_of(host: str) -> str:
    """Return the name that the conventions have for the provider at ``host``."""
    name, _ = _address(host)
    return next((found for end, found in _PROVIDERS if f".{name}".endswith(f".{end}")), _OPENAI)


def _operation(call: CallRecord) -> str:
    return "embeddings" if call.operation == "embeddings" else "chat"


def _address(endpoint: str) -> tuple[str, int]:
    host, colon, digits = endpoint.rpartition(":")
    if colon and digits.isdecimal():
        return host.strip("[]").lower(), int(digits)
    is_here = endpoint.startswith(_LOOPBACK)
    return endpoint.strip("[]").lower(), 80 if is_here else 443


def _said(message: Message, redact: Callable[[str], str]) -> dict[str, Any]:
    return {"role": message.role, "parts": list(_parts(message.parts, redact))}


def _parts(parts: Sequence[Part], redact: Callable[[str], str]) -> Iterable[dict[str, Any]]:
    """Yield ``parts`` as https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-input-messages.json wants them."""
    for part in parts:
        match part:
            case TextPart(text) | RefusalPart(text):
                yield {"type": "text", "content": _cut(redact(text))}
            case ReasoningPart(text):
                yield {"type": "reasoning", "content": _cut(redact(text))}
            case ToolCallPart(id_, name, arguments):
                yield {"type": "tool_call", "id": id_, "name": name, "arguments": _cut(redact(arguments))}
            case ToolResultPart(id_, results):
                texts = [one.text for one in results if isinstance(one, TextPart)]
                yield {"type": "tool_call_response", "id": id_, "response": _cut(redact("\n\n".join(texts)))}
            case ImagePart() | AudioPart() | FilePart():
                yield {"type": "file", "mime_type": part.media_type, "file_id": part.sha256}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
