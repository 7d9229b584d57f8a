"""What a context strategy is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.fitted import Fitted
    from chatcli.conversation.history import History
    from chatcli.core.events import Notice
    from chatcli.core.messages import Message


class Strategy(Protocol):
    """How to choose what the model sees. One is made for one conversation and may remember what it chose.

    Those who inherit from it need not remember nor prepare anything.
    """

    def fit(self, history: History, question: Message, budget_tokens: int, tokens: MessageTokens) -> Fitted:
        """Return at most ``budget_tokens`` of the conversation, with the system prompt, the pins and the question.

        Raise ``InputTooLong`` when those alone do not fit. Neither the history nor what is remembered changes: it is
        also called to see what would be sent. The work grows with what is sent, not with the history.
        """
        ...

    def sent(self, history: History, fitted: Fitted) -> None:  # noqa: ARG002 - for those who remember
        """Take note of what was chosen of ``history`` and is really sent."""
        return

    async def prepare(
        self,
        history: History,  # noqa: ARG002 - for those who have something to do
        budget_tokens: int,  # noqa: ARG002
        tokens: MessageTokens,  # noqa: ARG002
        question: Message | None = None,  # noqa: ARG002
    ) -> Notice | None:
        """Do what takes long beforehand, in small steps between which others have their turn.

        It is called before ``question`` is fitted to be sent, and may be earlier, without one: only with one may
        anybody else be asked. Return what the person is to be told of it. It raises ``InputTooLong`` where ``fit`` will.
        """
        return None
