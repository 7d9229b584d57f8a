"""Inspection of an endpoint: its models, latency, TLS version and certificates."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import aclosing, suppress
from dataclasses import replace
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
from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatcli.client.catalog import OfferedModel
    from chatcli.client.dialect import Dialect
    from chatcli.client.endpoint import Endpoint
    from chatcli.core.request import Request


@frozen
class Visit:
    """The result of asking an endpoint for its models.

    ``models`` is ``None`` if it sent no list, and ``error`` says why. ``tls`` is ``None`` without encryption,
    or if the handshake failed. ``clock_skew_s`` is how far the server's clock is ahead of ours, in seconds,
    if known. ``latency_s`` is the time to the response's headers, connection included.
    """

    models: tuple[OfferedModel, ...] | None = None
    error: EndpointError | None = None
    tls: TLS | None = None
    clock_skew_s: float | None = None
    latency_s: float | None = None


@frozen
class AnswerTimes:
    """The times of an answer's headers, first text and end, in seconds from the request.

    ``first_s`` is ``None`` for an answer without text.
    """

    headers_s: float
    first_s: float | None
    total_s: float
    finish_reason: str


class _Headers:
    """Records the arrival time of a response's headers and the server's clock, both in seconds."""

    def __init__(self) -> None:
        self.sent_s = 0.0
        self.latency_s: float | None = None
        self.clock_skew_s: float | None = None

    async def __call__(self, response: httpx2.Response) -> None:
        self.latency_s = time.monotonic() - self.sent_s
        self.clock_skew_s = clock_skew_s(response.headers.get("date"), now_s=time.time())


async def visit(pool: Pool, endpoint: Endpoint, environment: Mapping[str, str], *, timeout_s: float) -> Visit:
    """Ask ``endpoint`` for its models. Raise only a ``ConfigurationError``, like ``connect``."""
    watch, headers = TLSWatch(), _Headers()
    entry = pool.entry(endpoint, environment, Hooks(watch, headers))
    async with pool:
        await entry.open()
        headers.sent_s = time.monotonic()
        try:
            # The package's own limit is per read: a server that trickles would never reach it.
            async with asyncio.timeout(timeout_s):
                visited = Visit(models=await offered_models(entry, timeout_s=timeout_s))
        except EndpointError as error:
            visited = Visit(error=error)
        except TimeoutError:
            visited = Visit(error=_no_list(endpoint, timeout_s))
    return replace(visited, tls=watch.tls, clock_skew_s=headers.clock_skew_s, latency_s=headers.latency_s)


async def time_answer(
    pool: Pool,
    endpoint: Endpoint,
    environment: Mapping[str, str],
    request: Request,
    *,
    dialect: Dialect,
    streamed: bool,
) -> AnswerTimes:
    """Send ``request`` once and return the times of its answer; raise its ``EndpointError``."""
    headers = _Headers()
    first_s: float | None = None
    finish_reason = ""
    entry = pool.entry(endpoint, environment, Hooks(on_response=headers))
    async with entry.meter.call("probe") as call:
        await entry.open()
        sent_s = headers.sent_s = time.monotonic()
        model = OpenAIModel(endpoint, dialect, streamed=streamed)
        async with aclosing(model.answer(request, call)) as events:
            async for event in events:
                if first_s is None and isinstance(event, TextDelta | ReasoningDelta):
                    first_s = time.monotonic() - sent_s
                if isinstance(event, Completion):
                    finish_reason = event.finish_reason
        total_s = time.monotonic() - sent_s
    return AnswerTimes(headers.latency_s or total_s, first_s, total_s, finish_reason)


def _no_list(endpoint: Endpoint, timeout_s: float) -> TimedOut:
    return TimedOut(
        f"{endpoint.host}: no list of models within {timeout_s:g} s",
        hint="the server, or something on the way to it, is overloaded",
    )


def clock_skew_s(date: str | None, *, now_s: float) -> float | None:
    """Return how far the clock of a ``Date`` header is ahead of ``now_s``, both in seconds."""
    try:
        return parsedate_to_datetime(date).timestamp() - now_s if date else None
    except (ValueError, OverflowError, OSError):
        return None


_NAMING = ("commonName", "organizationName", "organizationalUnitName")


@frozen
class Certificate:
    """Subject, issuer and expiry of a certificate; texts are the server's own."""

    subject: str
    issuer: str
    expires: datetime


@frozen
class TLS:
    """A TLS connection: ``version`` as OpenSSL names it; ``chain`` begins with the server's own certificate."""

    version: str
    chain: tuple[Certificate, ...]


class TLSWatch:
    """Records the TLS connections of a request; passed to ``connect`` as ``on_request``."""

    def __init__(self) -> None:
        self.tls: TLS | None = None

    async def __call__(self, request: httpx2.Request) -> None:
        request.extensions["trace"] = self._note

    async def _note(self, event: str, details: Mapping[str, Any]) -> None:
        # With a TLS proxy there are two connections; the later one is the server's.
        if event.endswith("start_tls.complete"):
            self.tls = tls_of(details["return_value"].get_extra_info("ssl_object"))


async def refused_certificate(
    endpoint: Endpoint, environment: Mapping[str, str], *, timeout_s: float
) -> TLS | None:
    """Return the TLS of an untrusted server, ``None`` if the handshake fails.

    Neither the key nor any message is sent.
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
    # Before Python 3.13 unverified certificates have no public accessor, and then only as bytes.
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
