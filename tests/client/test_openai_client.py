from __future__ import annotations

import json
import shutil
import sys

import h11
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.catalog import offered_models
from chatcli.client.certificates import trust_source, trusting
from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.client.openai_client import _JoinedChunks, connect, transport_to
from chatcli.core.errors import (
    ConfigurationError,
    NetworkError,
    RequestRefused,
)
from client.wire import chat_at, completion, entry_at, events_of, failure_of
from network_servers import Authority, SocksProxy, TunnelProxy, http_response, listening, speaking
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


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def everywhere(network):
    """Return one route for every request, whatever its address."""
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
async def test_no_proxy_but_the_endpoints_own_is_used(monkeypatch, closed_port, name):
    proxy = f"http://127.0.0.1:{closed_port}"
    monkeypatch.setenv(name, proxy)
    async with serving(json_answer(completion("Paris"))) as server:
        async with chat_at(Endpoint(server.base_url), {name: proxy}) as model:
            await events_of(model)
        assert len(server.requests) == 1


async def test_a_plain_address_is_asked_of_the_proxy():
    async with serving(json_answer(completion("Paris"))) as server:
        proxy = Proxy(f"http://ann:s3cret@127.0.0.1:{server.port}", "HTTP_PROXY")
        async with chat_at(Endpoint("http://models.example/v1", proxy=proxy)) as model:
            await events_of(model)
    request = server.requests[0]
    assert request.path == "http://models.example/v1/chat/completions"
    assert request.headers["proxy-authorization"] == "Basic YW5uOnMzY3JldA=="


@pytest.mark.parametrize("proxying", [TunnelProxy, SocksProxy])
async def test_an_encrypted_address_is_reached_by_a_tunnel_that_sees_neither_key_nor_question(
    authority, tmp_path, proxying
):
    answer = http_response(
        "200 OK", json.dumps(completion("Paris")).encode(), content_type="application/json"
    )
    bundle = str(authority.write_bundle(tmp_path))
    async with listening(speaking(answer), tls=authority.server_context("models.example")) as port:
        proxy = proxying(port)
        async with listening(proxy) as proxy_port:
            scheme = "http" if proxying is TunnelProxy else "socks5h"
            way = Proxy(f"{scheme}://127.0.0.1:{proxy_port}", "ALL_PROXY")
            endpoint = Endpoint("https://models.example/v1", key="sk-here", proxy=way, ca_bundle=bundle)
            async with chat_at(endpoint) as model:
                await events_of(model)
    expected = {TunnelProxy: ["CONNECT models.example:443 HTTP/1.1"], SocksProxy: ["models.example"]}
    assert proxy.asked == expected[proxying]


async def test_a_proxy_is_given_its_user_name_and_password(authority, tmp_path):
    answer = http_response(
        "200 OK", json.dumps(completion("Paris")).encode(), content_type="application/json"
    )
    bundle = str(authority.write_bundle(tmp_path))
    async with (
        listening(speaking(answer), tls=authority.server_context("models.example")) as port,
        listening(TunnelProxy(port, credentials="ann:p@ss")) as proxy_port,
    ):
        way = Proxy(f"http://ann:p%40ss@127.0.0.1:{proxy_port}", "HTTPS_PROXY")
        async with chat_at(Endpoint("https://models.example/v1", proxy=way, ca_bundle=bundle)) as model:
            assert await events_of(model)


def test_a_socks_proxy_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    way = Proxy("socks5h://ann:s3cret@proxy.example", "ALL_PROXY")
    with pytest.raises(ConfigurationError) as refused:
        connect(Endpoint("https://models.example/v1", proxy=way), {})
    assert refused.value.code == "socks_missing"
    assert "pip install socksio" in refused.value.hint
    assert "s3cret" not in refused.value.message


