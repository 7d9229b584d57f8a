"""``truncate``: the newest whole turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.strategies.cut import Cut
from chatcli.conversation.strategies.selection import Selection, surely_whole
from chatcli.conversation.strategies.strategy import Strategy

if TYPE_CHECKING:
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message


class Truncate(Strategy):
    """Sends what must be sent, then the newest whole turns; see ``Strategy``."""

    def __init__(self) -> None:
        self._cut = Cut()

    def fit(self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
        whole = surely_whole(history, question, budget_tokens, tokens)
        if whole is not None:
            return whole
        selection = Selection(history, question, budget_tokens, tokens)
        cut = self._cut.find(selection, selection.room_tokens)
        selection.keep_from(cut)
        return selection.fitted(cut)

    def sent(self, history: History, fitted: Fitted) -> None:
        self._cut.remember(history, fitted)
