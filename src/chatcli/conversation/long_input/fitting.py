"""Whether a question fits, before anything else is thought of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.strategies.selection import only_what_must_be_sent

if TYPE_CHECKING:
    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message


def does_not_fit(question: Message, history: History, window: Window, tokens: MessageTokens) -> bool:
    """Whether no strategy can send ``question``. It loads no vocabulary where the bytes alone are few enough."""
    # Compared by bytes first: most questions are answered here, and nothing has to be counted for them.
    return all(
        only_what_must_be_sent(history, question, count).sent_tokens > window.budget_tokens
        for count in (tokens.upper_bound, tokens)
    )
