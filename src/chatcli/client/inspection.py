"""Looking at an endpoint closely: its models, how fast it answers, its TLS version and the certificates it sends."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2

from chatcli.client.catalog import offered_models
from chatcli.client.openai_client import transport_to
from chatcli.client.openai_model import OpenAIModel
from chatcli.client.pool import Hooks, Pool
from chatcli.core.errors import EndpointError, TimedOut
from chatcli.core.events import Completion, ReasoningDelta, TextDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatcli.client.catalog import OfferedModel
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.openai_model import Dialect
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


_NAMING = ("commonName", "organizationName", "organizationalUnitName")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whose it is, who signed it, and until when it holds; texts are the server's own words."""

    subject: str
    issuer: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class TLS:
    """``version`` as OpenSSL names it; ``chain`` begins with the server's own certificate."""

    version: str
    chain: tuple[Certificate, ...]


class TLSWatch:
    """Sees the TLS connections that a request makes; given to ``connect`` as ``on_request``."""

    def __init__(self) -> None:
        self.tls: TLS | None = None

    async def __call__(self, request: httpx2.Request) -> None:
        request.extensions["trace"] = self._note

    async def _note(self, event: str, details: Mapping[str, Any]) -> None:
        # Through a proxy that speaks TLS itself there are two; the later one is the server's.
        if event.endswith("start_tls.complete"):
            self.tls = tls_of(details["return_value"].get_extra_info("ssl_object"))


async def refused_certificate(
    endpoint: Endpoint, environment: Mapping[str, str], *, timeout_s: float
) -> TLS | None:
    """Return the TLS of a server that is not trusted, ``None`` where it does not even come about.

    Neither the key nor anything said goes there.
    """
    watch = TLSWatch()
    transport = transport_to(endpoint, environment, verified=False)
    asking = httpx2.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=timeout_s,
        event_hooks={"request": [watch]},
    )
    with suppress(httpx2.HTTPError, httpx2.InvalidURL):
        async with asking:
            await asking.head(httpx2.URL(endpoint.base_url).join("/"))
    return watch.tls


def tls_of(connection: ssl.SSLObject | ssl.SSLSocket) -> TLS:
    return TLS(connection.version() or "TLS", tuple(_chain(connection)))


def _chain(connection: ssl.SSLObject | ssl.SSLSocket) -> Iterable[Certificate]:
    # What was not verified is shown by no public name before Python 3.13, and then only as bytes.
    sent: Callable[[], Any] = getattr(getattr(connection, "_sslobj", None), "get_unverified_chain", list)
    for certificate in sent() or ():
        with suppress(AttributeError, KeyError, ValueError):
            yield _read(certificate.get_info())


def _read(info: Mapping[str, Any]) -> Certificate:
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(info["notAfter"]), UTC)
    return Certificate(_named(info.get("subject", ())), _named(info.get("issuer", ())), expires)


def _named(name: Iterable[Iterable[tuple[str, str]]]) -> str:
    fields = {key: value for part in name for key, value in part}
    return next((fields[key] for key in _NAMING if fields.get(key)), "without a name")
