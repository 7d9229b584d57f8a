"""Checks of the network and the server: proxy, name, connection, certificate, key, models, an answer."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from chatcli.app.threads import in_thread
from chatcli.config.aliases import is_name_of
from chatcli.core.errors import EndpointError, RequestRefused
from chatcli.core.messages import question
from chatcli.core.request import Parameters, Request
from chatcli.doctor.examination import of_error, ok, problem, skipped, warning
from chatcli.text.times import in_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from chatcli.client.endpoint import Endpoint
    from chatcli.client.inspection import TLS, AnswerTimes, Certificate, Visit
    from chatcli.config.settings import Settings
    from chatcli.doctor.examination import Examination, Finding


_PORTS = {"http": 80, "https": 443}


class Stop(NamedTuple):
    """The first connection's destination: the proxy, else the server itself."""

    host: str
    port: int


async def check_proxy(examination: Examination) -> Iterable[Finding]:
    endpoint = examination.destination
    if endpoint.proxy is not None:
        return [ok("proxy", f"{endpoint.proxy} leads to {endpoint.host}")]
    reason = "never used for this machine" if endpoint.loopback else "none is set for this address"
    return [ok("proxy", reason)]


async def check_dns(examination: Examination) -> Iterable[Finding]:
    endpoint = examination.destination
    stop = first_stop(endpoint)
    if _is_address(stop.host):
        examination.addresses = (stop.host,)
        return [ok("dns", f"{stop.host} is an address")]
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(endpoint.connect_timeout_s):
            addresses = await _resolved(stop)
    except TimeoutError:
        return [
            problem(
                "dns",
                f"{stop.host}: no name server answers within {endpoint.connect_timeout_s:g} s",
                "check the network and its name servers",
            )
        ]
    except (OSError, UnicodeError) as error:
        return [_not_reached("dns", endpoint, error)]
    examination.addresses = addresses
    return [
        ok("dns", f"{stop.host} → {', '.join(addresses)} ({in_milliseconds(time.monotonic() - began_s)})")
    ]


async def check_connection(examination: Examination) -> Iterable[Finding]:
    """Connect to one address after the other; report those that fail before one succeeds."""
    endpoint = examination.destination
    port = first_stop(endpoint).port
    failures: list[str] = []
    failed: OSError = TimeoutError()
    for address in examination.addresses:
        began_s = time.monotonic()
        try:
            await _connect(address, port, endpoint.connect_timeout_s)
        except OSError as error:
            failures.append(address)
            failed = error
        else:
            took = in_milliseconds(time.monotonic() - began_s)
            return [ok("connect", f"{_with_port(address, port)} ({took})"), *map(_passed_over, failures)]
    if isinstance(failed, TimeoutError):
        return [_silent(endpoint, failures, port)]
    return [_not_reached("connect", endpoint, failed)]


def first_stop(endpoint: Endpoint) -> Stop:
    if endpoint.proxy is not None:
        return Stop(endpoint.proxy.host, endpoint.proxy.port)
    parts = urlsplit(endpoint.base_url)
    return Stop(parts.hostname or "", parts.port or _PORTS[parts.scheme])


async def _resolved(stop: Stop) -> tuple[str, ...]:
    """Return the addresses of a name. Exiting does not wait for an unresponsive name server."""
    answers = await in_thread(lambda: socket.getaddrinfo(stop.host, stop.port, type=socket.SOCK_STREAM))
    return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))


