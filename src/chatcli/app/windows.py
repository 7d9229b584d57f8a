"""The size of a model's context window: its sources and their precedence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chatcli.conversation.context import DEFAULT_WINDOW_TOKENS, UNREPORTED_WINDOW_TOKENS
from chatcli.core.errors import EndpointError, NetworkError
from chatcli.core.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeGuard

    from chatcli.client.catalog import OfferedModel, ServedWindow
    from chatcli.client.endpoint import Endpoint
    from chatcli.client.endpoint_facts import Facts
    from chatcli.client.pool import PoolEntry
    from chatcli.cost.model_table import ModelTable

_OWNERS: Final = {"library": "Ollama", "organization_owner": "LM Studio", "llamacpp": "llama.cpp"}
"""Local model servers by the owner they list for their models."""
_PORTS: Final = {11434: "Ollama", 1234: "LM Studio"}
"""Default ports of local model servers."""
MODEL_SERVERS: Final = frozenset(_OWNERS.values())
"""The servers that ``client.catalog.served_window`` supports."""
_LIST_TIMEOUT_S: Final = 2.0
_MOST_REQUESTED: Final = 40
_SMALLEST_TOKENS, _LARGEST_TOKENS = 64, 10**9
_WHOLE_SERVER: Final = ""
"""The key for the kind of server of an endpoint; not a valid model name."""


class WindowFinder:
    """Finds the context window of a model at one endpoint, asking the endpoint if necessary.

    A server that runs models itself is asked each time, since it may have loaded the same model with other
    settings; any other endpoint is asked once, and ``windows`` stores its answer. ``notify`` receives notices
    for the person. No turn fails for want of a window.
    """

    def __init__(
        self,
        entry: PoolEntry,
        windows: Facts,
        *,
        table: ModelTable,
        notify: Callable[[Notice], None],
    ) -> None:
        self._entry = entry
        self._endpoint = entry.endpoint
        self._windows = windows
        self._table = table
        self._notify = notify

    async def window_tokens(self, model: str, offered: Sequence[OfferedModel] = ()) -> int:
        """Return the window of ``model``; ``offered`` is the endpoint's list of models if it has been read."""
        was_queried, remembered = self._windows.recall(model)
        # A size reported by the endpoint itself, lastly when a prompt was too long, outranks other sources.
        learned = remembered if _is_window(remembered) else None
        listed = _window_in(offered, model)
        known = self._table.window_tokens(self._endpoint.host, model)
        if self._table.knows_host(self._endpoint.host) and (tokens := learned or listed or known):
            return tokens
        server = self._remembered_server()
        if server is None and not was_queried:
            try:
                offered = offered or await self._list()
            except NetworkError:
                # The request will report this error. Nothing is stored: the server may be reachable next
                # time.
                return known or DEFAULT_WINDOW_TOKENS
            server, listed = _server_of(self._endpoint, offered), _window_in(offered, model)
        if server is None:
            reported, usual = learned or listed, known or DEFAULT_WINDOW_TOKENS
            is_unknown = reported is None and known is None
        else:
            # The list has the largest possible window, not the one the model was loaded with.
            served = await self._served(server, model)
            reported = served.tokens if _is_window(served.tokens) else learned
            usual = _usual_tokens(served)
            is_unknown = reported is None
        if not was_queried:
            self._remember(model, reported, server)
            if is_unknown:
                self._notify(Notice("window_unknown", _unknown(model, usual)))
        return reported or usual

    async def _list(self) -> Sequence[OfferedModel]:
        from chatcli.client.catalog import offered_models  # noqa: PLC0415

        try:
            return await offered_models(self._entry, timeout_s=_LIST_TIMEOUT_S)
        except NetworkError:
            raise
        except EndpointError:
            # Not every server lists its models. If the server is unwell, the request itself will report it.
            return ()

    async def _served(self, server: str, model: str) -> ServedWindow:
        from chatcli.client.catalog import served_window  # noqa: PLC0415

        return await served_window(self._entry, server, model)

    def _remembered_server(self) -> str | None:
        _, server = self._windows.recall(_WHOLE_SERVER)
        return server if isinstance(server, str) and server in MODEL_SERVERS else None

    def _remember(self, model: str, reported: int | None, server: str | None) -> None:
        self._windows.remember(model, reported)
        if server is not None:
            self._windows.remember(_WHOLE_SERVER, server)


async def with_served_windows(entry: PoolEntry, offered: Sequence[OfferedModel]) -> tuple[OfferedModel, ...]:
    """Return ``offered`` with effective windows: a server that runs models itself is asked for the first of them."""
    server = _server_of(entry.endpoint, offered)
    if server is None:
        return tuple(offered)
    from chatcli.client.catalog import served_window  # noqa: PLC0415

    first, others = offered[:_MOST_REQUESTED], offered[_MOST_REQUESTED:]
    windows = await asyncio.gather(*(served_window(entry, server, model.id) for model in first))
    return (
        *(
            replace(
                model, window_tokens=served.tokens if _is_window(served.tokens) else _usual_tokens(served)
            )
            for model, served in zip(first, windows, strict=True)
        ),
        *(replace(model, window_tokens=UNREPORTED_WINDOW_TOKENS) for model in others),
    )


def _usual_tokens(served: ServedWindow) -> int:
    """Return the assumed window of a server that does not report it, at most the largest possible."""
    most = served.most_tokens
    return min(UNREPORTED_WINDOW_TOKENS, most) if _is_window(most) else UNREPORTED_WINDOW_TOKENS


def _is_window(remembered: object) -> TypeGuard[int]:
    return type(remembered) is int and _SMALLEST_TOKENS <= remembered <= _LARGEST_TOKENS


def _window_in(offered: Sequence[OfferedModel], model: str) -> int | None:
    listed = next((entry.window_tokens for entry in offered if entry.id == model), None)
    return listed if _is_window(listed) else None


def _unknown(model: str, tokens: int) -> str:
    return f"context window of {model} unknown, assuming {tokens:,} tokens (set context_window)"


def _server_of(endpoint: Endpoint, offered: Iterable[OfferedModel]) -> str | None:
    """Return which of ``MODEL_SERVERS`` offers these models, ``None`` for any other server."""
    owners = {model.owner for model in offered}
    known = next((server for owner, server in _OWNERS.items() if owner in owners), None)
    port = urlsplit(endpoint.base_url).port
    return known or (_PORTS.get(port) if endpoint.loopback and port else None)
