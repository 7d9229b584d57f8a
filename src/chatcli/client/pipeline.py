"""The layers around what asks an endpoint, and their order: one table.

Every attempt counts against the limits, every part of an answer against the budget, and every fallback is given
all of its own attempts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.client.chat_completions import ChatCompletions
from chatcli.client.continuation import ContinuationModel
from chatcli.client.endpoint_facts import UnsupportedParametersModel, UsageCalibrationModel
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.pool import MeteredModel
from chatcli.client.reasoning_separation import ReasoningSeparatingModel
from chatcli.client.responses import Responses
from chatcli.client.retry import FallbackModel, RetryingModel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import EndpointFacts
    from chatcli.client.openai_model import Dialect
    from chatcli.client.pool import PoolEntry
    from chatcli.client.rate_limit import OwnLimits
    from chatcli.client.retry import Fallback
    from chatcli.core.ports import ChatModel, TokenCounter

    Wrap: TypeAlias = Callable[[ChatModel], ChatModel]


class ModelOptions(NamedTuple):
    """How a model is asked.

    ``api`` names the dialect. ``facts`` are what is known of the endpoint; the layers add to it. ``counter`` counts about
    what is sent. ``budget`` wraps a model in the layer that keeps to a budget. ``auto_continue`` is how often a cut answer
    is asked for the rest, ``None`` where somebody else joins answers.
    """

    api: str
    streamed: bool
    facts: EndpointFacts
    counter: TokenCounter
    sleep: Callable[[float], Awaitable[None]]
    own_limits: OwnLimits
    retries: int
    retry_budget_s: float
    separates_reasoning: bool
    budget: Wrap | None = None
    fallbacks: Sequence[Fallback] = ()
    auto_continue: int | None = None


class Layer(NamedTuple):
    """A row of the table: ``build`` wraps a model where ``applies`` says so; elsewhere there is no such layer."""

    name: str
    applies: Callable[[ModelOptions], bool]
    build: Callable[[ChatModel, Endpoint, ModelOptions], ChatModel]


LAYERS: Final = (
    # From the outside in. This one asks for the rest of a cut answer, and joins it.
    Layer(
        "continuation",
        lambda options: options.auto_continue is not None,
        lambda inner, endpoint, options: ContinuationModel.at(
            endpoint, inner, times=options.auto_continue or 0
        ),
    ),
    # It asks another model where one fails.
    Layer(
        "fallback",
        lambda options: bool(options.fallbacks),
        lambda inner, _, options: FallbackModel(inner, options.fallbacks),
    ),
    # It sets apart the reasoning that a server sends in the text of an answer.
    Layer(
        "reasoning separation",
        lambda options: options.separates_reasoning,
        lambda inner, _, options: ReasoningSeparatingModel(inner, options.facts.reasoning_styles),
    ),
    # It compares what the endpoint counts with what was counted.
    Layer(
        "usage calibration",
        lambda _: True,
        lambda inner, endpoint, options: UsageCalibrationModel(
            inner, endpoint, options.facts.counts, options.facts.windows
        ),
    ),
    # It leaves out a field that the endpoint refuses.
    Layer(
        "unsupported parameters",
        lambda _: True,
        lambda inner, _, options: UnsupportedParametersModel(inner, options.facts.refused),
    ),
    # It asks again until the first visible delta.
    Layer(
        "retry",
        lambda options: options.retries > 0,
        lambda inner, _, options: RetryingModel(
            inner, retries=options.retries, budget_s=options.retry_budget_s, sleep=options.sleep
        ),
    ),
    # It counts what the answer costs, and stops before a budget is passed.
    Layer(
        "budget",
        lambda options: options.budget is not None,
        lambda inner, _, options: options.budget(inner) if options.budget else inner,
    ),
)


def build_model(entry: PoolEntry, options: ModelOptions) -> ChatModel:
    """Return what asks ``entry``: the meter, which keeps to the rate limits, in all the layers that apply."""
    endpoint = entry.endpoint
    model: ChatModel = MeteredModel(
        OpenAIModel(
            endpoint,
            dialect_for(options.api),
            streamed=options.streamed,
            endings=options.facts.endings,
        ),
        entry.meter,
        reason=f"waiting for {endpoint.name}",
        counter=options.counter,
        own=options.own_limits,
    )
    for layer in reversed(LAYERS):
        if layer.applies(options):
            model = layer.build(model, endpoint, options)
    return model


def dialect_for(api: str) -> Dialect:
    return Responses() if api == "responses" else ChatCompletions()
