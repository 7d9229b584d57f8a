"""The models an endpoint offers, and the context windows of models on local servers.

The window is the one the model was loaded with, not the largest possible. Requests by server:

* Ollama ``GET /api/ps`` (``context_length`` of loaded models) and ``POST /api/show`` (``num_ctx`` of the model file;
  ``<architecture>.context_length`` is the maximum):
  https://github.com/ollama/ollama/blob/main/docs/api.md
* llama.cpp ``GET /props`` (``default_generation_settings.n_ctx``):
  https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
* LM Studio ``GET /api/v0/models`` (``loaded_context_length``, ``max_context_length``):
  https://lmstudio.ai/docs/developer/rest/endpoints

vLLM and SGLang report it in the list of models (``max_model_len``).
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx2

from chatcli.client.error_bodies import error_in
from chatcli.client.openai_errors import stream_error, translated
from chatcli.core.errors import BadResponse, EndpointError, TimedOut
from chatcli.core.frozen import frozen
from chatcli.core.json_values import as_object, as_text, objects_in
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from chatcli.client.pool import PoolEntry


# Names of the field with the context window: OpenRouter and LiteLLM; vLLM; llama.cpp.
_WINDOW_FIELDS = ("context_length", "max_model_len", "n_ctx", "context_window", "max_context_length")
_WINDOW_FIELDS_OF_META = ("n_ctx", "n_ctx_train")


@frozen
class OfferedModel:
    """A model of an endpoint; ``window_tokens`` is its reported context window, ``owner`` its reported owner."""

    id: str
    window_tokens: int | None = None
    owner: str = ""


_MOST_TIMEOUTS: Final = 3
"""How many times its time-out a list of models may take as a whole: a server may send it byte by byte."""


async def offered_models(entry: PoolEntry, *, timeout_s: float) -> tuple[OfferedModel, ...]:
    """Return the list from ``GET /models``, in the server's order. Raise an ``EndpointError``.

    ``timeout_s`` is the longest wait for its next bytes; as a whole it may take ``_MOST_TIMEOUTS`` of them.
    """
    endpoint = entry.endpoint
    most_s = _MOST_TIMEOUTS * timeout_s
    try:
        async with asyncio.timeout(most_s):
            with translated(endpoint):
                async with entry.meter.call("models") as call:
                    client = await call.client()
                    response = await client.get(
                        "/models", cast_to=httpx2.Response, options={"timeout": timeout_s}
                    )
    except TimeoutError as error:
        raise TimedOut(
            f"{endpoint.host}: the list of models was not complete after {most_s:g} s",
            hint="name a model, or check base_url",
        ) from error
    try:
        listed = json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise BadResponse(
            f"{endpoint.host}: the list of models is not JSON", hint="check base_url"
        ) from error
    if (reported := error_in(listed, "data")) is not None:
        raise stream_error(endpoint, reported, response)
    entries = listed.get("data") if isinstance(listed, dict) else listed
    return tuple(
        OfferedModel(entry["id"], _window_tokens(entry), _owner(entry))
        for entry in objects_in(entries)
        if isinstance(entry.get("id"), str)
    )


def _owner(entry: Mapping[str, Any]) -> str:
    return as_text(entry.get("owned_by"))


def _window_tokens(entry: Mapping[str, Any]) -> int | None:
    meta = entry.get("meta")
    candidates = [entry.get(name) for name in _WINDOW_FIELDS]
    if isinstance(meta, dict):
        candidates += [meta.get(name) for name in _WINDOW_FIELDS_OF_META]
    return next((value for value in candidates if type(value) is int and value > 0), None)


TIMEOUT_S: Final = 1.0
"""A local server reports the window at once; no question waits longer for it."""

_NUM_CTX: Final = lazy_pattern(r"^num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)


@frozen
class ServedWindow:
    """The window reported by a server: ``tokens`` as loaded, and the largest possible ``most_tokens``."""

    tokens: int | None = None
    most_tokens: int | None = None


async def served_window(
    entry: PoolEntry, server: str, model: str, *, timeout_s: float = TIMEOUT_S
) -> ServedWindow:
    """Ask ``server``, a key of ``_QUESTIONS``, for the window of ``model``; never raises, as no turn fails for it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await _QUESTIONS[server](_OwnRoutes(entry), model)
    return ServedWindow()


class _OwnRoutes:
    """The routes a server has beyond OpenAI's; an answer that is not JSON becomes ``None``."""

    def __init__(self, entry: PoolEntry) -> None:
        self._entry = entry
        self._root = entry.endpoint.base_url.rstrip("/").removesuffix("/v1")

    async def get(self, path: str, **parameters: str) -> Any:
        return await self._json("get", path, options={"params": parameters})

    async def post(self, path: str, body: Mapping[str, str]) -> Any:
        return await self._json("post", path, body=body)

    async def _json(self, method: str, path: str, **request: Any) -> Any:
        with suppress(EndpointError, ValueError, RecursionError), translated(self._entry.endpoint):
            async with self._entry.meter.call("window") as call:
                client = await call.client()
                send = client.get if method == "get" else client.post
                response = await send(self._root + path, cast_to=httpx2.Response, **request)
                return json.loads(response.content)
        return None


async def _ask_ollama(server: _OwnRoutes, model: str) -> ServedWindow:
    running, shown = await asyncio.gather(server.get("/api/ps"), server.post("/api/show", {"model": model}))
    names = {model, f"{model}:latest"}
    loaded = [
        tokens
        for entry in objects_in(as_object(running).get("models"))
        if names & {as_text(entry.get("name")), as_text(entry.get("model"))}
        and (tokens := _whole(entry.get("context_length")))
    ]
    about = as_object(shown)
    sizes = [
        tokens
        for key, value in as_object(about.get("model_info")).items()
        if key.endswith(".context_length") and (tokens := _whole(value))
    ]
    set_to = _NUM_CTX.search(as_text(about.get("parameters")))
    tokens = loaded[0] if loaded else _whole(int(set_to[1])) if set_to else None
    return ServedWindow(tokens, min(sizes, default=None))


async def _ask_llama_cpp(server: _OwnRoutes, model: str) -> ServedWindow:
    about = await server.get("/props", model=model)
    settings = as_object(as_object(about).get("default_generation_settings"))
    return ServedWindow(_whole(settings.get("n_ctx")))


async def _ask_lm_studio(server: _OwnRoutes, model: str) -> ServedWindow:
    for entry in objects_in(as_object(await server.get("/api/v0/models")).get("data")):
        if entry.get("id") == model:
            loaded, most = entry.get("loaded_context_length"), entry.get("max_context_length")
            return ServedWindow(_whole(loaded), _whole(most))
    return ServedWindow()


_QUESTIONS: Final[Mapping[str, Callable[[_OwnRoutes, str], Awaitable[ServedWindow]]]] = {
    "Ollama": _ask_ollama,
    "LM Studio": _ask_lm_studio,
    "llama.cpp": _ask_llama_cpp,
}


def _whole(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
