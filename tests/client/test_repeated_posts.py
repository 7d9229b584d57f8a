"""Every request is what the openai package makes of it, and fails as its own do."""

from __future__ import annotations

import json

import httpx2
import openai
import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.client.pool import Hooks, Pool
from chatcli.client.repeated_posts import RepeatedPosts
from scripted_server import RESET, SILENCE, json_answer, raw, serving

PATH = "/chat/completions"
BODIES = [b'{"model":"m","messages":[]}', b'{"model":"m","messages":[{"role":"user","content":"\xc3\xbc"}]}']


async def posted(posts, entry, content):
    async with entry.meter.call("answer") as call:
        response = await posts.post(call, content)
        await response.aread()
        await response.aclose()
        return response


def compared(request):
    return request.method, request.path, {**request.headers, "content-length": ""}


@pytest.mark.parametrize("key", ["sk-here", None])
async def test_all_requests_have_the_headers_of_the_first_and_their_own_body(key):
    async with serving(*[json_answer({})] * 3) as server, Pool() as pool:
        entry = pool.entry(Endpoint(server.base_url, key=key, loopback=True), {})
        posts = RepeatedPosts(PATH)
        for content in (BODIES[0], BODIES[1], BODIES[0]):
            await posted(posts, entry, content)
    first, second, third = server.requests
    assert compared(first) == compared(second) == compared(third)
    assert [request.body for request in server.requests] == [BODIES[0], BODIES[1], BODIES[0]]
    assert [int(request.headers["content-length"]) for request in server.requests] == [
        len(request.body) for request in server.requests
    ]
    assert first.headers.get("authorization") == (f"Bearer {key}" if key else None)


async def test_cookies_of_the_server_go_back_to_it_as_before():
    answers = [json_answer({}, **{"set-cookie": "of=server"}), json_answer({}), json_answer({})]
    async with serving(*answers) as server, Pool() as pool:
        entry, posts = pool.entry(Endpoint(server.base_url, loopback=True), {}), RepeatedPosts(PATH)
        for _ in answers:
            await posted(posts, entry, BODIES[0])
    assert [request.headers.get("cookie") for request in server.requests] == [None, "of=server", "of=server"]


async def test_another_client_makes_a_request_of_its_own():
    async with serving(*[json_answer({})] * 4) as server, Pool() as pool:
        posts, seen = RepeatedPosts(PATH), []

        async def see(request):
            seen.append(request.headers["authorization"])

        for key in ("sk-one", "sk-two"):
            entry = pool.entry(Endpoint(server.base_url, key=key, loopback=True), {}, Hooks(see))
            await posted(posts, entry, BODIES[0])
            await posted(posts, entry, BODIES[1])
    assert seen == ["Bearer sk-one"] * 2 + ["Bearer sk-two"] * 2


@pytest.mark.parametrize("status", [400, 429, 500, 302])
async def test_an_error_status_is_raised_with_its_body_for_the_first_and_for_later_requests(status):
    refusal = json_answer({"error": {"message": "no"}}, status=status)
    async with serving(refusal, json_answer({}), refusal) as server, Pool() as pool:
        entry, posts = pool.entry(Endpoint(server.base_url, loopback=True), {}), RepeatedPosts(PATH)
        raised = []
        for number in range(3):
            try:
                await posted(posts, entry, BODIES[0])
            except openai.APIStatusError as error:
                raised.append((number, error.response.status_code, json.loads(error.response.content)))
    assert raised == [(number, status, {"error": {"message": "no"}}) for number in (0, 2)]


@pytest.mark.parametrize(
    ("failing", "kind", "cause"),
    [
        (SILENCE, openai.APITimeoutError, httpx2.ReadTimeout),
        (raw(RESET), openai.APIConnectionError, httpx2.ReadError),
    ],
)
async def test_a_connection_that_fails_is_raised_as_the_package_does_with_its_cause(failing, kind, cause):
    async with serving(failing, json_answer({}), failing) as server, Pool() as pool:
        endpoint = Endpoint(server.base_url, loopback=True, timeout_s=0.3)
        entry, posts = pool.entry(endpoint, {}), RepeatedPosts(PATH)
        for content, fails in ((BODIES[0], True), (BODIES[0], False), (BODIES[1], True)):
            if not fails:
                await posted(posts, entry, content)
                continue
            with pytest.raises(kind) as failure:
                await posted(posts, entry, content)
            assert isinstance(failure.value.__cause__, cause)