@pytest.mark.parametrize(
    ("base_url", "is_azure"),
    [
        ("https://ann.openai.azure.com/openai/v1", True),
        ("https://ann.cognitiveservices.azure.com/openai/v1", True),
        ("https://ann.services.ai.azure.com/openai/v1", True),
        ("https://ann.azure-api.net/openai/v1", True),
        ("https://openai.azure.com.evil.example/v1", False),
        ("https://evilopenai.azure.com/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
async def test_azure_is_known_by_its_host_and_given_the_key_in_its_own_header(everywhere, base_url, is_azure):
    headers = await sent_headers(everywhere, Endpoint(base_url, key="sk-here"))
    assert headers.get("api-key") == ("sk-here" if is_azure else None)
    assert headers.get("authorization") == (None if is_azure else "Bearer sk-here")
    assert str(everywhere.calls.last.request.url) == f"{base_url}/chat/completions"


@pytest.mark.parametrize("root", ["", "/openai"])
@pytest.mark.parametrize("key", ["sk-here", None])
async def test_with_a_version_the_model_stands_in_the_path(monkeypatch, root, key):
    for name in (
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_AD_TOKEN",
        "OPENAI_API_VERSION",
        "AZURE_OPENAI_ENDPOINT",
    ):
        monkeypatch.setenv(name, "foreign")
    async with serving(json_answer(completion("Paris"))) as server:
        base_url = server.base_url.removesuffix("/v1") + root
        endpoint = Endpoint(base_url, key=key, loopback=True, api_version="2024-10-21")
        async with chat_at(endpoint) as model:
            await events_of(model)
    request = server.requests[0]
    assert request.path == "/openai/deployments/small/chat/completions?api-version=2024-10-21"
    assert request.headers.get("api-key") == key
    assert "authorization" not in request.headers
    assert "foreign" not in f"{request}"


async def test_with_a_version_the_models_are_listed_beside_the_deployments():
    async with serving(json_answer({"data": [{"id": "small"}]})) as server:
        base_url = server.base_url.removesuffix("/v1")
        endpoint = Endpoint(base_url, key="sk-here", loopback=True, api_version="2024-10-21")
        async with entry_at(endpoint) as entry:
            await offered_models(entry, timeout_s=5)
    assert server.requests[0].path == "/openai/models?api-version=2024-10-21"


async def test_the_newer_api_of_azure_takes_a_version_as_a_parameter(everywhere):
    base_url = "https://ann.openai.azure.com/openai/v1"
    await sent_headers(everywhere, Endpoint(base_url, key="sk-here", api_version="preview"))
    assert str(everywhere.calls.last.request.url) == f"{base_url}/chat/completions?api-version=preview"


async def test_requests_and_responses_can_be_watched(everywhere):
    seen = []

    async def see(passing):
        seen.append(type(passing).__name__)

    endpoint = Endpoint("https://models.example/v1", key="sk-here")
    async with connect(endpoint, {}, on_request=see, on_response=see) as client:
        await client.models.with_raw_response.list()
    assert seen == ["Request", "Response"]


@pytest.mark.parametrize(("timeout_s", "connect_timeout_s"), [(600.0, 10.0), (5.0, 5.0), (60.5, 7.0)])
async def test_the_times_are_the_endpoints_even_where_they_equal_the_librarys_own(
    everywhere, timeout_s, connect_timeout_s
):
    endpoint = Endpoint("https://models.example/v1", timeout_s=timeout_s, connect_timeout_s=connect_timeout_s)
    await sent_headers(everywhere, endpoint)
    sent = everywhere.calls.last.request.extensions["timeout"]
    assert sent == httpx2.Timeout(timeout_s, connect=connect_timeout_s).as_dict()


ANSWER = http_response(
    "200 OK", str(completion("Paris")).replace("'", '"').encode(), content_type="application/json"
)
ENVIRONMENTS = ["SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture
def bundle(authority, tmp_path):
    return authority.write_bundle(tmp_path)


@pytest.fixture
async def secure_port(authority):
    async with listening(speaking(ANSWER), tls=authority.server_context("127.0.0.1")) as port:
        yield port


async def answers(endpoint: Endpoint, environment=None) -> bool:
    async with chat_at(endpoint, environment) as model:
        return bool(await events_of(model))


async def test_a_server_is_believed_by_the_ca_bundle(secure_port, bundle):
    assert await answers(Endpoint(f"https://127.0.0.1:{secure_port}", ca_bundle=str(bundle)))


async def test_a_server_is_believed_by_ssl_cert_file(secure_port, bundle):
    endpoint = Endpoint(f"https://127.0.0.1:{secure_port}")
    assert await answers(endpoint, {"SSL_CERT_FILE": str(bundle)})


async def test_the_certificates_of_the_process_are_not_taken(secure_port, bundle, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    async with chat_at(Endpoint(f"https://127.0.0.1:{secure_port}"), {}) as model:
        _, error = await failure_of(model)
    assert isinstance(error, NetworkError)
    assert error.code == "tls_certificate"


async def test_a_bundle_beside_other_certificates_adds_to_them(secure_port, bundle, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority().write_bundle(tmp_path / "other")
    endpoint = Endpoint(f"https://127.0.0.1:{secure_port}", ca_bundle=str(bundle))
    assert await answers(endpoint, {"SSL_CERT_FILE": str(other)})


def test_a_bundle_in_the_home_folder_is_found(bundle, monkeypatch):
    monkeypatch.setenv("HOME", str(bundle.parent))
    monkeypatch.setenv("USERPROFILE", str(bundle.parent))
    assert trusting({}, "~/authority.pem").get_ca_certs()


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"\xff\xfe\x00"])
def test_a_bundle_that_holds_no_certificate_is_refused(tmp_path, content):
    path = tmp_path / "empty.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        trusting({}, str(path))
    assert refused.value.code == "ca_not_usable"
    assert "contains no PEM certificate" in refused.value.message
    assert "BEGIN CERTIFICATE" in refused.value.hint


def test_a_bundle_that_is_missing_is_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        connect(Endpoint("https://models.example", ca_bundle=str(tmp_path / "none.pem")), {})
    assert refused.value.message.startswith(f"ca_bundle {tmp_path / 'none.pem'}: ")


@pytest.mark.parametrize("variable", ENVIRONMENTS)
def test_certificates_that_are_missing_are_reported_by_their_variable(tmp_path, variable):
    with pytest.raises(ConfigurationError) as refused:
        trusting({variable: str(tmp_path / "none")})
    assert variable in refused.value.message
    assert variable in refused.value.hint


def test_a_folder_of_certificates_is_taken(tmp_path, bundle):
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copy(bundle, folder)
    assert trusting({"SSL_CERT_DIR": str(folder)}).verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize(
    ("environment", "ca_bundle", "named"),
    [
        ({}, None, "the system's certificates"),
        ({}, "own.pem", "the system's certificates and ca_bundle"),
        ({"SSL_CERT_FILE": "a"}, None, "SSL_CERT_FILE"),
        (
            {"SSL_CERT_FILE": "a", "SSL_CERT_DIR": "b"},
            "own.pem",
            "SSL_CERT_FILE and SSL_CERT_DIR and ca_bundle",
        ),
    ],
)
def test_it_is_reported_whom_is_believed(environment, ca_bundle, named):
    assert trust_source(environment, ca_bundle) == named


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(content: bytes, size: str = "{:x}", end: bytes = b"\r\n") -> bytes:
    return size.format(len(content)).encode() + b"\r\n" + content + end


async def test_chunks_that_arrive_together_are_read_as_few():
    tokens = [b"data: %d\n\n" % number for number in range(1000)]

    async def answering(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"".join(map(chunk, tokens)) + chunk(b""))

    async with listening(answering) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", loopback=True)
        async with (
            httpx2.AsyncClient(transport=transport_to(endpoint, {})) as client,
            client.stream("GET", endpoint.base_url) as response,
        ):
            read = [piece async for piece in response.aiter_raw()]
    assert b"".join(read) == b"".join(tokens)
    assert len(read) < 100


CHUNKS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=20).map(chunk),
        st.sampled_from(
            [
                chunk(b"x" * 300),
                chunk(b"\r\n1\r\n\r\n"),
                chunk(b"long", "000000000{:X}"),
                chunk(b"more", "{:x}; name=value"),
                chunk(b"wrong", "0x{:x}"),
                chunk(b"wrong", "+{:x}"),
                chunk(b"wrong", "{:x} 1"),
                chunk(b"wrong", "{:x}_0"),
                chunk(b"wrong", ""),
                chunk(b"wrong", end=b"!!"),
                chunk(b"wrong", end=b"\n"),
                chunk(b"end", end=b"\r\n0\r\n\r\n"),
                chunk(b"end", end=b"\r\n0\r\nname: value\r\n\r\n"),
                chunk(b"and HTTP/1.1 200 OK", end=b"\r\n0\r\n\r\n"),
            ]
        ),
    ),
    max_size=12,
)


@given(CHUNKS, st.lists(st.integers(1, 80)))
def test_joined_chunks_have_the_bytes_the_end_and_the_fault_of_those_read_one_by_one(chunks, lengths):
    body = b"".join(chunks)
    cuts = [sum(lengths[: at + 1]) for at in range(len(lengths))]
    received = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read_by_h11(received, is_joined=True) == read_by_h11(received, is_joined=False)


def read_by_h11(received: list[bytes], *, is_joined: bool):
    """Return the bytes of a body, what came after them, and the bytes that nobody asked for."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "127.0.0.1")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(HEAD)
    assert isinstance(connection.next_event(), h11.Response)
    if is_joined:
        connection._reader = _JoinedChunks(connection._reader)
    read, end = b"", None
    try:
        for piece in (*filter(None, received), b""):
            connection.receive_data(piece)
            while isinstance(event := connection.next_event(), h11.Data):
                read += event.data
            if isinstance(event, h11.EndOfMessage):
                end = event.headers.raw_items()
                break
    except h11.RemoteProtocolError as error:
        end = str(error)
    return read, end, connection.trailing_data[0]
