"""Connections to endpoints: credentials, trusted certificates, and connections opened ahead."""

from __future__ import annotations

import asyncio
import re
import secrets
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import h11
import httpcore2
import httpx2
import openai
from openai import AsyncAzureOpenAI, AsyncOpenAI

from chatcli.client.response_limits import bound
from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from typing import TypeAlias

    from chatcli.client.endpoint import Endpoint, Proxy

    RequestHook: TypeAlias = Callable[[httpx2.Request], Awaitable[None]]
    ResponseHook: TypeAlias = Callable[[httpx2.Response], Awaitable[None]]


_AZURE_V1 = "/openai/v1"


def connect(
    endpoint: Endpoint,
    environment: Mapping[str, str],
    *,
    transport: EarlyTransport | None = None,
    on_request: RequestHook | None = None,
    on_response: ResponseHook | None = None,
) -> AsyncOpenAI:
    """Return the openai package's client for ``endpoint``, with this endpoint's credentials and no others.

    By default the package takes an organization, a project, an admin key and headers from the environment,
    sends them to any endpoint, and follows redirects with them.

    ``transport`` is one by ``transport_to``, by default a new one. ``on_request`` receives every request before it
    is sent, ``on_response`` every response once its headers have arrived. Raise a ``ConfigurationError`` for a key that cannot be sent in a header, and like
    ``transport_to``.
    """
    check_key(endpoint)
    kind, addressed = _addressed(endpoint)
    client: AsyncOpenAI = kind(
        **addressed,
        # The package requires a key; for an endpoint without one the header is removed again.
        api_key=endpoint.key or "none",
        admin_api_key="",
        # Set here and not on the http_client, whose 5 s the package would replace by its own 600 s.
        timeout=httpx2.Timeout(endpoint.timeout_s, connect=endpoint.connect_timeout_s),
        max_retries=0,
        http_client=httpx2.AsyncClient(
            transport=transport or transport_to(endpoint, environment),
            follow_redirects=False,
            trust_env=False,
            # Compression saves nothing in a stream of small events, and a compressed error stays compressed:
            # see ``bound``.
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
    # There is no public option to ignore OPENAI_CUSTOM_HEADERS, which may hold an Authorization for another
    # host.
    client._custom_headers = {}  # noqa: SLF001
    return client


def connect_with_transport(
    endpoint: Endpoint,
    environment: Mapping[str, str],
    on_request: RequestHook | None = None,
    on_response: ResponseHook | None = None,
) -> tuple[AsyncOpenAI, EarlyTransport]:
    """Return the client of ``connect`` and its transport."""
    transport = transport_to(endpoint, environment)
    client = connect(
        endpoint, environment, transport=transport, on_request=on_request, on_response=on_response
    )
    return client, transport


def transport_to(
    endpoint: Endpoint, environment: Mapping[str, str], *, verified: bool = True
) -> EarlyTransport:
    """Return the HTTP transport to ``endpoint``: through its proxy, trusting only the configured certificates.

    Only arguments decide: httpx2 would read the environment of the process. Raise a ``ConfigurationError``
    for an invalid proxy or certificates. Without ``verified`` any server is trusted: for inspecting a refused
    certificate, and nothing else.
    """
    context = trusted_context(endpoint, environment) if verified else _believing_anyone()
    if endpoint.proxy is None:
        return EarlyTransport(verify=context, trust_env=False)
    try:
        return EarlyTransport(verify=context, proxy=_as_httpx2(endpoint.proxy, context), trust_env=False)
    except ImportError as error:
        raise ConfigurationError(
            f"{endpoint.proxy} is a SOCKS proxy, which needs an extra package",
            hint="pip install socksio in chatcli's environment, or use an HTTP proxy",
            code="socks_missing",
        ) from error


def _addressed(endpoint: Endpoint) -> tuple[type[Any], dict[str, Any]]:
    """Return the class of the client, and its address.

    Azure's older API has the model in its paths, which the package's Azure client builds; the newer one,
    below ``/openai/v1``, takes a version like any other parameter.
    """
    base_url, version = endpoint.base_url, endpoint.api_version
    if version is None:
        return AsyncOpenAI, {"base_url": base_url}
    if base_url.endswith(_AZURE_V1):
        return AsyncOpenAI, {"base_url": base_url, "default_query": {"api-version": version}}
    root = base_url.removesuffix("/openai")
    return AsyncAzureOpenAI, {"base_url": f"{root}/openai", "api_version": version}


def trusted_context(endpoint: Endpoint, environment: Mapping[str, str]) -> ssl.SSLContext:
    urls = [endpoint.base_url, *([endpoint.proxy.url] if endpoint.proxy else [])]
    if not any(url.lower().startswith("https:") for url in urls):
        # Certificates take tens of milliseconds to load; an empty context is never used here.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    from chatcli.client.certificates import trusting  # noqa: PLC0415 - not for plain HTTP

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


def check_key(endpoint: Endpoint) -> None:
    """Reject keys that the transport would reject later with the whole key in its message."""
    key = endpoint.key or ""
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ConfigurationError(
            f"the key set for {endpoint.host} contains a line break, a space or a curly quote",
            hint="set it again without them",
        )


def _carrying(endpoint: Endpoint) -> RequestHook:
    """Return a hook that leaves only the key of ``endpoint`` on a request, in the right header."""
    key = endpoint.key

    async def carry(request: httpx2.Request) -> None:
        if key is None or endpoint.is_azure:
            request.headers.pop("authorization", None)
        request.headers.pop("api-key", None)
        if key is not None and endpoint.is_azure:
            request.headers["api-key"] = key

    return carry


_ONCE_ONLY: Final = frozenset({"content-length", "cookie", "idempotency-key"})
"""Headers of a single request. httpx2 sets the first two."""


async def repeat(client: AsyncOpenAI, made: httpx2.Request, content: bytes) -> httpx2.Response:
    """Send ``made``, a request by ``client``, with another body; raise like the package, but for every error status."""
    http_client = client._client  # noqa: SLF001 - there is no public name for it
    request = http_client.build_request(
        "POST",
        made.url,
        headers=[(name, value) for name, value in made.headers.multi_items() if name not in _ONCE_ONLY],
        content=content,
        extensions={"timeout": made.extensions["timeout"]},
    )
    try:
        response = await http_client.send(request, stream=True)
    except httpx2.TimeoutException as error:
        raise openai.APITimeoutError(request=request) from error
    except (httpx2.RequestError, ssl.SSLError, anyio.EndOfStream) as error:
        raise openai.APIConnectionError(request=request) from error
    if not response.is_success:
        await response.aread()
        raise openai.APIStatusError(f"status {response.status_code}", response=response, body=None)
    return response


# A connection is opened before there is a request: TCP, TLS and the tunnel of a proxy, and not a byte more. httpcore2
# opens one only for a request. So a request with a method of our own is made, which the stream below HTTP swallows and
# answers itself with 204. The connection is then idle in the pool like any other, and the next request takes it.
_METHOD: Final = f"OPEN-{secrets.token_hex(8).upper()}"
"""Nobody else can make a request with this method, and no text sent can begin with it."""

_REQUEST_BEGINS: Final = f"{_METHOD} ".encode()
_NOTHING: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"

IDLE_S: Final = 50.0
"""How long an idle connection is kept: some servers, and the routers between, forget one after a minute."""


class EarlyTransport(httpx2.AsyncHTTPTransport):
    """A transport whose connections can be opened before the first request.

    ``on_waiting`` is called, in a moment, whenever a request has been written or a connection is being opened, and
    nothing can be done but wait for the other end.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, limits=httpx2.Limits(keepalive_expiry=IDLE_S))
        self.on_waiting: Callable[[], object] | None = None
        # httpx2 passes no backend on; every kind of pool keeps it under this name.
        self._opens_early = getattr(self._pool, "_network_backend", None) is not None
        if self._opens_early:
            self._pool._network_backend = _Backend(self._wait)  # noqa: SLF001

    async def open(self, url: str, timeout_s: float) -> None:
        """Open a connection to the host of ``url``, unless one is idle. An error is left to the next request."""
        if not self._opens_early or any(map(_is_usable, self._pool.connections)):
            return
        request = httpx2.Request(
            _METHOD, url, extensions={"timeout": {"connect": timeout_s, "read": timeout_s}}
        )
        with suppress(httpx2.HTTPError, OSError):
            response = await self.handle_async_request(request)
            await response.aread()  # to its end, or the connection is closed
            await response.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for connection in self._pool.connections if self._opens_early else ():
            if connection.is_idle() and _has_more_than_its_response(connection):
                await connection.aclose()
        response = await super().handle_async_request(request)
        for connection in self._pool.connections if self._opens_early else ():
            _join_chunks(connection)
        return response

    def _wait(self) -> None:
        if self.on_waiting is not None:
            asyncio.get_running_loop().call_soon(self.on_waiting)


def _is_usable(connection: httpcore2.AsyncConnectionInterface) -> bool:
    """Whether the next request would take ``connection``: it is idle, and the server has not closed it."""
    return connection.is_available() and not connection.has_expired()


def _has_more_than_its_response(connection: httpcore2.AsyncConnectionInterface) -> bool:
    """Whether more arrived on ``connection`` than was asked for, which would be taken for the next response.

    httpcore2 sees what waits in the socket, but not what it has read together with the last response.
    """
    state = _h11_state(connection)
    return state is not None and bool(state.trailing_data[0])


def _h11_state(connection: httpcore2.AsyncConnectionInterface) -> Any:
    """Return the ``h11.Connection`` of ``connection``, ``None`` before it is open, or if there is none."""
    inner: Any = connection
    while inner is not None and not hasattr(inner, "_h11_state"):
        inner = getattr(inner, "_connection", None)  # below the tunnel of a proxy
    return inner and inner._h11_state  # noqa: SLF001


def _join_chunks(connection: httpcore2.AsyncConnectionInterface) -> None:
    """Let the body that arrives on ``connection``, if it is in chunks, be read in fewer of them."""
    state = _h11_state(connection)
    # There is no public way; another version of h11 reads each chunk by itself again.
    if (reader := getattr(state, "_reader", None)) is not None and type(reader).__name__ == "ChunkedReader":
        state._reader = _JoinedChunks(reader)  # noqa: SLF001


_NEXT_CHUNK: Final = re.compile(rb"\r\n([0-9a-fA-F]{1,8})\r\n")
"""The end of a chunk and the beginning of the next one, without extensions."""


class _JoinedChunks:
    """A reader of h11 that takes all chunks that have arrived whole as one.

    Model servers send a chunk for each token, and h11 takes ten times as long for a chunk as for finding its end. The
    first chunk, and whatever is not simply one more chunk, is left to the ``reader`` of h11: it finds itself at the end
    of a chunk, as before.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.read_eof = reader.read_eof

    def __call__(self, buffer: Any) -> Any:
        event = self._reader(buffer)
        if not (isinstance(event, h11.Data) and event.chunk_end and buffer):
            return event
        waiting, chunks, at = bytes(buffer), [event.data], 0
        while (found := _NEXT_CHUNK.match(waiting, at)) is not None:
            start, length = found.end(), int(found[1], 16)
            # A chunk of no bytes is the end of the body.
            if not 0 < length <= len(waiting) - start:
                break
            at = start + length
            chunks.append(waiting[start:at])
        if at:
            buffer.maybe_extract_at_most(at)
            event = h11.Data(data=b"".join(chunks))
        return event


class _Backend(httpcore2.AsyncNetworkBackend):
    """asyncio's, with streams that keep what is only to open a connection from the network."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self._inner = httpcore2.AnyIOBackend()
        self._wait = wait

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self._wait()
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _QuietStream(stream, self._wait)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _QuietStream(httpcore2.AsyncNetworkStream):
    """A stream that only opens a connection where asked to, and then watches for its end until it is used.

    Its socket alone does not tell: what a server sends after a TLS handshake (session tickets) waits there unread,
    which httpcore2 takes for the end.
    """

    def __init__(self, inner: httpcore2.AsyncNetworkStream, wait: Callable[[], None]) -> None:
        self._inner = inner
        self._wait = wait
        self._is_opening = False
        self._has_written = False
        self._head = b""
        self._watching: asyncio.Task[bytes] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as above
        if self._is_opening:
            self._is_opening = False
            self._watching = asyncio.create_task(self._watch())
            return _NOTHING
        if self._head:
            await self.write(b"", timeout)
        if self._has_written:
            self._has_written = False
            self._wait()
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        if buffer.startswith(_REQUEST_BEGINS):
            self._is_opening = True
            return
        self._has_written = True
        if not self._head and buffer.endswith(_END_OF_HEAD):
            # It leaves together with the body, which follows at once: one packet, one record of TLS, one wake-up.
            self._head = buffer
            return
        head, self._head = self._head, b""
        await self._stop_watching()
        await self._inner.write(head + buffer, timeout)

    async def aclose(self) -> None:
        await self._stop_watching()
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore2.AsyncNetworkStream:
        return _QuietStream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._wait)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._watching is not None:
            return self._watching.done()
        return self._inner.get_extra_info(info)

    async def _watch(self) -> bytes:
        """Return at the end of the connection: before a request there is nothing else to read."""
        with suppress(httpcore2.NetworkError):
            return await self._inner.read(1)
        return b""

    async def _stop_watching(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
