"""``none``: the whole conversation, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.strategies.selection import Selection, surely_whole
from chatcli.conversation.strategies.strategy import Strategy
from chatcli.core.errors import InputTooLong

if TYPE_CHECKING:
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message


class NothingLeftOut(Strategy):
    """Sends everything. Where that does not fit, ``fit`` raises ``InputTooLong`` with the numbers; see ``Strategy``."""

    def fit(self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
        whole = surely_whole(history, question, budget_tokens, tokens)
        if whole is not None:
            return whole
        selection = Selection(history, question, budget_tokens, tokens)
        if selection.newest_within(selection.room_tokens):
            selection.keep_from(0)
            raise _too_long(budget_tokens - selection.room_tokens, budget_tokens)
        selection.keep_from(0)
        return selection.fitted()


def _too_long(needed_tokens: int, budget_tokens: int) -> InputTooLong:
    return InputTooLong(
        f"the conversation is too long: {needed_tokens:,} tokens with the question, room for {budget_tokens:,}",
        hint="choose what may be left out (--context truncate), forget what was said (/clear), or name a model with a "
        "larger context window (-m, context_window)",
    )
