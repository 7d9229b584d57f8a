"""The ConversationManager: one turn from the question to the stored reply."""

from __future__ import annotations

import asyncio
import time
from asyncio import CancelledError
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from chatcli.conversation.context import ContextUsage, Window, note_context
from chatcli.conversation.history import Entry, RunningTurn
from chatcli.conversation.strategies.strategy import counted, mandatory_only, surely_fits
from chatcli.conversation.summarizing import summary_tokens, whole_fold
from chatcli.core import messages
from chatcli.core.errors import (
    ChatcliError,
    ContextOverflow,
    EndpointError,
    InputTooLong,
    LocalIOError,
)
from chatcli.core.event_log import INFO, NO_LOG
from chatcli.core.events import (
    AnswerContinued,
    Completion,
    ContextFitted,
    Notice,
    ReasoningDelta,
    TextDelta,
    TurnFailed,
    TurnFinished,
    TurnResult,
    TurnStarted,
    Usage,
)
from chatcli.core.request import Parameters, Request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from chatcli.conversation.context import ContextPart, ContextPlan
    from chatcli.conversation.counting import MessageTokens
    from chatcli.conversation.history import Fold, History, Summary
    from chatcli.conversation.strategies.strategy import Strategy
    from chatcli.core.events import Event, ModelEvent
    from chatcli.core.messages import Message
    from chatcli.core.ports import ChatModel, Journal, MessageScreen, Reply
    from chatcli.core.request import ResponseFormat

REFITS = 3
"""How often a turn is retried with a smaller context if the endpoint counts more tokens than chatcli."""

REFIT_SHARE = 0.75

_QUOTED_COLUMNS = 60
_COUNTED_AT_ONCE_BYTES = 100_000
"""A text of this size is counted within a hundredth of a second."""


