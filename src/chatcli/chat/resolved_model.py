"""The resolved model of a conversation."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from chatcli.conversation.counting import as_it_is
from chatcli.conversation.long_input.how import LongInput
from chatcli.core.event_log import NO_LOG
from chatcli.core.events import Usage
from chatcli.core.frozen import frozen
from chatcli.core.strategy_table import DEFAULT_CONTEXT_STRATEGY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import LearnedCounts
    from chatcli.conversation.turn_vectors import TurnVectors
    from chatcli.core.event_log import EventLog
    from chatcli.core.messages import Message
    from chatcli.core.ports import ChatModel, EarlyEndpoint
    from chatcli.core.request import Parameters, Request
    from chatcli.cost.budget import Budget
    from chatcli.cost.pricing import Pricing
    from chatcli.safety.screening import Screening


@frozen
class ResolvedModel:
    """The model of a conversation and how it is asked.

    ``retry_now`` ends the wait before another attempt, and returns whether there was one.

    ``counts`` knows how the endpoint counts, ``pricing`` its prices, ``budget`` the limits. ``context`` names
    the context strategy, ``summary_model`` the model that summarizes, ``None`` for the model itself,
    ``turn_vectors`` the search of turns by meaning, if an embedding model is set. ``long_input`` says how
    questions too long for the window are handled. ``separates_reasoning``: reasoning in the text of an answer
    is not part of it. ``listed`` are the models of the endpoint, if they were listed. ``instructions`` are sent before the system prompt. ``as_sent`` returns a message
    with frames around text of others, as the model gets it, and ``screen`` checks that text, ``None`` if nobody wants it.
    ``early`` does at the endpoint what can be done before there is a request. ``look_up_early`` looks the answer to a
    draft up in the cache, ``None`` without one. ``open_ahead`` returns the same model for questions that nobody has asked
    yet: it goes after everything else, gives up at once, asks nobody and has a budget of its own. ``log`` takes the events.
    """

    model: ChatModel
    model_name: str
    window_tokens: int
    parameters: Parameters
    endpoint: Endpoint
    retry_now: Callable[[], bool] = lambda: False
    default_system: str | None = None
    pricing: Pricing | None = None
    budget: Budget | None = None
    context: str = DEFAULT_CONTEXT_STRATEGY
    counts: LearnedCounts | None = None
    summary_model: str | None = None
    turn_vectors: TurnVectors | None = None
    long_input: LongInput = field(default_factory=LongInput)
    separates_reasoning: bool = True
    listed: tuple[str, ...] = ()
    instructions: str = ""
    screen: Screening | None = None
    as_sent: Callable[[Message], Message] = as_it_is
    early: EarlyEndpoint | None = None
    look_up_early: Callable[[Request], Awaitable[None]] | None = None
    open_ahead: Callable[[], ChatModel] | None = None
    log: EventLog = NO_LOG

    def request_usd(self, sent_tokens: int, answer_tokens: int = 0) -> float | None:
        """Return what about a whole request costs, with one web search if it may search; ``None`` if unknown."""
        return self.about_usd(sent_tokens, answer_tokens, searches=1 if self.parameters.web_search else None)

    def about_usd(
        self, sent_tokens: int, answer_tokens: int = 0, *, searches: int | None = None
    ) -> float | None:
        """Return the cost of about so many tokens sent and received, ``None`` if the price is unknown."""
        if self.pricing is None:
            return None
        usage = Usage(sent_tokens, answer_tokens, estimated=True, searches=searches)
        return usd_of(self.pricing, usage, self.model_name)


def usd_of(pricing: Pricing, usage: Usage, model: str) -> float | None:
    """Return the cost of ``usage`` in US dollars, ``None`` if unknown."""
    cost_usd = pricing.cost_of(usage, model)
    return None if cost_usd is None else float(cost_usd)
