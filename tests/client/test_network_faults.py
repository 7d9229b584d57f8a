from __future__ import annotations

import asyncio
import errno
import socket
from datetime import UTC, datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.catalog import offered_models
from chatcli.client.endpoint import Endpoint, Proxy
from chatcli.client.openai_errors import translated
from chatcli.core.errors import NetworkError, RequestRefused, TimedOut
from client.wire import chat_at, entry_at, failure_of
from network_servers import (
    MODELS,
    Authority,
    SocksProxy,
    TunnelProxy,
    hang_up,
    http_response,
    listening,
    reject_immediately,
    reset,
    speaking,
    stay_silent,
)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def at(port: int, scheme: str = "http", **fields) -> Endpoint:
    endpoint = {"key": "sk-here", "loopback": True, "connect_timeout_s": 5.0, "timeout_s": 5.0, **fields}
    return Endpoint(f"{scheme}://127.0.0.1:{port}/v1", **endpoint)


def behind(port: int, target: str = "https://models.example/v1", scheme: str = "http", **fields) -> Endpoint:
    proxy = Proxy(f"{scheme}://ann:s3cret@127.0.0.1:{port}", "HTTPS_PROXY")
    return Endpoint(target, key="sk-here", connect_timeout_s=5.0, timeout_s=5.0, proxy=proxy, **fields)


async def fault_of(endpoint: Endpoint) -> NetworkError:
    """Return the error of asking ``endpoint``; it contains no secret, and the list of models fails equally."""
    async with chat_at(endpoint) as model:
        _, error = await failure_of(model)
    assert isinstance(error, NetworkError)
    assert error.hint
    assert "s3cret" not in f"{error.message} {error.hint}"
    assert "sk-here" not in f"{error.message} {error.hint}"
    return error


async def test_a_port_nobody_listens_on(closed_port):
    error = await fault_of(at(closed_port))
    assert (error.code, error.retryable) == ("refused", True)
    assert (
        error.message
        == f"127.0.0.1:{closed_port}: connection refused; nothing is listening on port {closed_port}"
    )
    assert "start the server" in error.hint


@pytest.mark.parametrize(
    ("url", "port"), [("http://localhost.example", 80), ("https://localhost.example", 443)]
)
def test_a_port_that_is_not_written_is_the_usual_one(url, port):
    with pytest.raises(NetworkError) as raised, translated(Endpoint(url)):
        raise httpx2.ConnectError("no") from ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert raised.value.message.endswith(f"nothing is listening on port {port}")


