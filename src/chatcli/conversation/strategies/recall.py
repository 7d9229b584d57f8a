"""``recall``: the newest turns, and older ones relevant to the question."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.conversation.strategies.strategy import Selection, Strategy, surely_fits
from chatcli.conversation.turn_index import TurnIndex
from chatcli.core.errors import BudgetReached, EndpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.conversation.context import ContextPlan
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.conversation.turn_vectors import TurnVectors
    from chatcli.core.events import Notice
    from chatcli.core.messages import Message

SHARE_OF_RECALLED: Final = 0.3
"""The share of the budget reserved for recalled turns."""

MOST_RECALLED: Final = 8

_TURNS_AT_ONCE: Final = 100
_FUSION_RANKS: Final = 60
"""Damps the first ranks, so that the first of one ranking does not outrank turns in both."""


class Recall(Strategy):
    """Sends the mandatory parts, the newest turns, and the older ones most similar to the question.

    Recalled turns keep their place in the conversation, since a model takes the last messages for the latest.
    They are found by their words and, for a prepared question, by ``vectors`` if available.
    """

    def __init__(self, vectors: TurnVectors | None = None) -> None:
        super().__init__(vectors)
        self._index: TurnIndex | None = None
        self._near = _Near()

    @property
    def memory(self) -> tuple[object, ...]:
        return (*super().memory, self._near)

    def _choose(self, selection: Selection, budget_tokens: int) -> ContextPlan:  # noqa: ARG002 - shares are of the room
        cut = self._cut_of(selection)
        selection.keep_from(cut)
        # Showing the context, without a question, must not take as long as indexing a long conversation.
        if cut and selection.question.person_text:
            self._recall(selection, selection.question, cut)
        return selection.plan(cut)

    async def prepare(
        self, history: History, budget_tokens: int, tokens: MessageTokens, question: Message | None = None
    ) -> Notice | None:
        await self._fill_index(history, _surely_in_window(history, budget_tokens, tokens))
        if self._vectors is None or question is None or not question.person_text:
            return None
        self._near = _Near()
        if not tokens.counter.loaded and surely_fits(history, question, budget_tokens, tokens):
            return None
        cut = self._cut_of(Selection(history, question, budget_tokens, tokens))
        try:
            places = await self._vectors.nearest(history.turns, cut, question.person_text)
        except (EndpointError, BudgetReached) as error:
            return self._vectors.failed(error)
        self._near = _Near(_question_key(history, question), places)
        return None

    async def _fill_index(self, history: History, end: int) -> None:
        if end == 0:
            return
        self._index = self._index or TurnIndex()
        is_all = False
        while not is_all:
            is_all = self._index.take(history.turns, end, at_most=_TURNS_AT_ONCE)
            await asyncio.sleep(0)

    def _cut_of(self, selection: Selection) -> int:
        """Return where the newest turns begin; 0 if all of them fit."""
        cut = self._cut(selection.history)
        if cut or selection.newest_within(selection.room_tokens):
            for_newest = int(selection.room_tokens * (1 - SHARE_OF_RECALLED))
            cut = self._next_cut(selection, for_newest)
        return cut

    def _recall(self, selection: Selection, question: Message, cut: int) -> None:
        self._index = self._index or TurnIndex()
        self._index.take(selection.history.turns, cut)
        by_meaning = self._near.places if self._near.key == _question_key(selection.history, question) else ()
        recalled = 0
        for number in _fused(self._index.nearest(question.person_text), by_meaning):
            tokens = selection.tokens_of(number)
            if number < cut and 0 < tokens <= selection.room_tokens:
                selection.keep([number], "retrieved")
                recalled += 1
            if recalled == MOST_RECALLED:
                break


class _Near(NamedTuple):
    """The turns nearest by meaning, with the key of their question: see ``_question_key``."""

    key: tuple[str | None, int, str] | None = None
    places: Sequence[int] = ()


def _question_key(history: History, question: Message) -> tuple[str | None, int, str]:
    """Return a key that identifies a question and its conversation."""
    return history.head, len(history.turns), question.person_text


def _fused(*rankings: Sequence[int]) -> list[int]:
    """Return the merged ``rankings``, each ordered from the nearest.

    Reciprocal rank fusion: scores of different kinds do not compare, but ranks do.
    https://plg.uwaterloo.ca/~gvcormac/cormacksigir09-rrf.pdf
    """
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, place in enumerate(ranking, start=1):
            scores[place] += 1 / (_FUSION_RANKS + rank)
    return sorted(scores, key=lambda place: (-scores[place], -place))


def _surely_in_window(history: History, budget_tokens: int, tokens: MessageTokens) -> int:
    """Return the place from which on turns are certainly sent; earlier ones may be left out."""
    turns = history.turns
    for place in range(len(turns) - 1, -1, -1):
        budget_tokens -= tokens.upper_bound(*turns[place].messages)
        if budget_tokens < 0:
            return place + 1
    return 0
