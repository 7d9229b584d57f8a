"""The search for cached answers to similar questions, by the distance of their embeddings."""

from __future__ import annotations

import asyncio
import math
import operator
import struct
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import BudgetReached, EndpointError
from chatcli.core.events import Notice
from chatcli.text.sanitizer import sanitize
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.core.ports import Embedder

_PATIENCE_S: Final = 3.0
"""How long a question waits for its vector."""

_QUOTED_COLUMNS: Final = 80
_COMPARED_AT_ONCE: Final = 100


class SimilarAnswers:
    """Finds the stored question nearest to another, if their cosine similarity is at least ``least``.

    ``model`` is the name of the ``embedder``. ``offer`` asks the person whether to take an answer, ``None`` if nobody
    can be asked: an answer is never taken without consent. It returns ``None`` if they would rather stop the turn.
    """

    def __init__(
        self,
        embedder: Embedder,
        model: str,
        *,
        least: float,
        offer: Callable[[str], Awaitable[bool | None]] | None,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.model = model
        self._embedder = embedder
        self._least = least
        self._offer = offer
        self._patience_s = patience_s
        self._is_broken = False

    async def vector_of(self, question: str) -> tuple[bytes, Notice | None]:
        """Return the vector of a question, empty if there is none; after a failure none is asked for any more."""
        if self._is_broken or not question.strip():
            return b"", None
        try:
            async with asyncio.timeout(self._patience_s):
                (vector,) = await self._embedder.embed([question])
        except TimeoutError:
            reason = f"embeddings took longer than {self._patience_s:g} seconds"
        except (EndpointError, BudgetReached) as error:
            reason = error.message
        else:
            length = math.hypot(*vector) or 1.0
            return struct.pack(f"<{len(vector)}f", *(number / length for number in vector)), None
        self._is_broken = True
        return b"", Notice("similar_failed", f"no similar questions are looked for: {reason}")

    async def nearest(self, vector: bytes, rows: Sequence[tuple[str, bytes]]) -> tuple[str, float] | None:
        """Return the key of the nearest of ``rows`` and its similarity, ``None`` if none is near enough."""
        wanted = _numbers(vector)
        best_key, best = "", self._least
        for number, (key, other) in enumerate(rows):
            # After a change of the model behind a name, new vectors do not compare with older ones.
            if len(other) == len(vector):
                score = sum(map(operator.mul, wanted, _numbers(other)))
                if score >= best:
                    best_key, best = key, score
            if number % _COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return (best_key, best) if best_key else None

    async def offered(self, question: str, score: float) -> Notice | None:
        """Offer the answer to a similar ``question``; return ``None`` if the person takes it, else a notice.

        Raise ``CancelledError`` if the person stops the turn: no model is asked then.
        """
        quoted = shortened(" ".join(sanitize(question).split()), _QUOTED_COLUMNS)
        if self._offer is None:
            message = (
                f'the cache has an answer to a similar question ({score:.2f}): "{quoted}"; asking anyway'
            )
            return Notice("similar_answer", message)
        words = f'The cache has an answer to a similar question ({score:.2f}): "{quoted}". Use it?'
        is_taken = await self._offer(words)
        if is_taken is None:
            raise asyncio.CancelledError
        if is_taken:
            return None
        return Notice("similar_answer", "asking the model")


def _numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector[: len(vector) // 4 * 4])
