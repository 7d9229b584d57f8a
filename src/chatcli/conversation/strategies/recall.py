"""``recall``: the newest turns, and those older ones that the question needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from chatcli.conversation.strategies.cut import Cut
from chatcli.conversation.strategies.selection import Selection, surely_whole
from chatcli.conversation.strategies.strategy import Strategy
from chatcli.conversation.turn_index import TurnIndex

if TYPE_CHECKING:
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message

SHARE_OF_RECALLED: Final = 0.3
"""How much of the room is kept free for turns that come back."""

MOST_RECALLED: Final = 8

_TURNS_AT_ONCE: Final = 100


class Recall(Strategy):
    """Sends what must be sent, the newest turns, and the older ones nearest to the question; see ``Strategy``.

    Those stand where they stood in the conversation: a model takes what it reads last for what was said last.
    """

    def __init__(self) -> None:
        self._cut = Cut()
        self._index: TurnIndex | None = None

    def fit(self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
        whole = surely_whole(history, question, budget_tokens, tokens)
        if whole is not None:
            return whole
        selection = Selection(history, question, budget_tokens, tokens)
        cut = self._cut.place(history)
        if cut or selection.newest_within(selection.room_tokens):
            for_newest = int(selection.room_tokens * (1 - SHARE_OF_RECALLED))
            cut = self._cut.find(selection, for_newest)
        selection.keep_from(cut)
        # A look at the context, without a question, must not take as long as reading all of a long conversation.
        if cut and question.own_words:
            self._recall(selection, question, cut)
        return selection.fitted(cut)

    def sent(self, history: History, fitted: Fitted) -> None:
        self._cut.remember(history, fitted)

    async def prepare(self, history: History, budget_tokens: int, tokens: MessageTokens) -> None:
        end = _surely_in_window(history, budget_tokens, tokens)
        if end == 0:
            return
        self._index = self._index or TurnIndex()
        is_all = False
        while not is_all:
            is_all = self._index.take(history.turns, end, at_most=_TURNS_AT_ONCE)
            await asyncio.sleep(0)

    def _recall(self, selection: Selection, question: Message, cut: int) -> None:
        self._index = self._index or TurnIndex()
        self._index.take(selection.history.turns, cut)
        recalled = 0
        for number in self._index.nearest(question.own_words):
            tokens = selection.tokens_of(number)
            if number < cut and 0 < tokens <= selection.room_tokens:
                selection.keep([number], "retrieved")
                recalled += 1
            if recalled == MOST_RECALLED:
                break


def _surely_in_window(history: History, budget_tokens: int, tokens: MessageTokens) -> int:
    """Return from which place on turns are sent whatever else is; what comes before may fall out."""
    turns = history.turns
    for place in range(len(turns) - 1, -1, -1):
        budget_tokens -= sum(map(tokens.upper_bound, turns[place].messages))
        if budget_tokens < 0:
            return place + 1
    return 0