async def test_a_name_that_cannot_be_resolved(monkeypatch):
    def unknown(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = await fault_of(Endpoint("https://modles.example/v1"))
    assert (error.code, error.retryable) == ("dns", True)
    assert error.message == "modles.example: the name cannot be resolved"
    assert "check base_url for typos" in error.hint


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_a_host_no_way_leads_to(number):
    with pytest.raises(NetworkError) as raised, translated(Endpoint("https://10.9.9.9/v1")):
        raise httpx2.ConnectError("All attempts failed") from OSError(number, "No route to host")
    assert (raised.value.code, raised.value.retryable) == ("unreachable", True)
    assert raised.value.message == "10.9.9.9: cannot be reached: no route to host"


def test_of_several_attempts_at_once_each_is_looked_into():
    attempts = ExceptionGroup(
        "", [OSError(), ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")]
    )
    with pytest.raises(NetworkError) as raised, translated(Endpoint("http://models.example:81/v1")):
        raise httpx2.ConnectError("All connection attempts failed") from attempts
    assert raised.value.code == "refused"


@pytest.mark.parametrize("handler", [reset, hang_up])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_is_cut(handler, scheme, authority):
    tls = authority.server_context("127.0.0.1") if (scheme, handler) == ("https", hang_up) else None
    async with listening(handler, tls=tls) as port:
        error = await fault_of(at(port, "http" if tls else scheme))
    assert (error.code, error.retryable) == ("reset", True)
    assert error.message == f"127.0.0.1:{port}: the connection was cut"


async def test_a_server_that_wants_tls_is_asked_for_in_the_hint(authority):
    async with listening(speaking(MODELS), tls=authority.server_context("127.0.0.1")) as port:
        error = await fault_of(at(port, "http"))
    assert "https://" in error.hint


async def test_a_server_without_tls_where_it_is_expected():
    async with listening(reject_immediately) as port:
        error = await fault_of(at(port, "https"))
    assert (error.code, error.retryable) == ("tls", False)
    assert error.message == f"127.0.0.1:{port}: no encrypted connection: it does not speak TLS"
    assert "http://" in error.hint


async def test_a_certificate_of_an_unknown_authority(authority):
    async with listening(speaking(MODELS), tls=authority.server_context("127.0.0.1")) as port:
        error = await fault_of(at(port, "https"))
    assert (error.code, error.retryable) == ("tls_certificate", False)
    assert "not trusted: unable to get local issuer certificate" in error.message
    assert "ca_bundle or SSL_CERT_FILE" in error.hint


async def test_a_certificate_for_another_name(authority, tmp_path):
    bundle = str(authority.write_bundle(tmp_path))
    async with listening(speaking(MODELS), tls=authority.server_context("other.example")) as port:
        error = await fault_of(at(port, "https", ca_bundle=bundle))
    assert (error.code, error.retryable) == ("tls_certificate", False)
    assert "mismatch" in error.message
    assert "base_url" in error.hint


async def test_a_certificate_that_has_expired(authority, tmp_path):
    bundle = str(authority.write_bundle(tmp_path))
    old = authority.server_context("127.0.0.1", not_after=LONG_AGO)
    async with listening(speaking(MODELS), tls=old) as port:
        error = await fault_of(at(port, "https", ca_bundle=bundle))
    assert (error.code, error.retryable) == ("tls_certificate", False)
    assert "expired" in error.message
    assert "clock" in error.hint


async def test_a_server_that_says_nothing():
    async with listening(stay_silent) as port:
        error = await fault_of(at(port, timeout_s=0.2))
    assert isinstance(error, TimedOut)
    assert (error.code, error.retryable) == ("timed_out", True)


async def test_a_handshake_that_does_not_end():
    async with listening(stay_silent) as port:
        error = await fault_of(at(port, "https", connect_timeout_s=0.2))
    assert error.code == "timed_out"
    assert error.message == f"127.0.0.1:{port}: no connection within 0.2 s"


@pytest.mark.parametrize("target", ["https://models.example/v1", "http://models.example/v1"])
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_proxy_nobody_listens_at(closed_port, target, scheme):
    error = await fault_of(behind(closed_port, target, scheme))
    assert (error.code, error.retryable) == ("proxy", True)
    address = f"{scheme}://127.0.0.1:{closed_port}"
    assert error.message == (
        f"models.example: the proxy {address} (HTTPS_PROXY) cannot be reached: nothing is listening"
    )
    assert "NO_PROXY" in error.hint


async def test_a_proxy_whose_name_cannot_be_resolved(monkeypatch):
    def unknown(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    proxy = Proxy("http://proxy.example:3128", "https_proxy")
    error = await fault_of(Endpoint("https://models.example/v1", proxy=proxy))
    assert error.code == "proxy"
    assert "http://proxy.example:3128 (https_proxy) cannot be reached: its name cannot" in error.message


@pytest.mark.parametrize("target", ["https://models.example/v1", "http://models.example/v1"])
async def test_a_proxy_that_refuses_the_password(target):
    async with listening(speaking(http_response("407 Proxy Authentication Required"))) as port:
        error = await fault_of(behind(port, target))
    assert (error.code, error.retryable) == ("proxy_auth", False)
    assert "refused the user name and password" in error.message
    assert "HTTPS_PROXY: http://user:password@host:port" in error.hint


async def test_a_proxy_that_wants_a_password():
    async with listening(TunnelProxy(1, credentials="ann:other")) as port:
        proxy = Proxy(f"http://127.0.0.1:{port}", "ALL_PROXY")
        error = await fault_of(Endpoint("https://models.example/v1", proxy=proxy))
    assert error.code == "proxy_auth"
    assert "(ALL_PROXY) needs a user name and password" in error.message


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        ("403 Forbidden", False),
        ("500 Internal Server Error", True),
        ("502 Bad Gateway", True),
        ("504 Gateway Timeout", True),
    ],
)
async def test_a_proxy_that_does_not_lead_there(status, retryable):
    async with listening(speaking(http_response(status))) as port:
        error = await fault_of(behind(port))
    assert (error.code, error.retryable) == ("proxy", retryable)
    assert f"could not reach it: {status}" in error.message


@pytest.mark.parametrize(
    ("wording", "code"),
    [
        ("Proxy Server could not connect: Connection refused.", "proxy"),
        ("Invalid username/password", "proxy_auth"),
    ],
)
def test_what_a_socks_proxy_says_is_reported(wording, code):
    with pytest.raises(NetworkError) as raised, translated(behind(1080, scheme="socks5h")):
        raise httpx2.ProxyError(wording)
    assert raised.value.code == code


async def test_a_proxy_in_use_is_named_beside_a_fault_behind_it(authority):
    async with (
        listening(speaking(MODELS), tls=authority.server_context("models.example")) as server,
        listening(TunnelProxy(server)) as port,
    ):
        error = await fault_of(behind(port))
    assert error.code == "tls_certificate"
    assert f"perhaps the proxy http://127.0.0.1:{port} (HTTPS_PROXY) puts its own in place" in error.hint


@pytest.mark.parametrize("proxying", [TunnelProxy, SocksProxy])
async def test_a_proxy_that_cuts_the_tunnel_is_named(proxying):
    async with listening(reset) as server, listening(proxying(server)) as port:
        scheme = "http" if proxying is TunnelProxy else "socks5h"
        proxy = Proxy(f"{scheme}://127.0.0.1:{port}", "ALL_PROXY")
        error = await fault_of(Endpoint("https://models.example/v1", proxy=proxy))
    assert error.code == "reset"
    assert error.message.endswith(f", through the proxy {scheme}://127.0.0.1:{port} (ALL_PROXY)")


async def test_the_list_of_models_fails_with_the_same_error(closed_port):
    endpoint = at(closed_port)
    async with entry_at(endpoint) as entry:
        with pytest.raises(NetworkError) as raised:
            await offered_models(entry, timeout_s=5)
    assert raised.value.code == "refused"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://elsewhere.example:8443/v2", "https://elsewhere.example:8443/v2"),
        ("/v2/chat", "https://models.example/v2/chat"),
        ("https://ann:s3cret@elsewhere.example/v2?token=s3cret#s3cret", "https://elsewhere.example/v2"),
        ("https://elsewhere.example/\x1b[31m", "https://elsewhere.example/␛[31m"),
    ],
)
async def test_a_redirect_tells_where_it_points_and_nothing_secret(chat, completions, location, shown):
    completions.respond(307, headers={"location": location})
    _, error = await failure_of(chat)
    assert isinstance(error, RequestRefused)
    assert f"(it points to {shown})" in error.hint
    assert "s3cret" not in error.hint


