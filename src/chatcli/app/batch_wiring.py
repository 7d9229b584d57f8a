"""Wiring of a batch: from settings to the model that rows are asked of."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from chatcli.app.resolver import ModelResolver
from chatcli.app.run_context import BULK
from chatcli.app.wiring import body_to_send
from chatcli.batching.provider_batch import ProviderTerms
from chatcli.batching.row_requests import RequestDefaults
from chatcli.chat import Conversation
from chatcli.conversation.counting import (
    TOKENS_AROUND_MESSAGE,
    TOKENS_TO_OPEN_REPLY,
    EstimatingCounter,
    loaded_counter,
)
from chatcli.core.errors import BudgetReached
from chatcli.core.events import Usage
from chatcli.core.messages import system
from chatcli.core.request import Request
from chatcli.cost.budget import Need, Refusal
from chatcli.cost.ledger import Expense
from chatcli.cost.request_options import expected_answer_tokens, longest_answer_tokens, sent_beside
from chatcli.sessions.log import SessionLog
from chatcli.sessions.store import SessionStore
from chatcli.text.frames import INSTRUCTION_MESSAGE
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.batching.row_requests import BatchRow
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.config.settings import Settings
    from chatcli.core.ports import ProviderBatches


_EXPENSES_AT_ONCE: Final = 100
"""What a killed run may lack of the statistics; where a budget is set, every expense is written at once."""


class OpenBatch(NamedTuple):
    """The ``resolved`` model of a batch, and the ``defaults`` of its rows."""

    resolved: ResolvedModel
    defaults: RequestDefaults
    settings: Settings
    context: RunContext

    def estimate(self, rows: Iterable[BatchRow], *, share: Decimal = Decimal(1)) -> BatchEstimate:
        """Return what the rows will cost, counted by the vocabulary of each model; this reads all of them.

        ``share`` is the part of the price that is asked.
        """
        found = _estimate(self.resolved, rows)
        costs = found.cost_usd, found.cost_with_answers_usd
        sent_usd, all_usd = (None if cost is None else cost * float(share) for cost in costs)
        return found._replace(cost_usd=sent_usd, cost_with_answers_usd=all_usd)

    def provider(self) -> ProviderBatches:
        """Return the batch API of the endpoint."""
        from chatcli.client.batch_api import BatchApi  # noqa: PLC0415 - openai takes half a second to import
        from chatcli.client.openai_model import OpenAIModel  # noqa: PLC0415 - as above
        from chatcli.client.pipeline import dialect_for  # noqa: PLC0415 - as above

        endpoint, settings, context = self.resolved.endpoint, self.settings, self.context
        dialect = dialect_for(settings.api)
        return BatchApi(
            context.shared.pool.entry(endpoint, context.environment),
            dialect.path,
            lambda request: body_to_send(request, endpoint, settings, context),
            OpenAIModel(endpoint, dialect, streamed=False),
        )

    def provider_terms(self) -> ProviderTerms:
        """Return the budget's say about what is sent to the provider's batch API, at half the price."""
        half = _HalfPrice(self)
        return ProviderTerms(half.admit, half.book)


@asynccontextmanager
async def open_batch(
    settings: Settings, options: ChatOptions, context: RunContext, notify: Notify
) -> AsyncIterator[OpenBatch]:
    """Resolve and connect the model that settings and options describe. No session is written.

    Answers are asked for whole unless the settings of this call say otherwise: nobody watches them arrive, and reading a stream costs more. Raise a ``ChatcliError`` if
    something is missing or wrong.
    """
    if "stream" not in settings.asked_for:
        settings = replace(settings, stream=False)
    options = replace(options, unwatched=True, priority=BULK)
    context.shared.spending.expenses_at_once = _EXPENSES_AT_ONCE
    async with AsyncExitStack() as stack:
        # It pays, and has no file.
        store = SessionStore(context.paths.data, keeps_last=False)
        conversation = stack.enter_context(
            closing(Conversation(SessionLog(None, app="", folder=None), store))
        )
        resolved = await ModelResolver(settings, options, context, notify, stack).resolve(conversation)
        prompt = settings.system if settings.system is not None else resolved.default_system
        texts = [text for text in (resolved.instructions, prompt) if text]
        defaults = RequestDefaults(
            resolved.model_name,
            resolved.parameters,
            (system("\n\n".join(texts)),) if texts else (),
            settings.api,
            options.response_format,
            settings.aliases,
        )
        if settings.web_search != "off":
            _check_web_search(resolved, settings, context)
        try:
            yield OpenBatch(resolved, defaults, settings, context)
        finally:
            if resolved.budget is not None:
                with suppress(OSError):  # it was reported when it first failed
                    context.shared.spending.catch_up(resolved.budget.ledger)


def _check_web_search(resolved: ResolvedModel, settings: Settings, context: RunContext) -> None:
    """Raise ``UsageError`` if the model is known not to search: every row would fail for itself."""
    from chatcli.client.endpoint_facts import refused_before  # noqa: PLC0415 - most batches do not search
    from chatcli.client.web_search import search_fields  # noqa: PLC0415 - as above

    entry = context.shared.pool.entry(resolved.endpoint, context.environment)
    request = Request(resolved.model_name, (), resolved.parameters)
    refused = entry.facts(context.paths.cache, is_kept=settings.save).refused
    request = replace(request, without=refused_before(refused, request))
    search_fields(request, resolved.endpoint, settings.api)


PROVIDER_SHARE: Final = Decimal("0.5")
"""The share of the price that providers ask for batches (https://platform.openai.com/docs/guides/batch)."""


class _HalfPrice:
    """Admits and books the rows of one run at the provider's batch API."""

    def __init__(self, batch: OpenBatch) -> None:
        self._pricing = batch.resolved.pricing
        self._budget = batch.resolved.budget
        self._count = EstimatingCounter().count
        self._host = batch.resolved.endpoint.host
        self._screen = batch.resolved.screen
        self._admitted_usd = Decimal(0)

    async def admit(self, request: Request) -> None:
        """Add the request to what is sent. Raise ``BudgetReached`` if a limit leaves no room for all of it.

        Raise ``UsageError`` if it holds text that must not be sent.
        """
        if self._screen is not None and any(message.holds_text_of_others for message in request.messages):
            await self._screen.check(request.messages)
        budget = self._budget
        if budget is None or not budget.limits:
            return
        sent = sum(self._count(message.sent_text) for message in request.messages)
        sent += self._count(_beside_messages(request))
        cost_usd = self._cost_usd(request.model, Usage(sent, expected_answer_tokens(request.parameters)))
        # What is sent is not in flight here: it is answered when this run may have ended.
        total_usd = self._admitted_usd + (cost_usd or 0)
        admission = await asyncio.to_thread(
            budget.admit, None if cost_usd is None else Need(total_usd, Decimal(0), 0, 0)
        )
        if isinstance(admission, Refusal):
            raise BudgetReached(
                f"budget reached: the rows would cost about {dollars(total_usd)}; {admission.standing.words}",
                hint=admission.standing.remedy,
            )
        admission.release()
        self._admitted_usd = total_usd

    def book(self, model: str, usage: Usage) -> float | None:
        """Book an answer and return its cost in dollars, ``None`` if the price is unknown."""
        cost_usd, budget = self._cost_usd(model, usage), self._budget
        if budget is not None:
            account = budget.account
            expense = Expense(budget.ledger.clock(), model, self._host, cost_usd, account.payer().name)
            account.spending.book(expense, budget.ledger)
        return None if cost_usd is None else float(cost_usd)

    def _cost_usd(self, model: str, usage: Usage) -> Decimal | None:
        cost_usd = None if self._pricing is None else self._pricing.cost_of(usage, model)
        return None if cost_usd is None else cost_usd * PROVIDER_SHARE


class BatchEstimate(NamedTuple):
    """What a batch will cost: counted ``input_tokens``, and ``answer_tokens`` that are assumed, or the longest allowed.

    ``cost_usd`` and ``cost_with_answers_usd`` are ``None`` if a price is unknown. ``invalid`` rows are not sent.
    """

    rows: int = 0
    invalid: int = 0
    input_tokens: int = 0
    answer_tokens: int = 0
    longest_answer_tokens: int | None = 0
    cost_usd: float | None = 0.0
    cost_with_answers_usd: float | None = 0.0


def _estimate(resolved: ResolvedModel, rows: Iterable[BatchRow]) -> BatchEstimate:
    totals = BatchEstimate()
    counters: dict[str, Callable[[str], int]] = {}
    for row in rows:
        request = row.request
        if request is None:
            totals = totals._replace(rows=totals.rows + 1, invalid=totals.invalid + 1)
            continue
        if request.model not in counters:
            counters[request.model] = loaded_counter(request.model)
        count = counters[request.model]
        messages = [resolved.as_sent(message) for message in request.messages]
        if any(message.holds_text_of_others for message in messages):
            messages.append(INSTRUCTION_MESSAGE)
        sent = (
            sum(count(message.sent_text) + TOKENS_AROUND_MESSAGE for message in messages)
            + count(_beside_messages(request))
            + TOKENS_TO_OPEN_REPLY
        )
        expected = expected_answer_tokens(request.parameters)
        totals = BatchEstimate(
            totals.rows + 1,
            totals.invalid,
            totals.input_tokens + sent,
            totals.answer_tokens + expected,
            _sum(totals.longest_answer_tokens, longest_answer_tokens(request.parameters)),
            _sum(totals.cost_usd, _cost_usd(resolved, request.model, sent, 0)),
            _sum(totals.cost_with_answers_usd, _cost_usd(resolved, request.model, sent, expected)),
        )
    return totals


def _beside_messages(request: Request) -> str:
    """Return what is sent beside the messages and read by the model: the schema of the answer, tools and the like."""
    form = request.response_format
    return ("" if form is None else form.words) + sent_beside(request.parameters)


_Number = TypeVar("_Number", int, float)


def _sum(total: _Number | None, more: _Number | None) -> _Number | None:
    return None if total is None or more is None else total + more


def _cost_usd(resolved: ResolvedModel, model: str, sent: int, answered: int) -> float | None:
    # Of each request, as some prices depend on its length.
    cost = None if resolved.pricing is None else resolved.pricing.cost_of(Usage(sent, answered), model)
    return None if cost is None else float(cost)
