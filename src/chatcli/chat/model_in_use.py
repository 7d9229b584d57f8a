"""The model that a conversation asks, with all that its requests are fitted by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.chat.long_questions import LongQuestions
from chatcli.chat.session_history import history_of
from chatcli.conversation.manager import ConversationManager
from chatcli.conversation.strategies.strategy import STRATEGIES, does_not_fit
from chatcli.core import messages

if TYPE_CHECKING:
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.core.messages import Message
    from chatcli.core.ports import Journal
    from chatcli.core.request import ResponseFormat
    from chatcli.sessions.session import Session


_SHORT_TOKENS: Final = 1_000
"""A shorter text counts as a question, however small the window is."""


class ModelInUse(NamedTuple):
    """A model, its token counter as corrected for the endpoint, its window, and the form of its answers, ``None`` for any."""

    resolved: ResolvedModel
    tokens: MessageTokens
    window: Window
    response_format: ResponseFormat | None = None

    def history_of(self, session: Session) -> History:
        """Return the history of ``session`` as this model is sent it."""
        history = history_of(
            session,
            # The length up to which a question is sent again in full later.
            longest_tokens=max(self.window.budget_tokens, _SHORT_TOKENS),
            separates_reasoning=self.resolved.separates_reasoning,
        )
        if self.resolved.instructions:
            history.instructions = messages.system(self.resolved.instructions)
        return history

    def manager(
        self, history: History, journal: Journal, tokens: MessageTokens | None = None
    ) -> ConversationManager:
        """Return a manager for one history and journal; ``tokens`` may replace the counter."""
        resolved = self.resolved
        manager = ConversationManager(
            model=resolved.model,
            model_name=resolved.model_name,
            history=history,
            journal=journal,
            tokens=tokens or self.tokens,
            window=self.window,
            strategy=STRATEGIES[resolved.context](resolved.turn_vectors),
            parameters=resolved.parameters,
            screen=resolved.screen,
        )
        manager.response_format = self.response_format
        return manager

    def long_questions(self) -> LongQuestions:
        return LongQuestions(self.resolved, self.tokens, self.window, self.manager)

    def cannot_fit(self, question: Message, history: History) -> bool:
        """Return whether ``question`` does not fit, whatever else is omitted."""
        form = self.response_format
        form_tokens = 0 if form is None else self.tokens.estimate_text(form.words)
        return does_not_fit(question, history, self.window.budget_tokens - form_tokens, self.tokens)