@pytest.mark.parametrize("location", ["", "https://[bad/", "mailto:ann@example.org"])
async def test_a_redirect_to_nowhere_is_reported_without_an_address(chat, completions, location):
    completions.respond(307, headers={"location": location})
    _, error = await failure_of(chat)
    assert error.hint.endswith("set base_url to the final address")


CAUSES = st.sampled_from(
    [
        ConnectionResetError(errno.ECONNRESET, "reset"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        TimeoutError(),
        OSError(errno.ENETUNREACH, "unreachable"),
        ValueError("odd"),
        asyncio.CancelledError(),
    ]
)


@given(
    st.recursive(CAUSES, lambda below: st.lists(below, min_size=1, max_size=3), max_leaves=6), st.booleans()
)
def test_whatever_lies_below_an_error_it_becomes_one_with_a_hint(below, proxied):
    def group(cause):
        return BaseExceptionGroup("", [group(one) for one in cause]) if isinstance(cause, list) else cause

    proxy = Proxy("http://ann:s3cret@proxy.example", "HTTP_PROXY") if proxied else None
    with pytest.raises(NetworkError) as raised, translated(Endpoint("http://models.example", proxy=proxy)):
        raise httpx2.ConnectError("") from group(below)
    assert raised.value.hint
    assert "s3cret" not in f"{raised.value.message} {raised.value.hint}"
