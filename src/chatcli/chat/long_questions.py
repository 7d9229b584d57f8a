"""Questions of a conversation that do not fit its model's window."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from chatcli.conversation.context import Window
from chatcli.conversation.counting import CorrectedCounter
from chatcli.conversation.long_input.fitting import does_not_fit
from chatcli.core.long_ways import FAIL
from chatcli.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from chatcli.chat.managers import Managers
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.conversation.history import History
    from chatcli.conversation.long_input.asking import LongInputUsage
    from chatcli.conversation.long_input.long_question import LongQuestion
    from chatcli.conversation.long_input.planning import Plan
    from chatcli.core.events import Event
    from chatcli.core.messages import Message
    from chatcli.core.ports import Journal

_SHORT_TOKENS: Final = 1_000
"""What is no longer is a question and no text, however small the window is."""

_SHORT_BYTES: Final = 100_000
"""What is counted in a hundredth of a second."""


class LongQuestions:
    """Asks what does not fit ``target``: read part by part, or cut. ``way`` says how, until another is chosen.

    ``managers`` makes what asks the last request.
    """

    def __init__(self, target: ResolvedModel, managers: Managers) -> None:
        self.way = target.long_input.way
        self._target = target
        self._managers = managers
        self._tokens = managers.tokens_at(target)
        self._window = Window.of(target.window_tokens, target.parameters.max_tokens)

    @property
    def longest_tokens(self) -> int:
        """How long a question may be for the model to be told of it again in full."""
        return max(self._window.budget_tokens, _SHORT_TOKENS)

    def found(self, question: Message, history: History, *, answer_so_far: str = "") -> LongQuestion | None:
        """Return ``question`` as one that does not fit, ``None`` for one that does."""
        if not does_not_fit(question, history, self._window, self._tokens):
            return None
        # Only where there is such a question: this room is loaded with every start.
        from chatcli.conversation.long_input.long_question import LongQuestion  # noqa: PLC0415

        counts, model = self._target.counts, self._target.model_name
        share = 0.0 if counts is None else counts.share(model)
        return LongQuestion(
            question,
            history=history,
            window=self._window,
            tokens=self._tokens.corrected(lambda: share),
            counter=CorrectedCounter(self._managers.counter_for(model), share),
            answer_so_far=answer_so_far,
        )

    def cost_of(self, plan: Plan) -> float | None:
        """Return what a plan costs at most, in US dollars, ``None`` where no price is known."""
        return self._target.long_input.cost_of(Usage(plan.sent_tokens, plan.answer_tokens, estimated=True))

    async def look(self, question: Message, history: History) -> LongQuestion | None:
        """Return what ``found`` does, without holding anything up while millions of characters are counted."""
        if self._tokens.upper_bound(question) <= _SHORT_BYTES:
            return self.found(question, history)
        return await asyncio.to_thread(self.found, question, history)

    async def ask(
        self,
        question: Message,
        long: LongQuestion,
        history: Callable[[], History],
        journal: Journal,
        *,
        kept_as: str | None = None,
        answer_so_far: str = "",
    ) -> AsyncGenerator[Event]:
        """Ask a question that was ``found`` to be ``long``; ``history`` is called before the answer."""
        from chatcli.conversation.long_input.journal import WholeQuestionJournal  # noqa: PLC0415 - as above
        from chatcli.conversation.long_input.turn import Asked, long_turn, refused_turn  # noqa: PLC0415

        target = self._target

        def send(last: Message, spending: LongInputUsage) -> AsyncGenerator[Event]:
            kept = WholeQuestionJournal(journal, question, spending)
            manager = self._managers.manager(target, history(), kept, long.tokens)
            return manager.send(last, kept_as=kept_as, answer_so_far=answer_so_far)

        if self.way == FAIL:
            events = refused_turn(long, target.model_name, session=journal.name)
        else:
            asked = Asked(target.model, target.model_name, target.parameters)
            events = long_turn(long, self.way, asked, target.long_input, session=journal.name, send=send)
        async with aclosing(events):
            async for event in events:
                yield event
