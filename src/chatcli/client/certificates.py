"""What a TLS connection shows of itself: its version, and the certificates the server sent."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2

from chatcli.client.openai_client import transport_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatcli.client.endpoint import Endpoint

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
