from __future__ import annotations

import json

import httpx
import pytest

from chatcli.client.embeddings import EndpointEmbedder
from chatcli.core.errors import BadResponse, EndpointError, KeyRefused, RateLimited, RequestRefused
from client.wire import Charges, entry_at


@pytest.fixture
def embeddings(network, endpoint):
    return network.post(f"{endpoint.base_url}/embeddings")


@pytest.fixture
def charges():
    return Charges()


@pytest.fixture
async def embedder(endpoint, charges):
    async with entry_at(endpoint) as entry:
        yield EndpointEmbedder(entry, "near", charges)


def answered(*vectors, **fields):
    return {"data": [{"embedding": vector, **fields} for vector in vectors]}


def sent(embeddings):
    return [json.loads(call.request.content) for call in embeddings.calls]


async def test_each_text_gets_its_vector(embedder, embeddings):
    embeddings.respond(json=answered([1, 0.5], [0, -2.0]))
    assert await embedder.embed(["a", "b"]) == [[1.0, 0.5], [0.0, -2.0]]
    assert sent(embeddings) == [{"model": "near", "input": ["a", "b"], "encoding_format": "float"}]
    assert embeddings.calls.last.request.headers["authorization"] == "Bearer sk-here"


@pytest.mark.parametrize(
    ("usage", "reported"), [({"usage": {"prompt_tokens": 7}}, 7), ({}, None), ({"usage": "seven"}, None)]
)
async def test_each_request_is_charged_with_the_tokens_it_reports(
    embedder, embeddings, charges, usage, reported
):
    embeddings.side_effect = lambda request: httpx.Response(
        200, json={**answered(*([1.0] for _ in json.loads(request.content)["input"])), **usage}
    )
    await embedder.embed(["a"] * 65)
    assert list(map(len, charges.texts)) == [64, 1]
    assert charges.reported == [reported] * 2


async def test_the_index_tells_which_text_a_vector_belongs_to(embedder, embeddings):
    entries = [{"index": 1, "embedding": [1]}, {"index": 0, "embedding": [2]}]
    embeddings.respond(json={"data": entries})
    assert await embedder.embed(["a", "b"]) == [[2.0], [1.0]]


async def test_many_texts_are_sent_in_several_requests(embedder, embeddings):
    embeddings.side_effect = lambda request: httpx.Response(
        200, json=answered(*([int(text)] for text in json.loads(request.content)["input"]))
    )
    assert await embedder.embed([str(number) for number in range(130)]) == [
        [float(number)] for number in range(130)
    ]
    assert [len(body["input"]) for body in sent(embeddings)] == [64, 64, 2]


async def test_of_a_long_text_the_beginning_is_sent_and_no_half_character(embedder, embeddings):
    embeddings.respond(json=answered([1], [1], [1]))
    await embedder.embed(["a" * 9_000, "天" * 9_000, "\ud800"])
    (body,) = sent(embeddings)
    assert body["input"] == ["a" * 8_000, "天" * 2_666, "\ufffd"]


async def test_nothing_is_sent_for_no_texts(embedder, embeddings):
    assert await embedder.embed([]) == []
    assert not embeddings.called


@pytest.mark.parametrize(
    "body",
    [
        7,
        [],
        {},
        {"data": None},
        {"data": [None, None]},
        {"data": []},
        answered([1]),
        answered([1], [1], [1]),
        answered([1], [1, 2]),
        answered([], []),
        answered([1], ["1"]),
        answered([1], [None]),
        answered([1], [True]),
        answered([1], "AACAPw=="),
        answered([1], [10**400]),
        answered([1], [2], index=0),
        answered([1], [2], index=-1),
    ],
)
async def test_what_is_no_vector_for_each_text_is_a_bad_response(embedder, embeddings, body):
    embeddings.respond(json=body)
    with pytest.raises(BadResponse, match=r"^models\.example: the embeddings are ") as raised:
        await embedder.embed(["a", "b"])
    assert "embedding_model" in raised.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b'{"data": [{"embedding": [NaN]}]}',
        b'{"data": [{"embedding": [1e999]}]}',
    ],
)
async def test_what_is_no_json_or_no_number_is_a_bad_response(embedder, embeddings, content):
    embeddings.respond(content=content)
    with pytest.raises(BadResponse, match="the embeddings are"):
        await embedder.embed(["a"])


@pytest.mark.parametrize(("status", "kind"), [(401, KeyRefused), (404, RequestRefused), (429, RateLimited)])
async def test_a_refusal_is_the_error_of_its_status(embedder, embeddings, status, kind):
    embeddings.respond(status, json={"error": {"message": "No."}})
    with pytest.raises(EndpointError) as raised:
        await embedder.embed(["a"])
    assert type(raised.value) is kind
    assert embeddings.call_count == 1


async def test_an_error_that_comes_with_status_200_is_an_error(embedder, embeddings):
    embeddings.respond(json={"error": {"message": "Slow down", "code": "rate_limit_exceeded"}})
    with pytest.raises(RateLimited):
        await embedder.embed(["a"])