async def _connect(address: str, port: int, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        _, writer = await asyncio.open_connection(address, port)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _not_reached(name: str, endpoint: Endpoint, error: Exception) -> Finding:
    from chatcli.client.network_faults import not_reached  # noqa: PLC0415 -- httpx2 and openai are slow to import

    return of_error(name, not_reached(endpoint, error))


def _silent(endpoint: Endpoint, addresses: list[str], port: int) -> Finding:
    shown = ", ".join(_with_port(address, port) for address in addresses)
    place = str(endpoint.proxy) if endpoint.proxy else "the address"
    return problem(
        "connect",
        f"{shown}: no connection within {endpoint.connect_timeout_s:g} s",
        f"check {place}, the network and firewalls on the way",
    )


def _passed_over(address: str) -> Finding:
    return warning(
        "connect",
        f"{address} does not answer, another address does",
        "connecting may be slow because of it",
    )


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


_TLS_CODES = {"tls", "tls_certificate"}
_NO_LIST = {404, 405, 501}
_SOON_DAYS = 14
_SKEW_S = 60
_FEW_TOKENS = {"chat": 1, "responses": 16}
"""The smallest limit each API accepts."""
_MORE_TOKENS = 256


async def check_tls(examination: Examination) -> Iterable[Finding]:
    """Request the server's models, and report on TLS; other checks report the rest."""
    from chatcli.client.inspection import visit  # noqa: PLC0415 -- openai is slow to import

    endpoint, context = examination.destination, examination.context
    environment, timeout_s = context.environment, examination.answer_timeout_s
    found = examination.visit = await visit(context.shared.pool, endpoint, environment, timeout_s=timeout_s)
    code = found.error.code if found.error else ""
    if found.error is not None and code.startswith("proxy"):
        return [of_error("proxy", found.error), skipped("tls", "needs the proxy")]
    if endpoint.base_url.startswith("http:"):
        return [ok("tls", "not used: this address is http")]
    if found.tls is not None and code not in _TLS_CODES:
        return _trusted(found.tls, endpoint, environment)
    if found.error is None:
        return [ok("tls", "encrypted")]
    return [of_error("tls", found.error), *await _refused(examination, endpoint, code)]


async def check_key(examination: Examination) -> Iterable[Finding]:
    """Check whether the server accepts the key."""
    endpoint, found = examination.destination, _visit(examination)
    took = f" ({in_milliseconds(found.latency_s)})" if found.latency_s is not None else ""
    sent = "the key is accepted" if endpoint.key is not None else "no key is needed"
    match found.error:
        case None:
            return [ok("auth", f"{sent}{took}")]
        case RequestRefused(status=status) if status in _NO_LIST:
            return [ok("auth", f"this server has no model list to check a key against{took}")]
    return [of_error("auth", found.error)]


async def check_clock(examination: Examination) -> Iterable[Finding]:
    """Compare the server's clock with ours: tokens and certificates depend on it."""
    skew_s = _visit(examination).clock_skew_s
    if skew_s is None:
        return [skipped("clock", "the server sends no date")]
    if abs(skew_s) <= _SKEW_S:
        return [ok("clock", f"agrees with the server's within {_SKEW_S} s")]
    direction = "behind" if skew_s > 0 else "ahead of"
    return [
        warning(
            "clock",
            f"this machine's clock is {abs(skew_s):,.0f} s {direction} the server's",
            "set this machine's clock, best by NTP",
        )
    ]


async def check_models(examination: Examination) -> Iterable[Finding]:
    models, chosen = _visit(examination).models, examination.model
    if models is None:
        return [skipped("models", "this server does not list them")]
    offered = f"{len(models):,} offered"
    if chosen is None:
        return [problem("models", "the server offers none", "load one into the server, or name one with -m")]
    names = [model.id for model in models]
    found = (
        ok("models", f"{offered}, {chosen} among them")
        if chosen in names
        else warning(
            "models", f"{offered}, {chosen} not among them", "chatcli models lists them; -m names one"
        )
    )
    aliases = {} if examination.settings is None else examination.settings.aliases
    return [found, *_doubtful_aliases(aliases, names)]


def _doubtful_aliases(aliases: Mapping[str, str], names: Sequence[str]) -> Iterator[Finding]:
    """Yield a warning for each alias that leads to no model of the server, or hides one."""
    own = {alias: model for alias, model in aliases.items() if alias != model}
    for alias, model in own.items():
        if not any(is_name_of(model, name) for name in names):
            yield warning(
                "models",
                f"alias {alias}: {model} is not among them",
                "correct it in [aliases], or move it to the profile of its endpoint",
            )
        elif alias in names:
            yield warning(
                "models",
                f"alias {alias}: {model} is asked, not the model of that name",
                "give the alias another name",
            )


async def check_answer(examination: Examination) -> Iterable[Finding]:
    """Request one token and measure when its parts arrive."""
    endpoint, settings, model = examination.destination, examination.settings, examination.model
    if model is None or settings is None:
        return [skipped("answer", "no model is named: -m names one")]
    limit_s = examination.answer_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            times = await _shortest_answer(examination, settings, endpoint, model)
    except TimeoutError:
        return [
            problem(
                "answer",
                f"no whole answer within {limit_s:g} s",
                "the server is overloaded or the model large",
            )
        ]
    except EndpointError as error:
        return [of_error("answer", error)]
    first = "no text" if times.first_s is None else f"first text {in_milliseconds(times.first_s)}"
    return [
        ok(
            "answer",
            f"{model}: headers {in_milliseconds(times.headers_s)}, {first}, "
            f"end {in_milliseconds(times.total_s)} (finish reason {times.finish_reason})",
        )
    ]


async def _shortest_answer(
    examination: Examination, settings: Settings, endpoint: Endpoint, model: str
) -> AnswerTimes:
    from chatcli.client.inspection import time_answer  # noqa: PLC0415 -- openai is slow to import
    from chatcli.client.pipeline import dialect_for  # noqa: PLC0415 -- as above

    parameters = Parameters(max_tokens=_FEW_TOKENS[settings.api], extra=settings.options)
    request = Request(model, (question("Say hi."),), parameters)
    context = examination.context
    ask = partial(
        time_answer,
        context.shared.pool,
        endpoint,
        context.environment,
        dialect=dialect_for(settings.api),
        streamed=settings.stream,
    )
    try:
        return await ask(request)
    except RequestRefused as error:
        # Reasoning models reject a limit that leaves no room for reasoning.
        reason = error.provider_message or error.message
        if "limit" not in reason and "token" not in reason:
            raise
    roomy = replace(request, parameters=replace(parameters, max_tokens=_MORE_TOKENS))
    return await ask(roomy)


def _trusted(tls: TLS, endpoint: Endpoint, environment: Mapping[str, str]) -> Iterable[Finding]:
    from chatcli.client.certificates import trust_source  # noqa: PLC0415 -- httpx2 is slow to import

    trust = trust_source(environment, endpoint.ca_bundle)
    if not tls.chain:
        return [ok("tls", f"{tls.version}, trusted by {trust}")]
    own = tls.chain[0]
    findings = [ok("tls", f"{tls.version}, {_shown(own)}, trusted by {trust}")]
    if _days_left(own) <= _SOON_DAYS:
        findings.append(
            warning(
                "tls",
                f"the certificate ends in {_days_left(own)} days",
                "the server needs a new certificate soon",
            )
        )
    return findings


async def _refused(examination: Examination, endpoint: Endpoint, code: str) -> Iterable[Finding]:
    """Report each certificate of an untrusted server."""
    from chatcli.client.inspection import refused_certificate  # noqa: PLC0415 -- httpx2 is slow to import

    if code != "tls_certificate":
        return ()
    tls = await refused_certificate(
        endpoint, examination.context.environment, timeout_s=endpoint.connect_timeout_s
    )
    return [problem("tls", f"certificate {_shown(one)}") for one in (tls.chain if tls else ())]


def _shown(certificate: Certificate) -> str:
    days = _days_left(certificate)
    until = f"{days:,} days left" if days >= 0 else f"ended {-days:,} days ago"
    signer = "itself" if certificate.issuer == certificate.subject else certificate.issuer
    return f"{certificate.subject} signed by {signer}, {until}"


def _days_left(certificate: Certificate) -> int:
    return (certificate.expires - datetime.now(UTC)).days


def _visit(examination: Examination) -> Visit:
    if examination.visit is None:
        raise LookupError("needs an answer from the server first")
    return examination.visit
