from __future__ import annotations

import shutil

import pytest

from chatcli.client.endpoint import Endpoint
from chatcli.client.openai_client import connect
from chatcli.client.trusted_certificates import trust_source, trusting
from chatcli.core.errors import ConfigurationError, NetworkError
from client.wire import chat_at, completion, events_of, failure_of
from way_servers import Authority, http_response, listening, speaking

ANSWER = http_response(
    "200 OK", str(completion("Paris")).replace("'", '"').encode(), content_type="application/json"
)
ENVIRONMENTS = ["SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


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
def test_certificates_that_are_missing_are_told_by_their_variable(tmp_path, variable):
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
def test_it_is_said_whom_is_believed(environment, ca_bundle, named):
    assert trust_source(environment, ca_bundle) == named
