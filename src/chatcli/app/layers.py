"""The layers around a model, and their order.

From the outside in: a cut answer is continued, another model stands in, reasoning in the text of an answer is set apart,
what the endpoint counts is compared with what was counted, a refused field is left out, what failed is asked again, what it costs is counted and kept within the
budget, the rate limit is kept to, waiting is told, the endpoint is asked. So every attempt counts against the limits, every part of an answer against the budget, and every
model that stands in is given all of its own attempts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chatcli.app.endpoints import pricing_at
from chatcli.conversation.counting import EstimatingCounter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from openai import AsyncOpenAI

    from chatcli.client.dialect import Dialect
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.fallback import Candidate
    from chatcli.client.learned_counts import LearnedCounts
    from chatcli.client.pause import Pause
    from chatcli.config.settings import Settings
    from chatcli.core.ports import ChatModel
    from chatcli.core.request import Request
    from chatcli.cost.budget import Budget
    from chatcli.cost.model_table import ModelTable


WINDOWS_FILE: Final = "windows.json"
"""What endpoints said of the windows of their models, in the cache folder."""


PARAMETERS_FILE: Final = "parameters.json"
"""What models do not take, in the cache folder."""


def layers(
    model: ChatModel, endpoint: Endpoint, settings: Settings, *, stand_ins: Sequence[Candidate] = ()
) -> ChatModel:
    """Return what is asked: ``model`` and, where it fails, what stands in for it."""
    from chatcli.client.continuing import ContinuingModel  # noqa: PLC0415
    from chatcli.client.fallback import FallbackModel  # noqa: PLC0415
    from chatcli.client.openings import opening_for  # noqa: PLC0415

    reliable = FallbackModel(model, stand_ins)
    return ContinuingModel(reliable, times=settings.auto_continue, opening=opening_for(endpoint))


def answering(
    client: AsyncOpenAI,
    endpoint: Endpoint,
    settings: Settings,
    *,
    pause: Pause,
    cache: Path,
    budget: Budget,
    counts: LearnedCounts,
    table: ModelTable,
) -> ChatModel:
    """Return one model of one endpoint, with all that makes it answer in the end; ``counts`` learns how it counts."""
    # The openai package takes half a second to import: only once somebody is to be asked.
    from chatcli.client.adapting import AdaptingModel  # noqa: PLC0415
    from chatcli.client.endpoint_memory import EndpointMemory  # noqa: PLC0415
    from chatcli.client.measuring import MeasuringModel  # noqa: PLC0415
    from chatcli.client.openai_model import OpenAIModel  # noqa: PLC0415
    from chatcli.client.rate_limit import RateLimitedModel, RateLimits  # noqa: PLC0415
    from chatcli.client.reasoning_separation import ReasoningSeparatingModel  # noqa: PLC0415
    from chatcli.client.retry import RetryingModel  # noqa: PLC0415
    from chatcli.client.waiting import WaitingModel  # noqa: PLC0415
    from chatcli.cost.budgeted import BudgetedModel  # noqa: PLC0415

    limits = RateLimits(
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        longest_wait_s=settings.retry_budget_s,
    )
    memory = EndpointMemory(cache / PARAMETERS_FILE, now_s=time.time()) if settings.save else None
    model = OpenAIModel(
        client,
        endpoint,
        dialect_of(settings),
        streamed=settings.stream,
        on_headers=limits.learn,
        memory=EndpointMemory(cache / "endings.json", now_s=time.time()) if settings.save else None,
    )
    waiting = WaitingModel(model, reason=f"waiting for {endpoint.name}")
    limited = RateLimitedModel(waiting, limits, tokens=_about_tokens)
    budgeted = BudgetedModel(
        limited,
        pricing_at(endpoint, settings, table),
        budget,
        count=EstimatingCounter().count,
        # A limit that this call asks for is kept or nothing is sent; one of the configuration is for all models.
        must_know=settings.max_cost is not None and settings.is_for_this_run("max_cost"),
    )
    retrying = RetryingModel(
        budgeted, retries=settings.retries, budget_s=settings.retry_budget_s, sleep=pause.sleep
    )
    adapting = AdaptingModel(retrying, endpoint.base_url, memory)
    is_kept = settings.save and not endpoint.embedded
    windows = EndpointMemory(cache / WINDOWS_FILE, now_s=time.time()) if is_kept else None
    measuring = MeasuringModel(adapting, endpoint, counts, windows)
    if settings.thoughts_in_text == "off":
        return measuring
    styles = EndpointMemory(cache / "reasoning.json", now_s=time.time()) if is_kept else None
    return ReasoningSeparatingModel(measuring, endpoint.base_url, styles)


def dialect_of(settings: Settings) -> Dialect:
    from chatcli.client.chat_completions import ChatCompletions  # noqa: PLC0415
    from chatcli.client.responses import Responses  # noqa: PLC0415

    return Responses() if settings.api == "responses" else ChatCompletions()


def _about_tokens(request: Request) -> int:
    """Return about what ``request`` counts for, as providers do: what is sent, and what may come."""
    counter = EstimatingCounter()
    sent = sum(counter.count(message.text) for message in request.messages)
    return sent + (request.parameters.max_tokens or 0)
