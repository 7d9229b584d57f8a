"""``middle-out``: the opening and the newest turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.conversation.strategies.cut import Cut
from chatcli.conversation.strategies.selection import Selection, surely_whole
from chatcli.conversation.strategies.strategy import Strategy

if TYPE_CHECKING:
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message

SHARE_OF_OPENING: Final = 0.25
"""How much of the budget the opening may take; never more than half of what is left by what must be sent."""


class MiddleOut(Strategy):
    """Sends what must be sent, the first turns, and the newest ones; see ``Strategy``.

    The share of the opening is one of the whole budget, as what is left of it changes with every question: the
    opening would, too.
    """

    def __init__(self) -> None:
        self._cut = Cut()

    def fit(self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
        whole = surely_whole(history, question, budget_tokens, tokens)
        if whole is not None:
            return whole
        selection = Selection(history, question, budget_tokens, tokens)
        cut = self._cut.place(history)
        if cut or selection.newest_within(selection.room_tokens):
            share = min(int(budget_tokens * SHARE_OF_OPENING), selection.room_tokens // 2)
            end = selection.oldest_within(share)
            selection.keep(range(end))
            cut = self._cut.find(selection, selection.room_tokens, first=end)
        selection.keep_from(cut)
        return selection.fitted(cut)

    def sent(self, history: History, fitted: Fitted) -> None:
        self._cut.remember(history, fitted)