class ConversationManager:
    """Holds the conversation, fits it into the model's window, and stores both sides of a turn.

    ``history`` is the conversation so far; ``journal`` stores new messages. ``strategy`` chooses the context for ``window``.
    ``screen`` checks what is sent and answered. ``clock`` counts seconds. ``response_format`` is that of answers.
    """

    def __init__(
        self,
        *,
        model: ChatModel,
        model_name: str,
        history: History,
        journal: Journal,
        tokens: MessageTokens,
        window: Window,
        strategy: Strategy,
        parameters: Parameters | None = None,
        screen: MessageScreen | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._model_name = model_name
        self.history = history
        self._journal = journal
        self._tokens = tokens
        self._parameters = parameters or Parameters()
        self._window = window
        self._screen = screen
        self._strategy = strategy
        self._clock = clock
        self._usage: ContextUsage | None = None
        self._anticipated: _Anticipated | None = None
        self.response_format: ResponseFormat | None = None
        self.log = NO_LOG

    @property
    def _budget_tokens(self) -> int:
        """The tokens that messages may take beside the schema of the answer."""
        form = self.response_format
        return self._window.budget_tokens - (0 if form is None else self._tokens.of_form(form))

    def resume(self, history: History) -> None:
        """Continue from another history, as after undo; the caller has stored the change."""
        self.history = history
        self._usage = None

    def context(self, question: Message | None = None) -> ContextPlan:
        """Return the parts that would be sent with ``question``, or with an empty one.

        If the mandatory parts alone exceed the budget, they are returned. Counts are those of
        ``context_usage``; turns left out are counted too, by estimate.
        """
        plan = self._next(question or messages.question(""))
        return counted(plan, self.history, self._tokens.estimates)

    def context_usage(self) -> ContextUsage:
        """Return the current usage of the window. Loads no vocabulary; the result is cached."""
        is_exact = self._tokens.counter.loaded
        if self._usage is None or (self._usage.estimated and is_exact):
            self._usage = self._measured()
        return self._usage

    def fold(self, question: Message | None = None) -> Fold | None:
        """Return the turns the strategy wants summarized before ``question``, or the next one; usually none.

        Computed without loading a vocabulary, by estimate if necessary.
        """
        next_question, budget_tokens = question or messages.question(""), self._budget_tokens
        try:
            return self._strategy.fold(self.history, next_question, budget_tokens, self._tokens.at_once())
        except InputTooLong:
            return None

    def whole_fold(self) -> Fold | None:
        """Return the turns to summarize next if all but the newest are to be summarized."""
        return whole_fold(self.history, self._budget_tokens, self._tokens.at_once())

    def set_summary(self, summary: Summary | None) -> None:
        """Set the ``summary`` of the first turns; the caller has stored it."""
        self.history.summary = summary
        self._usage = None

    @property
    def most_summary_tokens(self) -> int:
        """The maximum length of a summary's text."""
        return max(0, summary_tokens(self._budget_tokens, self._tokens.at_once()))

    def tokens_of_text(self, text: str) -> int:
        """Return the tokens of ``text``: counted if that is quick, else estimated."""
        return self._tokens.estimate_text(text)

    async def look_ahead(self) -> None:
        """Do the preparation for the next question, while the person reads or types."""
        await self._strategy.prepare(self.history, self._budget_tokens, self._tokens)

    def prepare(self, question: Message) -> tuple[Request, ContextFitted]:
        """Return the request that ``send`` would make, without storing or sending anything.

        Raise ``InputTooLong`` if the question does not fit.
        """
        budget_tokens = self._budget_tokens
        plan = self._fit(question, budget_tokens)
        return self._request(plan), _context_fitted(plan, budget_tokens)

    def request_ahead(self) -> Request | None:
        """Return the request of an empty next question, ``None`` if there is no history, or to fit it takes long."""
        question, budget_tokens = messages.question(""), self._budget_tokens
        is_quick = self._tokens.counter.loaded or surely_fits(
            self.history, question, budget_tokens, self._tokens
        )
        with suppress(InputTooLong):
            return (
                self._request(self._fit(question, budget_tokens)) if self.history.turns and is_quick else None
            )
        return None

    async def anticipate(self, question: Message) -> Request | None:
        """Fit and scan ``question`` before it is asked; ``send`` uses the result if it would come to the same.

        Return the request, ``None`` if to fit it takes long. Nothing is stored or sent, and no server asked. No vocabulary is loaded either: that would keep keys waiting.
        Raise ``InputTooLong`` if the question does not fit.
        """
        budget_tokens, tokens = self._budget_tokens, self._tokens
        if not tokens.counter.loaded:
            if not surely_fits(self.history, question, budget_tokens, tokens):
                return None
        elif tokens.upper_bound(question) > _COUNTED_AT_ONCE_BYTES:
            # Counted beside the event loop, on which keys are read; the count is kept.
            await asyncio.to_thread(tokens, question)
        await self.look_ahead()
        plan = self._fit(question, budget_tokens)
        self._anticipated = _Anticipated(self._basis(budget_tokens), question, self.history, plan)
        if self._screen is not None and any(message.holds_text_of_others for message in plan.messages):
            await self._screen.scan(plan.messages)
        return self._request(plan)

    async def send(
        self,
        question: Message,
        *,
        stored_id: str | None = None,
        partial_answer: str = "",
        is_cacheable: bool = False,
    ) -> AsyncGenerator[Event]:
        """Send a question and yield the turn's events; see ``core.events`` for their order.

        Expected failures are not raised: the last event says how the turn ended. The question is stored
        before the request is sent, the reply before ``TurnFinished``. On cancellation the partial reply is
        stored and the cancellation propagates.

        ``stored_id`` is the id of a question that is stored already, for another answer beside its first; the
        history then ends before it. ``partial_answer`` is the beginning of the answer: the remainder is
        requested, and the stored reply is the whole. ``is_cacheable``: an equal request may have been answered.
        """
        turn = RunningTurn(self._model_name, self._journal, self._clock, partial_answer)
        turn.is_cacheable = is_cacheable
        yield TurnStarted(self._model_name, self._journal.name)
        if partial_answer:
            yield AnswerContinued(partial_answer)
        try:
            async with aclosing(self._exchange(turn, question, stored_id)) as events:
                async for event in events:
                    yield event
            result = self._with_data(self._result(turn))
            for notice in await self._closing_notices(turn):
                yield notice
            self._keep(turn, result)
        except (CancelledError, GeneratorExit):
            self._keep_partial(turn)
            raise
        except ChatcliError as error:
            turn.error = error
            failed = TurnFailed(self._keep_partial(turn))
            for notice in await self._closing_notices(turn):
                yield notice
            yield failed
        else:
            yield TurnFinished(result)

    async def _exchange(
        self, turn: RunningTurn, question: Message, stored_id: str | None
    ) -> AsyncGenerator[Event]:
        """Fit the question, have it checked, store it, and yield what the model answers."""
        budget_tokens = self._budget_tokens
        notice = await self._strategy.prepare(self.history, budget_tokens, self._tokens, question)
        if notice is not None:
            yield notice
        # Fitted and checked before it is stored: a question that cannot be sent would only burden the next one.
        begun_tokens = self._tokens.estimate_text(turn.partial_answer) if turn.partial_answer else 0
        plan = self._fit(question, budget_tokens - begun_tokens)
        turn.sent = plan.messages
        for warning in await self.checked(turn.sent):
            yield warning
        identity = stored_id or self._journal.message(question, parent=self.history.head)
        turn.question_entry = Entry(identity, question)
        turn.reply = self._journal.begin_reply(parent=identity)
        async with aclosing(self._ask(question, plan, turn)) as events:
            async for event in events:
                turn.see(event)
                if not isinstance(event, Completion):
                    yield event

    async def checked(self, sent: Sequence[Message]) -> Sequence[Notice]:
        """Return notices about ``sent``; raise ``UsageError`` if it must not be sent."""
        if self._screen is None or not any(
            message.holds_text_of_others or message.imported for message in sent
        ):
            return ()
        return await self._screen.check(sent)

    async def _closing_notices(self, turn: RunningTurn) -> Sequence[Notice]:
        if turn.is_empty and turn.error is None:
            return (Notice("empty_answer", turn.emptiness),)
        return await self._screen.links(turn.text, turn.sent) if self._screen and turn.text else ()

    async def _ask(
        self, question: Message, plan: ContextPlan, turn: RunningTurn
    ) -> AsyncGenerator[ModelEvent | ContextFitted]:
        """Ask the model, with fewer older turns each time the endpoint refuses the prompt as too long.

        Once some of the answer was received, asking again would repeat it.
        """
        budget_tokens, began = self._budget_tokens, False
        for refits_left in range(REFITS, -1, -1):
            self._strategy.sent(self.history, plan)
            yield _context_fitted(plan, budget_tokens)
            if self.log.least <= INFO:
                note_context(self.log, plan, budget_tokens)
            if recalled := [part for part in plan.parts if part.kind == "retrieved"]:
                yield Notice("recalled", _quoted(recalled))
            try:
                async with aclosing(self._model.stream(self._request(plan, turn))) as events:
                    async for event in events:
                        began = began or isinstance(event, TextDelta | ReasoningDelta)
                        yield event
            except ContextOverflow as error:
                budget_tokens = self._smaller_budget(error, plan.sent_tokens)
                smaller = self._fit_or_none(question, budget_tokens)
                if began or smaller is None or not refits_left:
                    raise
                yield Notice("context_overflow", f"{error.clause}; retrying with fewer older turns")
                plan = smaller
            else:
                return

    def _smaller_budget(self, error: ContextOverflow, sent_tokens: int) -> int:
        """Return the smaller budget; a window size named by the endpoint is used from here on."""
        if error.window_tokens is not None and error.window_tokens < self._window.tokens:
            self._window = Window.of(error.window_tokens, self._parameters.max_tokens)
            self._usage = None
        allowed_tokens = self._budget_tokens
        return allowed_tokens if 0 < allowed_tokens < sent_tokens else int(sent_tokens * REFIT_SHARE)

    def _fit(self, question: Message, budget_tokens: int) -> ContextPlan:
        anticipated = self._anticipated
        if (
            anticipated is not None
            and anticipated.question == question
            and anticipated.basis == self._basis(budget_tokens)
        ):
            return anticipated.plan
        return self._strategy.fit(self.history, question, budget_tokens, self._tokens)

    def _basis(self, budget_tokens: int) -> tuple[object, ...]:
        """Return what ``_fit`` depends on beside the question."""
        return budget_tokens, self.history.state, self._tokens.state, self._strategy.memory

    def _fit_or_none(self, question: Message, budget_tokens: int) -> ContextPlan | None:
        try:
            return self._fit(question, budget_tokens)
        except InputTooLong:
            return None

    def _next(self, question: Message) -> ContextPlan:
        tokens = self._tokens.at_once()
        try:
            plan = self._strategy.fit(self.history, question, self._budget_tokens, tokens)
        except InputTooLong:
            plan = mandatory_only(self.history, question, tokens)
        return replace(plan, estimated=tokens is not self._tokens)

    def _measured(self) -> ContextUsage:
        plan = self._next(messages.question(""))
        tokens: Counter[str] = Counter(schema=self._tokens.of_form(self.response_format))
        for part in plan.parts:
            tokens[part.kind] += part.tokens
        system_tokens = sum(tokens[kind] for kind in ("instructions", "system", "note", "framing", "schema"))
        return ContextUsage(
            window_tokens=self._window.tokens,
            budget_tokens=self._window.budget_tokens,
            system_tokens=system_tokens,
            schema_tokens=tokens["schema"],
            turns_tokens=tokens.total() - system_tokens - tokens["question"],
            estimated=plan.estimated,
        )

    def _request(self, plan: ContextPlan, turn: RunningTurn | None = None) -> Request:
        return Request(
            self._model_name,
            plan.messages,
            self._parameters,
            partial_answer=turn.partial_answer if turn else "",
            counted_tokens=None if plan.estimated else self._tokens.by_vocabulary(plan.sent_tokens),
            receipt=turn.receipt if turn else None,
            response_format=self.response_format,
            is_cacheable=turn is not None and turn.is_cacheable,
        )

    def _result(self, turn: RunningTurn) -> TurnResult:
        """Return the result, with estimates for counts that a complete answer lacks."""
        if (result := turn.result()).usage.is_complete or (done := turn.completion) is None:
            return result
        sent, written, again = turn.sent_tokens, self._tokens.estimate_text(turn.text), done.answers - 1
        if sent is not None:
            sent += self._tokens.of_form(self.response_format)
            sent += again * (sent + written)  # what did not fit was sent back
        return replace(result, usage=result.usage.filled(Usage(sent, written * done.answers)))

    def _with_data(self, result: TurnResult) -> TurnResult:
        """Return ``result`` with the value of a whole answer; raise ``SchemaMismatch`` if it does not fit."""
        wanted, is_whole = self.response_format, result.finish_reason == "stop"
        if wanted is None or not is_whole or result.refusal is not None or result.tool_calls:
            return result
        # The client has had it checked: only a stored answer can be another one.
        return replace(result, data=wanted.data_in(result.text))

    def _keep(self, turn: RunningTurn, result: TurnResult) -> None:
        """Store the reply as far as received, and append the turn to the history."""
        question_entry, turn.question_entry = turn.question_entry, None
        if question_entry is None:
            return
        self._usage = None
        if (reason := _refusal_of(result)) is not None:
            self.history.pass_over(question_entry.id)
            self._journal.refused(question_entry.id, reason)
            return
        self.history.append(question_entry)
        if turn.reply is not None and (result.text or result.refusal or result.tool_calls):
            self._keep_reply(turn.reply, turn.message, result, question_entry.id)

    def _keep_reply(self, reply: Reply, message: Message, result: TurnResult, parent: str) -> None:
        head = parent
        try:
            reply.finish(message.kept, result)
            head = reply.id
        finally:
            # A reply that could not be stored stays in the history, but the next message must not name it as
            # its parent: a resume would not find the parent and lose all before it.
            self.history.append(Entry(head, message))

    def _keep_partial(self, turn: RunningTurn) -> TurnResult:
        result = self._result(turn)
        # The turn has failed already; that its partial answer could not be stored changes nothing.
        with suppress(LocalIOError):
            self._keep(turn, result)
        return result


class _Anticipated(NamedTuple):
    """A plan made before its question was asked; ``history`` is kept, so that no other gets its identity."""

    basis: tuple[object, ...]
    question: Message
    history: History
    plan: ContextPlan


def _refusal_of(result: TurnResult) -> str | None:
    """Return why the endpoint refuses the question itself, ``None`` if it may accept it later."""
    if result.text:
        return None
    if isinstance(result.error, EndpointError):
        return result.error.message if result.error.refuses_question else None
    return "the content filter blocked the answer" if result.finish_reason == "content_filter" else None


def _context_fitted(plan: ContextPlan, budget_tokens: int) -> ContextFitted:
    return ContextFitted(plan.sent_tokens, budget_tokens, plan.forgotten_turns, plan.estimated)


def _quoted(recalled: list[ContextPart]) -> str:
    from chatcli.text.shortening import shortened  # noqa: PLC0415 - few conversations recall anything

    quotes = (part.messages[0].person_text for part in recalled)
    return "back in the context: " + "; ".join(
        shortened(" ".join(words.split()), _QUOTED_COLUMNS) for words in quotes
    )
