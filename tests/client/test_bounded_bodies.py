from __future__ import annotations

import gzip

import pytest

from chatcli.client.bounded_bodies import _LONGEST_ERROR_BYTES
from chatcli.client.catalog import offered_models
from chatcli.client.connection import connect
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import BadResponse, ServerFailed
from client.wire import chat_at, failure_of
from scripted_server import Answer, serving

PIECE = b"x" * 65_536


async def test_an_error_without_end_is_read_no_further_than_an_error_can_be_long():
    endless = Answer([b'{"error": "'] + [PIECE] * 1000, 500, {"content-type": "application/json"})
    async with serving(endless) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with chat_at(endpoint) as model:
            _, error = await failure_of(model)
        assert isinstance(error, ServerFailed)
        await server.requests[0].hung_up()
    assert len(PIECE) * 1000 > 50 * _LONGEST_ERROR_BYTES


async def test_a_packed_error_is_not_unpacked():
    bomb = gzip.compress(bytes(50_000_000))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with serving(Answer([bomb], 500, headers)) as server:
        async with chat_at(Endpoint(server.base_url, loopback=True)) as model:
            _, error = await failure_of(model)
        assert server.requests[0].headers["accept-encoding"] == "identity"
    assert isinstance(error, ServerFailed)


async def test_a_list_of_models_without_end_is_given_up():
    endless = Answer([b"[1"] + [b"," + PIECE] * 1000, 200, {"content-type": "application/json"})
    async with serving(endless) as server:
        endpoint = Endpoint(server.base_url, loopback=True)
        async with connect(endpoint, {}) as client:
            with pytest.raises(BadResponse):
                await offered_models(client, endpoint, timeout_s=5)
