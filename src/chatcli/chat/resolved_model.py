"""The model a conversation asks, once it is known which one and where."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatcli.conversation.long_input.how import LongInput
from chatcli.core.strategy_table import DEFAULT_CONTEXT_STRATEGY
from chatcli.core.usage import Usage

if TYPE_CHECKING:
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import LearnedCounts
    from chatcli.conversation.turn_vectors import TurnVectors
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Parameters
    from chatcli.cost.budget import Budget
    from chatcli.cost.pricing import Pricing


class InterruptibleSleep:
    """Sleeps like ``asyncio.sleep``, until ``cut_short`` is called."""

    def __init__(self) -> None:
        self._sleeping: set[asyncio.Event] = set()

    async def sleep(self, time_s: float) -> None:
        over = asyncio.Event()
        self._sleeping.add(over)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(time_s):
                    await over.wait()
        finally:
            self._sleeping.discard(over)

    def cut_short(self) -> bool:
        """End every sleep now; return whether there was one."""
        for over in self._sleeping:
            over.set()
        return bool(self._sleeping)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Which model is asked, how, and through what. ``pause`` is where it waits before it asks again.

    ``counts`` knows how the endpoint counts, ``pricing`` is what it costs, ``budget`` what it may. ``context`` names the
    strategy that fits a conversation into its window, ``summary_model`` who sums up for it, ``None`` for the model
    itself, ``turn_vectors`` what finds turns by their meaning, where a model for that is set. ``long_input`` says what is
    done with a question that does not fit. ``separates_reasoning`` tells that reasoning in the text of an answer is no part
    of it. ``listed`` are the models the endpoint offers, where it was asked for them on the way.
    """

    model: ChatModel
    model_name: str
    window_tokens: int
    parameters: Parameters
    endpoint: Endpoint
    pause: InterruptibleSleep = field(default_factory=InterruptibleSleep)
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

    def about_usd(self, sent_tokens: int, answer_tokens: int = 0) -> float | None:
        """Return what it costs to send and to get about so many tokens, ``None`` where no price is known."""
        if self.pricing is None:
            return None
        usage = Usage(sent_tokens, answer_tokens, estimated=True)
        return usd_of(self.pricing, usage, self.model_name)


def usd_of(pricing: Pricing, usage: Usage, model: str) -> float | None:
    """Return what ``usage`` of a model costs in US dollars, ``None`` where that is not known."""
    cost_usd = pricing.cost_of(usage, model)
    return None if cost_usd is None else float(cost_usd)
