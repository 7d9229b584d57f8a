"""Looking at an endpoint closely: what asking it for its models shows, and how fast it answers."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from chatcli.client.catalog import offered_models
from chatcli.client.certificates import TLSWatch
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.pool import Hooks, Pool
from chatcli.core.errors import EndpointError, TimedOut
from chatcli.core.events import Completion, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from chatcli.client.catalog import OfferedModel
    from chatcli.client.certificates import TLS
    from chatcli.client.dialect import Dialect
    from chatcli.client.endpoint import Endpoint
    from chatcli.core.request import Request


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of asking an endpoint for its models.

    ``models`` is ``None`` where it gave no list, and ``error`` says why. ``tls`` is ``None`` without encryption, or
    where none came about. ``clock_skew_s`` is how far the server's clock is ahead of ours, in seconds, as far as it
    told. ``latency_s`` is the time to the response's headers, connection included.
    """

    models: tuple[OfferedModel, ...] | None = None
    error: EndpointError | None = None
    tls: TLS | None = None
    clock_skew_s: float | None = None
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """When an answer's headers, its first text and its end came, in seconds from the asking.

    ``first_s`` is ``None`` for an answer without any text.
    """

    headers_s: float
    first_s: float | None
    total_s: float
    finish_reason: str


class _Headers:
    """Notes when the headers of a response come, and what the server says the time is; both clocks in seconds."""

    def __init__(self) -> None:
        self.asked_s = 0.0
        self.latency_s: float | None = None
        self.clock_skew_s: float | None = None

    async def __call__(self, response: httpx2.Response) -> None:
        self.latency_s = time.monotonic() - self.asked_s
        self.clock_skew_s = clock_skew_s(response.headers.get("date"), now_s=time.time())


async def visit(pool: Pool, endpoint: Endpoint, environment: Mapping[str, str], *, timeout_s: float) -> Visit:
    """Ask ``endpoint`` for its models. Raise a ``ConfigurationError`` like ``connect``, and nothing for a failure."""
    watch, headers = TLSWatch(), _Headers()
    entry = pool.entry(endpoint, environment, Hooks(watch, headers))
    async with pool:
        await entry.open()
        headers.asked_s = time.monotonic()
        try:
            # The package's own limit is for each read: a server that trickles would hold us for ever.
            async with asyncio.timeout(timeout_s):
                seen = Visit(models=await offered_models(entry, timeout_s=timeout_s))
        except EndpointError as error:
            seen = Visit(error=error)
        except TimeoutError:
            seen = Visit(error=_no_list(endpoint, timeout_s))
    return replace(seen, tls=watch.tls, clock_skew_s=headers.clock_skew_s, latency_s=headers.latency_s)


async def time_answer(
    pool: Pool,
    endpoint: Endpoint,
    environment: Mapping[str, str],
    request: Request,
    *,
    dialect: Dialect,
    streamed: bool,
) -> AnswerTimes:
    """Ask ``request`` once and return when its parts came; raise the ``EndpointError`` of an answer that failed."""
    headers = _Headers()
    first_s: float | None = None
    finish_reason = ""
    entry = pool.entry(endpoint, environment, Hooks(on_response=headers))
    async with entry.meter.call("probe") as call:
        await entry.open()
        asked_s = headers.asked_s = time.monotonic()
        model = OpenAIModel(endpoint, dialect, streamed=streamed)
        async with aclosing(model.answer(request, call)) as events:
            async for event in events:
                if first_s is None and isinstance(event, TextDelta | ReasoningDelta):
                    first_s = time.monotonic() - asked_s
                if isinstance(event, Completion):
                    finish_reason = event.finish_reason
        total_s = time.monotonic() - asked_s
    return AnswerTimes(headers.latency_s or total_s, first_s, total_s, finish_reason)


def _no_list(endpoint: Endpoint, timeout_s: float) -> TimedOut:
    return TimedOut(
        f"{endpoint.host}: no list of models within {timeout_s:g} s",
        hint="the server, or something on the way to it, is overloaded",
    )


def clock_skew_s(date: str | None, *, now_s: float) -> float | None:
    """Return how far the clock that wrote a ``Date`` header is ahead of ``now_s``, both in seconds."""
    try:
        return parsedate_to_datetime(date).timestamp() - now_s if date else None
    except (ValueError, OverflowError, OSError):
        return None
