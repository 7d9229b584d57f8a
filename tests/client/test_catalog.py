from __future__ import annotations

import pytest

from chatcli.client.catalog import OfferedModel, offered_models
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import BadResponse, EndpointError, KeyRefused, RateLimited, RequestRefused, TimedOut
from client.wire import entry_at
from scripted_server import SILENCE, raw, serving

ENDPOINT = Endpoint("https://models.example/v1", key="sk-here")


@pytest.fixture
def models(network):
    return network.get("https://models.example/v1/models")


async def offered() -> tuple[OfferedModel, ...]:
    async with entry_at(ENDPOINT) as entry:
        return await offered_models(entry, timeout_s=5)


async def test_models_come_in_the_servers_order(models):
    models.respond(json={"object": "list", "data": [{"id": "b"}, {"id": "a"}]})
    assert await offered() == (OfferedModel("b"), OfferedModel("a"))
    assert models.calls.last.request.headers["authorization"] == "Bearer sk-here"


@pytest.mark.parametrize(
    "fields",
    [
        {"context_length": 4096},
        {"max_model_len": 4096},
        {"n_ctx": 4096},
        {"meta": {"n_ctx": 4096, "n_ctx_train": 131_072}},
        {"meta": {"n_ctx_train": 4096}},
        {"context_length": None, "max_model_len": 4096},
        {"context_length": 0, "meta": {"n_ctx_train": 4096}},
        {"context_window": 4096, "meta": None},
    ],
)
async def test_the_context_window_is_found_under_each_of_its_names(models, fields):
    models.respond(json={"data": [{"id": "small", **fields}]})
    assert await offered() == (OfferedModel("small", 4096),)


@pytest.mark.parametrize("window", ["4096", 4096.5, -1, None, [4096], True])
async def test_a_window_of_another_shape_is_unknown(models, window):
    models.respond(json={"data": [{"id": "small", "context_length": window}]})
    assert await offered() == (OfferedModel("small"),)


@pytest.mark.parametrize(
    "listed",
    [
        [{"id": "small"}],
        {"data": [{"id": "small"}], "error": None},
        {"data": [None, "x", {}, {"id": 7}, {"id": "small"}]},
    ],
)
async def test_a_bare_list_is_read_and_what_has_no_id_is_passed_over(models, listed):
    models.respond(json=listed)
    assert await offered() == (OfferedModel("small"),)


@pytest.mark.parametrize("listed", [7, {}, {"data": None}, {"data": []}])
async def test_a_list_of_nothing_offers_nothing(models, listed):
    models.respond(json=listed)
    assert await offered() == ()


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", b"\xff", b"[" * 100_000])
async def test_what_is_not_json_is_a_bad_response(models, content):
    models.respond(content=content)
    with pytest.raises(BadResponse) as raised:
        await offered()
    assert raised.value.message == "models.example: the list of models is not JSON"
    assert "base_url" in raised.value.hint


@pytest.mark.parametrize(("status", "kind"), [(401, KeyRefused), (404, RequestRefused), (429, RateLimited)])
async def test_a_refusal_is_the_error_of_its_status(models, status, kind):
    models.respond(status, json={"error": {"message": "No."}})
    with pytest.raises(EndpointError) as raised:
        await offered()
    assert type(raised.value) is kind
    assert models.call_count == 1


async def test_an_error_that_comes_with_status_200_is_an_error(models):
    models.respond(json={"error": {"message": "Slow down", "code": "rate_limit_exceeded"}})
    with pytest.raises(RateLimited):
        await offered()


async def test_it_waits_no_longer_than_told(models):
    models.respond(json={"data": []})
    await offered()
    assert set(models.calls.last.request.extensions["timeout"].values()) == {5}


@pytest.mark.parametrize("body", [{"error": "Starting"}, {"detail": "Starting"}, {"message": "Starting"}])
async def test_a_list_that_only_complains_is_an_error(models, body):
    models.respond(json=body)
    with pytest.raises(EndpointError, match=": Starting"):
        await offered()


async def test_a_list_that_arrives_byte_by_byte_ends_in_time():
    dripping = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", *[b" ", 0.01] * 1_000)
    async with serving(dripping) as server, entry_at(Endpoint(server.base_url)) as entry:
        with pytest.raises(TimedOut):
            await offered_models(entry, timeout_s=0.1)


async def test_a_list_that_does_not_come_names_the_time_it_was_given():
    async with serving(SILENCE) as server, entry_at(Endpoint(server.base_url)) as entry:
        with pytest.raises(TimedOut, match=r"no answer within 0\.1 s") as raised:
            await offered_models(entry, timeout_s=0.1)
    assert "--timeout" not in raised.value.hint
