"""Embeddings from ``POST /embeddings`` of an endpoint."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import httpx2

from chatcli.client.call_recording import Recording, RunningCall
from chatcli.client.error_bodies import error_in
from chatcli.client.openai_errors import request_id_of, stream_error, translated
from chatcli.client.usage_fields import count
from chatcli.client.wire_messages import wire_text
from chatcli.core.errors import BadResponse
from chatcli.core.events import Completion, Usage
from chatcli.core.json_values import as_object
from chatcli.core.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatcli.client.pool import PoolEntry
    from chatcli.core.call_records import CallTrace
    from chatcli.core.ports import EmbeddingCharge

_MOST_TEXTS: Final = 64
_LONGEST_TEXT_BYTES: Final = 8_000
"""At least one byte a token, 8,192 tokens for the largest models: one longer text would fail the request."""

_HINT: Final = "check that embedding_model names an embedding model"


class EndpointEmbedder:
    """The ``Embedder`` for ``model`` at the endpoint of ``entry``; ``charge`` is for each of its requests.

    ``cost_of`` returns what tokens cost in US dollars, ``None`` if that is unknown.
    """

    def __init__(
        self,
        entry: PoolEntry,
        model: str,
        charge: EmbeddingCharge,
        recording: Recording | None = None,
        cost_of: Callable[[int], float | None] = lambda _: None,
    ) -> None:
        self._recording = recording or Recording(entry.endpoint)
        self._cost_of = cost_of
        self._charge = charge
        self._entry = entry
        self._endpoint = entry.endpoint
        self._model = model

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        vectors: list[Sequence[float]] = []
        for start in range(0, len(texts), _MOST_TEXTS):
            vectors += await self._ask([_cut(text) for text in texts[start : start + _MOST_TEXTS]])
        if len({len(vector) for vector in vectors}) > 1:
            raise self._malformed("are not all of one length")
        return vectors

    async def _ask(self, texts: list[str]) -> list[list[float]]:
        with RunningCall(Request(self._model, (), operation="embeddings"), self._recording) as measured:
            vectors, tokens = await self._received(texts, measured.trace)
            usage = None if tokens is None else Usage(tokens, 0)
            measured.see(Completion("stop", usage=usage, cost_usd=self._cost_of(tokens or 0)))
            return vectors

    async def _received(self, texts: list[str], trace: CallTrace) -> tuple[list[list[float]], int | None]:
        """Return one vector per text, and the tokens that the endpoint reports."""
        async with self._charge(texts) as settle:
            with translated(self._endpoint):
                async with self._entry.meter.call("embeddings") as call:
                    client = await call.client()
                    trace.attempts += 1
                    # By default the package requests base64, which not every server supports.
                    asked = {"model": self._model, "input": texts, "encoding_format": "float"}
                    response = await client.post("/embeddings", body=asked, cast_to=httpx2.Response)
            trace.sent_bytes += len(response.request.content)
            trace.received_bytes += len(response.content)
            trace.request_id = request_id_of(response, self._endpoint.key)
            try:
                body = json.loads(response.content)
            except (ValueError, RecursionError) as error:
                raise self._malformed("are not JSON") from error
            if (reported := error_in(body, "data")) is not None:
                raise stream_error(self._endpoint, reported, response)
            tokens = count(as_object(body).get("usage"), "prompt_tokens")
            settle(tokens)
        vectors = _vectors(as_object(body).get("data"))
        if vectors is None:
            raise self._malformed("are no vectors of numbers")
        if len(vectors) != len(texts):
            raise self._malformed(f"are {len(vectors)} for {len(texts)} texts")
        return vectors, tokens

    def _malformed(self, what: str) -> BadResponse:
        return BadResponse(f"{self._endpoint.host}: the embeddings {what}", hint=_HINT)


def _cut(text: str) -> str:
    return wire_text(text).encode()[:_LONGEST_TEXT_BYTES].decode(errors="ignore")


def _vectors(data: object) -> list[list[float]] | None:
    """Return the vectors in the order of their texts, ``None`` if they are invalid."""
    entries = data if isinstance(data, list) else [None]
    placed: dict[int, list[float]] = {}
    for position, entry in enumerate(entries):
        vector = _vector(entry)
        if vector is None:
            return None
        placed[_index(entry, position)] = vector
    return (
        [placed[number] for number in range(len(entries))]
        if set(placed) == set(range(len(entries)))
        else None
    )


def _vector(entry: object) -> list[float] | None:
    numbers = as_object(entry).get("embedding")
    if not isinstance(numbers, list) or not numbers:
        return None
    try:
        vector = [float(number) for number in numbers if type(number) in (int, float)]
    except OverflowError:
        return None
    return vector if len(vector) == len(numbers) and all(map(math.isfinite, vector)) else None


def _index(entry: Mapping[str, Any], position: int) -> int:
    """Return the text index of an entry. Servers that send none answer in order."""
    index = entry.get("index")
    return index if type(index) is int else position
