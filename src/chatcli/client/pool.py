"""State shared per endpoint in a run: connections, limits and learned facts. Every call passes through here."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    import httpx2
    from openai import AsyncOpenAI

    from chatcli.client.direct_http import DirectConnections
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import EndpointFacts
    from chatcli.client.openai_client import EarlyTransport, RequestHook, ResponseHook
    from chatcli.client.rate_limit import Claim, RateLimits, SharedPlace
    from chatcli.client.wire_log import WireLog
    from chatcli.core.ports import LimitLeft
    from chatcli.core.request import Request

    OpenClient: TypeAlias = Callable[[], Awaitable[AsyncOpenAI]]
    OpenConnections: TypeAlias = Callable[[], Awaitable[DirectConnections]]


class Hooks(NamedTuple):
    """Callbacks on the connection: for every request before it is sent, and for the headers of every response."""

    on_request: RequestHook | None = None
    on_response: ResponseHook | None = None


NO_HOOKS: Final = Hooks()

_HEAD_START_S: Final = 0.5
"""How long a request waits for a connection that is being opened already, before it opens its own."""


class Pool:
    """One entry per endpoint and key for the duration of the run.

    Connections stay open while the pool is in use, ``async with pool``, as during every call; the last user
    closes them. Learned facts stay. ``on_waiting`` is called when a request has left; see ``EarlyTransport``.
    ``wire_log`` logs what goes over the connections that are made from then on.
    """

    on_waiting: Callable[[], object] | None = None
    wire_log: WireLog | None = None

    def __init__(self, limits: Callable[[], RateLimits] | None = None) -> None:
        self._limits = limits or _new_limits
        self._shared: dict[tuple[str, str | None], _Shared] = {}
        self._connected: dict[tuple[Endpoint, Hooks], asyncio.Task[tuple[AsyncOpenAI, EarlyTransport]]] = {}
        """Clients with their transports: a task each, so that all who need one at once wait for the same."""
        self._openings: dict[tuple[Endpoint, Hooks], asyncio.Task[None]] = {}
        self._connections: dict[Endpoint, DirectConnections] = {}
        self._users = 0

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users:
            connected, self._connected = self._connected, {}
            openings, self._openings = self._openings, {}
            for opening in openings.values():
                opening.cancel()
            connections, self._connections = self._connections, {}
            async with AsyncExitStack() as closing:
                for connecting in connected.values():
                    if not connecting.cancel() and connecting.exception() is None:
                        closing.push_async_callback(connecting.result()[0].close)
                for kept in connections.values():
                    closing.push_async_callback(kept.close)

    def entry(self, endpoint: Endpoint, environment: Mapping[str, str], hooks: Hooks = NO_HOOKS) -> PoolEntry:
        """Return the entry of ``endpoint``.

        Entries of one address and key share everything but the connection, which also depends on time-outs,
        proxy, certificates and hooks.
        """
        if hooks is NO_HOOKS and self.wire_log is not None:
            hooks = Hooks(self.wire_log.on_request, self.wire_log.on_response)
        key = endpoint.base_url, endpoint.key
        if key not in self._shared:
            self._shared[key] = _Shared(self._limits(), Counter(), {})
        return PoolEntry(self, endpoint, environment, hooks, self._shared[key])

    async def connected(
        self, endpoint: Endpoint, environment: Mapping[str, str], stack: AsyncExitStack
    ) -> PoolEntry:
        """Return the entry of ``endpoint``, connected until ``stack`` is closed.

        Raise a ``ConfigurationError`` if it cannot be connected.
        """
        self._users += 1
        stack.push_async_exit(self)
        entry = self.entry(endpoint, environment)
        await entry.open()
        return entry

    async def client(self, endpoint: Endpoint, environment: Mapping[str, str], hooks: Hooks) -> AsyncOpenAI:
        """Return the connected client of ``endpoint``. Raise a ``ConfigurationError`` like ``connect``."""
        if not self._users:
            raise RuntimeError("nobody has the pool open, so nobody would close the connection")
        client, _ = await self._connect(endpoint, environment, hooks)
        if (opening := self._openings.get((endpoint, hooks))) is not None and not opening.done():
            # It has a head start over a new one, unless the network is down.
            await asyncio.wait({opening}, timeout=_HEAD_START_S)
        return client

    async def _connect(
        self, endpoint: Endpoint, environment: Mapping[str, str], hooks: Hooks
    ) -> tuple[AsyncOpenAI, EarlyTransport]:
        key = endpoint, hooks
        if key not in self._connected:
            # Importing openai takes half a second: only once a connection is needed.
            from chatcli.client.openai_client import connect_with_transport  # noqa: PLC0415

            # In a thread: certificates take tens of milliseconds to load, which would block the keyboard.
            self._connected[key] = asyncio.create_task(
                asyncio.to_thread(
                    connect_with_transport, endpoint, environment, hooks.on_request, hooks.on_response
                )
            )
        connecting = self._connected[key]
        try:
            # Whoever stops waiting leaves it to the others.
            client, transport = await asyncio.shield(connecting)
        except ConfigurationError:
            if self._connected.get(key) is connecting:
                del self._connected[key]
            raise
        transport.on_waiting = self.on_waiting
        return client, transport

    async def open_connection(self, endpoint: Endpoint, environment: Mapping[str, str], hooks: Hooks) -> None:
        """Open a connection to ``endpoint`` for the next request, unless one is idle or being opened.

        Nothing of a request is sent, and an error is left to the request. A pool nobody has open opens nothing.
        """
        key = endpoint, hooks
        if not self._users or (key in self._openings and not self._openings[key].done()):
            return
        async with self:
            # Known at once, so that a request that comes meanwhile waits for it.
            self._openings[key] = asyncio.create_task(self._open(endpoint, environment, hooks))
            await asyncio.wait({self._openings[key]})

    async def _open(self, endpoint: Endpoint, environment: Mapping[str, str], hooks: Hooks) -> None:
        with suppress(ConfigurationError):
            _, transport = await self._connect(endpoint, environment, hooks)
            await transport.open(endpoint.base_url, endpoint.connect_timeout_s)

    def was_opened_early(self, endpoint: Endpoint, hooks: Hooks) -> bool:
        """Return whether a connection to ``endpoint`` was opened before its request; it may be closed by now."""
        return (endpoint, hooks) in self._openings

    async def connections(self, endpoint: Endpoint, environment: Mapping[str, str]) -> DirectConnections:
        """Return the direct connections to ``endpoint``. Raise a ``ConfigurationError`` like ``client``."""
        if endpoint not in self._connections:
            from chatcli.client.direct_http import DirectConnections  # noqa: PLC0415 - as in ``client``

            opened = await asyncio.to_thread(DirectConnections, endpoint, environment, self.wire_log)
            self._connections.setdefault(endpoint, opened)
        return self._connections[endpoint]


def _new_limits() -> RateLimits:
    # Created with the first request, not at the start.
    from chatcli.client.rate_limit import RateLimits  # noqa: PLC0415

    return RateLimits()


class PoolEntry:
    """The access to one endpoint. Every call passes through ``meter``."""

    def __init__(
        self, pool: Pool, endpoint: Endpoint, environment: Mapping[str, str], hooks: Hooks, shared: _Shared
    ) -> None:
        self.endpoint = endpoint
        self._shared = shared
        self._open_client = partial(pool.client, endpoint, environment, hooks)
        self._open_connection = partial(pool.open_connection, endpoint, environment, hooks)
        self.meter = Meter(
            pool,
            self._open_client,
            shared.limits,
            shared.calls,
            partial(pool.connections, endpoint, environment),
        )
        self.encode: Callable[[Request], object] = bool  # set with the model
        self.meter.was_opened_early = partial(pool.was_opened_early, endpoint, hooks)

    async def open(self) -> None:
        """Connect now, not with the first call. Raise a ``ConfigurationError`` if that fails."""
        await self._open_client()

    async def open_connection(self) -> None:
        """Open a connection ahead (``core.ports.EarlyEndpoint``); see ``Pool.open_connection``."""
        await self._open_connection()

    async def prefill(self, request: Request) -> None:
        """Have the embedded model read ``request`` into its prompt cache (``core.ports.EarlyEndpoint``).

        llama.cpp's server reads on from there as far as the next prompt begins the same. Cancelling closes the
        connection, which stops the server after a batch.
        """
        if not self.endpoint.embedded:
            return
        # Imported with the first request, like the limits.
        import httpx2  # noqa: PLC0415

        from chatcli.client.chat_completions import request_body  # noqa: PLC0415
        from chatcli.client.openai_errors import FOREIGN_ERRORS  # noqa: PLC0415

        body = request_body(request, streamed=False, endpoint=self.endpoint)
        body |= {"max_tokens": 0, "cache_prompt": True}
        async with self.meter.call("prefill") as call:
            client = await call.client()
            with suppress(*FOREIGN_ERRORS):
                await client.post("/chat/completions", body=body, cast_to=httpx2.Response)

    def spare_share(self, model: str, tokens: int) -> float:
        """Return what a request would leave of the server's rate limits (``core.ports.EarlyEndpoint``)."""
        return self._shared.limits.spare_share(model, tokens)

    def limits_left(self, model: str) -> Sequence[LimitLeft]:
        """Return what is left of the server's rate limits (``core.ports.EarlyEndpoint``)."""
        return self._shared.limits.left(model)

    def facts(self, cache: Path, *, is_kept: bool) -> EndpointFacts:
        """Return the facts learned about the endpoint; files in ``cache`` keep them for later runs, if enabled."""
        key = cache, is_kept
        if key not in self._shared.facts:
            # Created with the first request, like the limits.
            from chatcli.client.endpoint_facts import EndpointFacts  # noqa: PLC0415

            self._shared.facts[key] = EndpointFacts(self.endpoint, cache, is_kept=is_kept)
        return self._shared.facts[key]


