"""Questions of a conversation that exceed the model's window."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from chatcli.conversation.counting import CorrectedCounter
from chatcli.core.strategy_table import FAIL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from typing import TypeAlias

    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.context import Window
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.asking import LongInputUsage
    from chatcli.conversation.long_input.long_question import LongQuestion, Plan
    from chatcli.conversation.manager import ConversationManager
    from chatcli.core.events import Event, Notice
    from chatcli.core.messages import Message
    from chatcli.core.ports import Journal

    ManagerOf: TypeAlias = Callable[[History, Journal, MessageTokens], ConversationManager]


class LongQuestions:
    """Sends questions that exceed the window of ``resolved``, as ``strategy`` says: read in parts, or cut.

    ``tokens`` count as its endpoint does, ``window`` is its own, and ``manager_of`` makes the manager of the
    last request.
    """

    def __init__(
        self, resolved: ResolvedModel, tokens: MessageTokens, window: Window, manager_of: ManagerOf
    ) -> None:
        self.strategy = resolved.long_input.strategy
        self._resolved = resolved
        self._tokens = tokens
        self._window = window
        self._manager_of = manager_of

    def long(self, question: Message, history: History, *, partial_answer: str = "") -> LongQuestion:
        """Return ``question``, which exceeds the window, as a long question."""
        # Imported on first use: this module is loaded with every start.
        from chatcli.conversation.long_input.long_question import LongQuestion  # noqa: PLC0415

        counts, model = self._resolved.counts, self._resolved.model_name
        # The share is fixed for the whole reading: a new one, learned meanwhile, would make finished parts
        # too long.
        share = 0.0 if counts is None else counts.share(model)
        return LongQuestion(
            question,
            history=history,
            window=self._window,
            tokens=self._tokens.corrected(lambda: share),
            counter=CorrectedCounter(self._tokens.counter, share),
            partial_answer=partial_answer,
        )

    def cost_of(self, plan: Plan) -> float | None:
        """Return the maximum cost of a plan in US dollars, ``None`` if the price is unknown."""
        return self._resolved.long_input.cost_of(plan.usage)

    async def ask(
        self,
        question: Message,
        long: LongQuestion,
        history: Callable[[], History],
        journal: Journal,
        *,
        stored_id: str | None = None,
        partial_answer: str = "",
    ) -> AsyncGenerator[Event]:
        """Send a ``long`` question; ``history`` is called before the answer."""
        from chatcli.conversation.long_input.turn import (  # noqa: PLC0415
            ReadingModel,
            WholeQuestionJournal,
            long_turn,
            refused_turn,
        )

        resolved = self._resolved

        def send(last: Message, spending: LongInputUsage) -> AsyncGenerator[Event]:
            kept = WholeQuestionJournal(journal, question, spending)
            manager = self._manager_of(history(), kept, long.tokens)
            return manager.send(last, stored_id=stored_id, partial_answer=partial_answer)

        async def check() -> Sequence[Notice]:
            return () if resolved.screen is None else await resolved.screen.check((question,))

        if self.strategy == FAIL:
            events = refused_turn(long, resolved.model_name, session=journal.name)
        else:
            reading_model = ReadingModel(resolved.model, resolved.model_name, resolved.parameters)
            events = long_turn(
                long,
                self.strategy,
                reading_model,
                resolved.long_input,
                session=journal.name,
                send=send,
                check=check,
            )
        async with aclosing(events):
            async for event in events:
                yield event
