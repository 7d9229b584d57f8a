"""The connection to an endpoint, carrying that endpoint's credentials and no others."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx2
from openai import AsyncAzureOpenAI, AsyncOpenAI

from chatcli.client.bounded_bodies import bound
from chatcli.client.trusted_certificates import trusting
from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import TypeAlias

    from chatcli.client.endpoint import Endpoint, Proxy

    RequestHook: TypeAlias = Callable[[httpx2.Request], Awaitable[None]]
    ResponseHook: TypeAlias = Callable[[httpx2.Response], Awaitable[None]]

_AZURE_V1 = "/openai/v1"


def connect(
    endpoint: Endpoint,
    environment: Mapping[str, str],
    *,
    on_request: RequestHook | None = None,
    on_response: ResponseHook | None = None,
) -> AsyncOpenAI:
    """Return the openai package's client for ``endpoint``, carrying this endpoint's credentials and no others.

    Left to itself the package takes an organization, a project, an admin key and whole headers from the
    environment, sends them to whatever endpoint it is pointed at, and follows redirects with them.

    ``on_request`` is given every request before it is sent, ``on_response`` every response once its headers are
    there. Raise a ``ConfigurationError`` for a key that no header can carry, and like ``transport_to``.
    """
    _check_key(endpoint)
    kind, addressed = _addressed(endpoint)
    client: AsyncOpenAI = kind(
        **addressed,
        # The package wants a key before it sends anything; without one the header is taken away again.
        api_key=endpoint.key or "none",
        admin_api_key="",
        # Told here and not to the http_client, of which the package takes 5 s to mean its own 600 s.
        timeout=httpx2.Timeout(endpoint.timeout_s, connect=endpoint.connect_timeout_s),
        max_retries=0,
        http_client=httpx2.AsyncClient(
            transport=transport_to(endpoint, environment),
            follow_redirects=False,
            trust_env=False,
            # Packed bodies save nothing in a stream of small events, and an error stays packed: see ``bound``.
            headers={"accept-encoding": "identity"},
            event_hooks={
                "request": [_carrying(endpoint), *([on_request] if on_request else [])],
                "response": [bound, *([on_response] if on_response else [])],
            },
        ),
    )
    is_openai = endpoint.is_openai
    client.organization = environment.get("OPENAI_ORG_ID") if is_openai else None
    client.project = environment.get("OPENAI_PROJECT_ID") if is_openai else None
    # There is no public way to refuse OPENAI_CUSTOM_HEADERS, which may hold an Authorization for another host.
    client._custom_headers = {}  # noqa: SLF001
    return client


def transport_to(
    endpoint: Endpoint, environment: Mapping[str, str], *, verified: bool = True
) -> httpx2.AsyncHTTPTransport:
    """Return what carries requests to ``endpoint``: by its proxy, believing only the certificates one may.

    Nothing but what is handed in decides: httpx2 would look at the environment of the process. Raise a
    ``ConfigurationError`` for a proxy or certificates that cannot be used. Not ``verified``, whoever answers is
    believed: for looking at a certificate that was refused, and nothing else.
    """
    context = _context(endpoint, environment) if verified else _believing_anyone()
    if endpoint.proxy is None:
        return httpx2.AsyncHTTPTransport(verify=context, trust_env=False)
    try:
        return httpx2.AsyncHTTPTransport(
            verify=context, proxy=_as_httpx2(endpoint.proxy, context), trust_env=False
        )
    except ImportError as error:
        raise ConfigurationError(
            f"{endpoint.proxy} is a SOCKS proxy, which needs an extra package",
            hint="pip install socksio in chatcli's environment, or use an HTTP proxy",
            code="socks_missing",
        ) from error


def _addressed(endpoint: Endpoint) -> tuple[type[Any], dict[str, Any]]:
    """Return the kind of client, and the address it is given.

    Azure's older API has the model in its paths, which the package's own client for Azure puts there; the newer one,
    below ``/openai/v1``, takes a version as any other parameter.
    """
    base_url, version = endpoint.base_url, endpoint.api_version
    if version is None:
        return AsyncOpenAI, {"base_url": base_url}
    if base_url.endswith(_AZURE_V1):
        return AsyncOpenAI, {"base_url": base_url, "default_query": {"api-version": version}}
    root = base_url.removesuffix("/openai")
    return AsyncAzureOpenAI, {"base_url": f"{root}/openai", "api_version": version}


def _context(endpoint: Endpoint, environment: Mapping[str, str]) -> ssl.SSLContext:
    urls = [endpoint.base_url, *([endpoint.proxy.url] if endpoint.proxy else [])]
    if not any(url.lower().startswith("https:") for url in urls):
        # Certificates take tens of milliseconds to load; one that believes nobody is never used here.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return trusting(environment, endpoint.ca_bundle)


def _believing_anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _as_httpx2(proxy: Proxy, context: ssl.SSLContext) -> httpx2.Proxy:
    try:
        url = httpx2.URL(proxy.url)
    except httpx2.InvalidURL as error:
        raise ConfigurationError(
            f"{proxy.variable} is not a proxy URL", hint="write it as http://host:port"
        ) from error
    return httpx2.Proxy(url, ssl_context=context if url.scheme == "https" else None)


def _check_key(endpoint: Endpoint) -> None:
    """Refuse what the transport would refuse later, with the whole key in its message."""
    key = endpoint.key or ""
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ConfigurationError(
            f"the key set for {endpoint.host} contains a line break, a space or a curly quote",
            hint="set it again without them",
        )


def _carrying(endpoint: Endpoint) -> RequestHook:
    """Return what leaves on a request the key of ``endpoint`` alone, in the header it belongs into."""
    key = endpoint.key

    async def carry(request: httpx2.Request) -> None:
        if key is None or endpoint.is_azure:
            request.headers.pop("authorization", None)
        request.headers.pop("api-key", None)
        if key is not None and endpoint.is_azure:
            request.headers["api-key"] = key

    return carry
