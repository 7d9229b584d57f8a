from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import respx

from chatcli.client.endpoint import Endpoint
from client.httpcore2_mocker import HTTPCore2Mocker
from client.wire import chat_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from chatcli.client.metered_model import MeteredModel

BASE_URL = "https://models.example/v1"


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(BASE_URL, key="sk-here")


@pytest.fixture
async def chat(endpoint: Endpoint) -> AsyncIterator[MeteredModel]:
    async with chat_at(endpoint) as model:
        yield model


@pytest.fixture
async def unstreamed(endpoint: Endpoint) -> AsyncIterator[MeteredModel]:
    async with chat_at(endpoint, streamed=False) as model:
        yield model


@pytest.fixture
def network() -> Iterator[respx.MockRouter]:
    """Return a mocked network that refuses every request without a configured route."""
    with respx.mock(using=HTTPCore2Mocker.name, assert_all_called=False) as router:
        yield router


@pytest.fixture
def completions(network: respx.MockRouter) -> respx.Route:
    """Return the route of the endpoint's chat completions."""
    return network.post(f"{BASE_URL}/chat/completions")


@pytest.fixture
def streams(completions: respx.Route) -> Callable[..., respx.Route]:
    """Return a function that makes the endpoint answer with an event stream of these bytes."""

    def stream(*parts: bytes) -> respx.Route:
        return completions.respond(content=b"".join(parts), content_type="text/event-stream")

    return stream


@pytest.fixture
def closed_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
