"""Finding the turns of a conversation that mean what a question means, whatever their words."""

from __future__ import annotations

import asyncio
import math
import operator
from array import array
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import EndpointError, TimedOut
from chatcli.core.events import Notice
from chatcli.storage.cache import MemoryCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.conversation.history import Turn
    from chatcli.core.ports import Embedder

_PATIENCE_S: Final = 3.0
"""How long a question waits for vectors."""

_AT_ONCE: Final = 64
"""How many texts are asked for together. What came before a question lost its patience is there for the next."""

_MOST_NEW: Final = 2 * _AT_ONCE - 1
"""How many turns are asked about with one question: with it, that makes two requests."""

_MOST_COMPARED: Final = 2_000
"""How many turns a question is compared with, the newest: each takes some kilobytes, and a fraction of a millisecond."""

_MOST_KEPT: Final = 4 * _MOST_COMPARED
"""How many turns have a vector at a time, those of an endpoint's other conversations included."""

_MOST_FAILURES: Final = 3
"""How often in a row it may fail: a server may have to load its model first."""

_MOST_FOUND: Final = 8
_COMPARED_AT_ONCE: Final = 100


class TurnVectors:
    """The turns of one endpoint's conversations as vectors of its ``embedder``, kept in memory.

    A turn is sent to be embedded once, when a question first needs it. An embedder that refuses, or fails again and
    again, is not asked any more: every question would wait for it.
    """

    def __init__(self, embedder: Embedder, *, patience_s: float = _PATIENCE_S) -> None:
        self._embedder = embedder
        self._patience_s = patience_s
        self._vectors: MemoryCache[array[float]] = MemoryCache(most_entries=_MOST_KEPT)
        self._failures_left = _MOST_FAILURES
        self._was_told = False

    async def nearest(self, turns: Sequence[Turn], end: int, question: str) -> list[int]:
        """Return the places of the turns before ``end`` that are nearest to ``question``, the nearest first.

        Raise an ``EndpointError`` where the vectors cannot be had, or not soon enough.
        """
        first = max(0, end - _MOST_COMPARED)
        if first == end or not self._failures_left:
            return []
        self._failures_left -= 1
        try:
            async with asyncio.timeout(self._patience_s):
                asked = await self._embed(question, self._without_vector(turns, first, end))
        except TimeoutError as error:
            raise TimedOut(
                f"embeddings took longer than {self._patience_s:g} seconds",
                hint="choose a faster embedding_model",
            ) from error
        except EndpointError as error:
            if not error.retryable:
                self._failures_left = 0
            raise
        self._failures_left = _MOST_FAILURES
        return _standing_out(await self._similarities(turns, first, end, asked))

    def failed(self, error: EndpointError) -> Notice | None:
        """Return what the person is told of ``error``, ``None`` where they were told of one before."""
        was_told, self._was_told = self._was_told, True
        hint = f" ({error.hint})" if error.hint else ""
        told = f"searching older turns by words only: {error.clause if hint else error.message}{hint}"
        return None if was_told else Notice("embeddings_failed", told)

    def _without_vector(self, turns: Sequence[Turn], first: int, end: int) -> dict[str, str]:
        """Return the texts of the newest turns that have no vector yet; no other turn is read."""
        texts: dict[str, str] = {}
        for number in range(end - 1, first - 1, -1):
            turn = turns[number]
            if turn.pinned or not turn.has_question or self._vectors.get(_key(turn), None) is not None:
                continue
            text = "\n".join(message.text for message in turn.messages).strip()
            if text:
                texts[_key(turn)] = text
            if len(texts) == _MOST_NEW:
                break
        return texts

    async def _embed(self, question: str, texts: dict[str, str]) -> array[float]:
        """Keep the vectors of ``texts`` and return that of the question."""
        keys: list[str | None] = [None, *texts]
        all_texts = [question, *texts.values()]
        asked = array("f")
        for start in range(0, len(all_texts), _AT_ONCE):
            vectors = await self._embedder.embed(all_texts[start : start + _AT_ONCE])
            for key, vector in zip(keys[start : start + _AT_ONCE], vectors, strict=True):
                if key is None:
                    asked = _unit(vector)
                else:
                    self._vectors.put(key, _unit(vector))
        return asked

    async def _similarities(
        self, turns: Sequence[Turn], first: int, end: int, asked: array[float]
    ) -> dict[int, float]:
        similarities = {}
        for number in range(first, end):
            vector = self._vectors.get(_key(turns[number]), None)
            # A server that has another model by the same name now makes vectors that compare with no older ones.
            if vector is not None and len(vector) == len(asked):
                similarities[number] = sum(map(operator.mul, asked, vector))
            if number % _COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return similarities


def _standing_out(similarities: dict[int, float]) -> list[int]:
    """Return the places nearer than halfway from the usual to the best.

    Every model has its own idea of what is near: with some, no two texts are below 0.7.
    """
    if not similarities:
        return []
    best = max(similarities.values())
    usual = sum(similarities.values()) / len(similarities)
    near_enough = min(best, (usual + best) / 2)
    places = [place for place, near in similarities.items() if near >= near_enough and near > 0]
    return sorted(places, key=lambda place: (-similarities[place], -place))[:_MOST_FOUND]


def _key(turn: Turn) -> str:
    return " ".join(turn.ids)


def _unit(vector: Sequence[float]) -> array[float]:
    length = math.hypot(*vector) or 1.0
    return array("f", (number / length for number in vector))