class _Shared(NamedTuple):
    """The state shared by entries of one address and key."""

    limits: RateLimits
    calls: Counter[str]
    facts: dict[tuple[Path, bool], EndpointFacts]


class Meter:
    """Counts the calls of an endpoint and admits them as the limits allow.

    ``calls`` counts them by operation, over all users of the endpoint with this key.
    """

    def __init__(
        self,
        pool: Pool,
        open_client: OpenClient,
        limits: RateLimits,
        calls: Counter[str],
        open_connections: OpenConnections,
    ) -> None:
        self.calls = calls
        self.pool = pool
        self.open_client = open_client
        self.open_connections = open_connections
        self.limits = limits
        self.posted: dict[str, tuple[AsyncOpenAI, httpx2.Request]] = {}
        """The first request to each path, and the client that made it."""
        self.was_opened_early: Callable[[], bool] = bool

    def call(self, operation: str, estimate: Claim | None = None) -> Call:
        """Return a call for use in an ``async with``.

        ``estimate`` is its claim on the limits, ``None`` for nothing.
        """
        return Call(self, operation, estimate)


class Call:
    """One call of an endpoint. The SDK's client, and direct connections, are available only from here."""

    def __init__(self, meter: Meter, operation: str, estimate: Claim | None) -> None:
        self._meter = meter
        self._operation = operation
        self._estimate = estimate
        self.is_admitted = False
        """Whether the call need not wait (any more): it is admitted as it is entered, if the limits allow."""
        self._is_sent = False
        self._place: SharedPlace | None = None

    async def __aenter__(self) -> Self:
        self._try()
        self._meter.calls[self._operation] += 1
        await self._meter.pool.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        try:
            if self.is_admitted and not self._is_sent and self._estimate is not None:
                # The claim of a call that was never sent is returned.
                self._meter.limits.give_back(self._estimate)
                if self._place is not None:
                    self._place.give_back()
        finally:
            await self._meter.pool.__aexit__(*failure)

    async def admission(self) -> None:
        """Return when the call is admitted."""
        if not self.is_admitted:
            self._try()
        if not self.is_admitted and self._estimate is not None:
            self._place = await self._meter.limits.admit(self._estimate)
            self.is_admitted = True

    def _try(self) -> None:
        self.is_admitted = self._estimate is None or self._meter.limits.try_admit(self._estimate)

    @property
    def reason(self) -> str:
        """The reason of the wait until then."""
        return "" if self._estimate is None else self._meter.limits.reason(self._estimate)

    def held_s(self, waited_s: float) -> float:
        """Return how much of a wait that ends now is due to the limits."""
        return 0.0 if self._estimate is None else self._meter.limits.held_s(self._estimate, waited_s)

    @property
    def may_be_stale(self) -> bool:
        """Whether its connection may be older than the call: the server may close it just as it is used."""
        return self._meter.was_opened_early()

    async def client(self) -> AsyncOpenAI:
        """Return the client of an admitted call. Raise a ``ConfigurationError`` like ``connect``."""
        await self.admission()
        client = await self._meter.open_client()
        self._is_sent = True
        return client

    async def post(self, path: str, content: bytes) -> httpx2.Response:
        """Post ``content``, a JSON object, to ``path``; return the response once its headers have arrived.

        For each request the package copies its options, merges its headers and builds the URL anew: a third of the
        time from Enter to the request. So the first request serves the others, of which only the body differs.

        Raise like the package, but an ``APIStatusError`` for every error status.
        """
        client = await self.client()
        made = self._meter.posted.get(path)
        if made is not None and made[0] is client:
            from chatcli.client.openai_client import repeat  # noqa: PLC0415 - it is imported with the client

            return await repeat(client, made[1], content)
        # The package's own create() of an API imports every type of its answers, and adds nothing to the body.
        response: httpx2.Response = await client.post(path, content=content, **_as_it_is())
        if "idempotency-key" not in response.request.headers:
            self._meter.posted[path] = client, response.request
        return response

    async def post_body(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        """Post ``body`` where the package has to look at it: it finds the model for Azure's older paths there."""
        client = await self.client()
        response: httpx2.Response = await client.post(path, body=body, **_as_it_is())
        return response

    async def connections(self) -> DirectConnections:
        """Return the direct connections of an admitted call. Raise a ``ConfigurationError`` like ``connect``."""
        await self.admission()
        connections = await self._meter.open_connections()
        self._is_sent = True
        return connections

    def learn(self, headers: Mapping[str, str]) -> None:
        """Learn the limits from the headers of a response, and share them with other processes."""
        if self._estimate is None:
            self._meter.limits.learn(headers)
        else:
            self._meter.limits.learn(headers, self._estimate.model, self._estimate.own)
        if self._place is not None:
            self._place.arrived()

    def settle(self, tokens: int) -> None:
        """Replace the estimate by the ``tokens`` used."""
        if self._estimate is not None:
            self._meter.limits.settle(self._estimate, tokens)
        if self._place is not None:
            self._place.settle(tokens)


def _as_it_is() -> dict[str, Any]:
    """Return the options with which the package leaves a response to the caller, and its body unread."""
    # Imported with the client.
    import httpx2  # noqa: PLC0415
    from openai import AsyncStream  # noqa: PLC0415

    return {"cast_to": httpx2.Response, "stream": True, "stream_cls": AsyncStream[Any]}
