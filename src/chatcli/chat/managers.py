"""What asks a model: a ``ConversationManager`` for each history and journal, over vocabularies that are loaded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.counting import MessageTokens, TiktokenCounter
from chatcli.conversation.manager import ConversationManager
from chatcli.conversation.strategies import strategy_of
from chatcli.conversation.vocabulary import vocabulary_for

if TYPE_CHECKING:
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.history import History
    from chatcli.conversation.vocabulary import Vocabulary
    from chatcli.core.ports import Journal


class Managers:
    """Makes managers. What was counted of a message for one is not counted again for another."""

    def __init__(self) -> None:
        self._counters: dict[Vocabulary, TiktokenCounter] = {}
        self._tokens: dict[Vocabulary, MessageTokens] = {}

    def manager(
        self, target: ResolvedModel, history: History, journal: Journal, tokens: MessageTokens | None = None
    ) -> ConversationManager:
        return ConversationManager(
            model=target.model,
            model_name=target.model_name,
            history=history,
            journal=journal,
            tokens=tokens or self.tokens_at(target),
            window_tokens=target.window_tokens,
            parameters=target.parameters,
            strategy=strategy_of(target.context, target.turn_vectors),
        )

    def tokens_at(self, target: ResolvedModel) -> MessageTokens:
        """Return what counts as the endpoint does, as far as it has shown that."""
        counter, counts, model = self.counter_for(target.model_name), target.counts, target.model_name
        tokens = self._tokens.setdefault(counter.vocabulary, MessageTokens(counter))
        return tokens if counts is None else tokens.corrected(lambda: counts.share(model))

    def counter_for(self, model_name: str) -> TiktokenCounter:
        vocabulary = vocabulary_for(model_name)
        return self._counters.setdefault(vocabulary, TiktokenCounter(vocabulary))
