"""The models an endpoint offers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chatcli.client.error_bodies import error_in
from chatcli.client.openai_errors import stream_error, translated
from chatcli.core.errors import BadResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.client.pool import PoolEntry

# Under which name a server tells the context window: OpenRouter and LiteLLM; vLLM; llama.cpp.
_WINDOW_FIELDS = ("context_length", "max_model_len", "n_ctx", "context_window", "max_context_length")
_WINDOW_FIELDS_OF_META = ("n_ctx", "n_ctx_train")


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model of an endpoint; ``window_tokens`` is its context window where the endpoint tells it, ``owner`` whose it is."""

    id: str
    window_tokens: int | None = None
    owner: str = ""


async def offered_models(entry: PoolEntry, *, timeout_s: float) -> tuple[OfferedModel, ...]:
    """Return what ``GET /models`` lists, in the server's order. Raise an ``EndpointError`` when it cannot."""
    endpoint = entry.endpoint
    with translated(endpoint):
        async with entry.meter.call("models") as call:
            client = await call.client()
            response = await client.models.with_raw_response.list(timeout=timeout_s)
            content = response.content
    try:
        listed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadResponse(
            f"{endpoint.host}: the list of models is not JSON", hint="check base_url"
        ) from error
    if (said := error_in(listed, "data")) is not None:
        raise stream_error(endpoint, said, response.http_response)
    entries = listed.get("data") if isinstance(listed, dict) else listed
    return tuple(
        OfferedModel(entry["id"], _window_tokens(entry), _owner(entry))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def _owner(entry: Mapping[str, Any]) -> str:
    owner = entry.get("owned_by")
    return owner if isinstance(owner, str) else ""


def _window_tokens(entry: Mapping[str, Any]) -> int | None:
    meta = entry.get("meta")
    candidates = [entry.get(name) for name in _WINDOW_FIELDS]
    if isinstance(meta, dict):
        candidates += [meta.get(name) for name in _WINDOW_FIELDS_OF_META]
    return next((value for value in candidates if type(value) is int and value > 0), None)
