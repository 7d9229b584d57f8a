from __future__ import annotations

import httpx2
import pytest

from chatcli.client.connection import connect
from chatcli.client.endpoint import Endpoint
from chatcli.core.errors import ConfigurationError, RequestRefused
from client.wire import chat_at, completion, events_of, failure_of
from scripted_server import json_answer, serving

OPENAI = Endpoint("https://api.openai.com/v1", key="sk-openai")
FOREIGN = {
    "OPENAI_API_KEY": "sk-foreign",
    "OPENAI_ADMIN_KEY": "sk-foreign-admin",
    "OPENAI_ORG_ID": "org-foreign",
    "OPENAI_PROJECT_ID": "proj-foreign",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer sk-foreign-custom\nX-Team: foreign-team",
    "OPENAI_BASE_URL": "https://foreign.example/v1",
    "OPENAI_WEBHOOK_SECRET": "foreign-webhook",
}


@pytest.fixture
def _foreign_environment(monkeypatch) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def everywhere(network):
    """Return the one route for whatever is sent, wherever to."""
    return network.route().respond(json=completion("Paris"))


async def sent_headers(route, endpoint, environment=FOREIGN) -> dict[str, str]:
    async with chat_at(endpoint, environment) as model:
        await events_of(model)
    assert route.call_count == 1
    return dict(route.calls.last.request.headers)


@pytest.mark.usefixtures("_foreign_environment")
@pytest.mark.parametrize("key", ["sk-here", None])
@pytest.mark.parametrize("base_url", ["https://models.example/v1", "https://api.openai.com.evil.example/v1"])
async def test_nothing_of_the_environment_reaches_a_foreign_endpoint(everywhere, base_url, key):
    headers = await sent_headers(everywhere, Endpoint(base_url, key=key))
    request = everywhere.calls.last.request
    assert str(request.url) == f"{base_url}/chat/completions"
    assert "foreign" not in f"{headers} {request.content}"
    assert headers.get("authorization") == (key and f"Bearer {key}")


@pytest.mark.usefixtures("_foreign_environment")
async def test_the_organization_and_the_project_reach_openai_and_custom_headers_do_not(everywhere):
    headers = await sent_headers(everywhere, OPENAI)
    assert headers["openai-organization"] == "org-foreign"
    assert headers["openai-project"] == "proj-foreign"
    assert headers["authorization"] == "Bearer sk-openai"
    assert "x-team" not in headers


@pytest.mark.usefixtures("_foreign_environment")
async def test_the_environment_is_the_one_handed_in(everywhere):
    headers = await sent_headers(everywhere, OPENAI, {})
    assert "foreign" not in str(headers)


async def test_without_a_key_no_authorization_is_sent(everywhere):
    headers = await sent_headers(everywhere, Endpoint("https://models.example/v1"))
    assert "authorization" not in headers


@pytest.mark.parametrize("key", ["sk-secret\n", "“sk-secret”", "sk-secret\x00", " "])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key):
    with pytest.raises(ConfigurationError) as refused:
        connect(Endpoint("https://models.example/v1", key=key), {})
    assert "secret" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["https://models.example/v2", "https://evil.example/v1"])
async def test_redirects_are_not_followed(chat, completions, network, status, location):
    completions.respond(status, headers={"location": location})
    elsewhere = network.route(url__startswith=location).respond(json=completion("Paris"))
    _, error = await failure_of(chat)
    assert isinstance(error, RequestRefused)
    assert error.status == status
    assert "base_url" in error.hint
    assert completions.call_count == 1
    assert not elsewhere.called


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_loopback_endpoint_is_not_reached_through_a_proxy(monkeypatch, closed_port, name):
    monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    async with serving(json_answer(completion("Paris"))) as server:
        async with chat_at(Endpoint(server.base_url, loopback=True)) as model:
            await events_of(model)
        assert len(server.requests) == 1


async def test_any_other_endpoint_is_reached_through_the_proxy_of_the_environment(monkeypatch):
    async with serving(json_answer(completion("Paris"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with chat_at(Endpoint("http://models.example/v1")) as model:
            await events_of(model)
    assert proxy.requests[0].path == "http://models.example/v1/chat/completions"


@pytest.mark.parametrize(("timeout_s", "connect_timeout_s"), [(600.0, 10.0), (5.0, 5.0), (0.5, 7.0)])
async def test_the_times_are_the_endpoints_even_where_they_equal_the_librarys_own(
    everywhere, timeout_s, connect_timeout_s
):
    endpoint = Endpoint("https://models.example/v1", timeout_s=timeout_s, connect_timeout_s=connect_timeout_s)
    await sent_headers(everywhere, endpoint)
    sent = everywhere.calls.last.request.extensions["timeout"]
    assert sent == httpx2.Timeout(timeout_s, connect=connect_timeout_s).as_dict()
