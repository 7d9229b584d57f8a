"""The way to the server: the proxy, the name, the connection."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from chatcli.doctor.finding import milliseconds, of_error, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.client.endpoint import Endpoint
    from chatcli.doctor.examination import Examination
    from chatcli.doctor.finding import Finding

_PORTS = {"http": 80, "https": 443}


class Stop(NamedTuple):
    """Where the first connection goes: to the proxy, else to the server itself."""

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
    return [ok("dns", f"{stop.host} → {', '.join(addresses)} ({milliseconds(time.monotonic() - began_s)})")]


async def check_connection(examination: Examination) -> Iterable[Finding]:
    """Connect to one address after the other; those that fail before one that answers are told of."""
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
            took = milliseconds(time.monotonic() - began_s)
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
    """Return the addresses of a name. Leaving does not wait for a name server that does not answer."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def settle(addresses: tuple[str, ...], error: Exception | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def resolve() -> None:
        addresses: tuple[str, ...] = ()
        failure: Exception | None = None
        try:
            answers = socket.getaddrinfo(stop.host, stop.port, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as error:
            failure = error
        # The loop may have ended meanwhile, and nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, addresses, failure)

    Thread(target=resolve, daemon=True).start()
    return await found


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
