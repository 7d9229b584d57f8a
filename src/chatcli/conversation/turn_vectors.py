"""Search of turns by the meaning of a question."""

from __future__ import annotations

import asyncio
import math
import operator
from array import array
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import EndpointError, TimedOut, clause
from chatcli.core.events import Notice
from chatcli.storage.cache import MemoryCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.conversation.history import Turn
    from chatcli.core.errors import ChatcliError
    from chatcli.core.ports import Embedder

_PATIENCE_S: Final = 3.0
"""How long a question waits for vectors."""

_AT_ONCE: Final = 64
"""The number of texts in a request. Vectors that arrive after a timeout are used by the next question."""

_MOST_NEW: Final = 2 * _AT_ONCE - 1
"""The number of new turns embedded with one question: together two requests."""

_MOST_COMPARED: Final = 2_000
"""The number of newest turns compared with a question: each takes some kilobytes and a fraction of a millisecond."""

_MOST_KEPT: Final = 4 * _MOST_COMPARED
"""The maximum number of vectors kept, over all conversations of an endpoint."""

_MOST_FAILURES: Final = 3
"""The number of consecutive failures allowed: a server may have to load its model first."""

_MOST_FOUND: Final = 8
_COMPARED_AT_ONCE: Final = 100


class TurnVectors:
    """Turns of one endpoint's conversations as vectors of its ``embedder``, kept in memory.

    A turn is embedded once, when a question first needs it. An embedder that refuses or fails repeatedly is
    not asked any more, so that questions need not wait for it.
    """

    def __init__(self, embedder: Embedder, *, patience_s: float = _PATIENCE_S) -> None:
        self._embedder = embedder
        self._patience_s = patience_s
        self._vectors: MemoryCache[array[float]] = MemoryCache(most_entries=_MOST_KEPT)
        self._failures_left = _MOST_FAILURES
        self._was_notified = False

    async def nearest(self, turns: Sequence[Turn], end: int, question: str) -> list[int]:
        """Return the places of the turns before ``end`` nearest to ``question``, the nearest first.

        Raise an ``EndpointError`` if vectors are not available in time, ``BudgetReached`` if they cost too much.
        """
        first = max(0, end - _MOST_COMPARED)
        if first == end or not self._failures_left:
            return []
        self._failures_left -= 1
        try:
            async with asyncio.timeout(self._patience_s):
                question_vector = await self._embed(question, self._without_vector(turns, first, end))
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
        return _standing_out(await self._similarities(turns, first, end, question_vector))

    def failed(self, error: ChatcliError) -> Notice | None:
        """Return the notice about ``error``, ``None`` if one was shown before."""
        was_notified, self._was_notified = self._was_notified, True
        hint = f" ({error.hint})" if error.hint else ""
        reason = clause(error.traceable) if hint else error.traceable
        message = f"searching older turns by words only: {reason}{hint}"
        return None if was_notified else Notice("embeddings_failed", message)

    def _without_vector(self, turns: Sequence[Turn], first: int, end: int) -> dict[str, str]:
        """Return the texts of the newest turns without a vector; no other turn is read."""
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
        """Store the vectors of ``texts`` and return that of the question."""
        keys: list[str | None] = [None, *texts]
        all_texts = [question, *texts.values()]
        question_vector = array("f")
        for start in range(0, len(all_texts), _AT_ONCE):
            vectors = await self._embedder.embed(all_texts[start : start + _AT_ONCE])
            for key, vector in zip(keys[start : start + _AT_ONCE], vectors, strict=True):
                if key is None:
                    question_vector = _unit(vector)
                else:
                    self._vectors.put(key, _unit(vector))
        return question_vector

    async def _similarities(
        self, turns: Sequence[Turn], first: int, end: int, question_vector: array[float]
    ) -> dict[int, float]:
        similarities = {}
        for number in range(first, end):
            vector = self._vectors.get(_key(turns[number]), None)
            # After a change of the model behind a name, new vectors do not compare with older ones.
            if vector is not None and len(vector) == len(question_vector):
                similarities[number] = sum(map(operator.mul, question_vector, vector))
            if number % _COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return similarities


def _standing_out(similarities: dict[int, float]) -> list[int]:
    """Return the places nearer than halfway from the median to the best.

    Each model has its own scale of similarity: for some, no two texts are below 0.7.
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
