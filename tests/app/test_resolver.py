"""The connection to an endpoint, as settings and environment define it."""

from __future__ import annotations

import pytest

from chatcli.app.resolver import endpoint_at
from chatcli.app.run_context import RunContext
from chatcli.client.endpoint import Proxy
from chatcli.config.endpoints import OPENAI_URL
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.core.errors import ConfigurationError

MODELS = "https://models.example/v1"


@pytest.fixture
def endpoint(tmp_path):
    """Return a function that resolves the endpoint at a URL with these variables set."""
    paths = Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache", tmp_path / "local")

    def at(url, **environment):
        return endpoint_at(
            url, resolve({}, environment, paths, tmp_path), RunContext(environment, paths), key="sk-here"
        )

    return at


def test_the_proxy_is_the_one_of_the_environment_handed_in(endpoint, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy-of-the-process.example")
    assert endpoint(MODELS).proxy is None
    proxy = Proxy("http://proxy.example", "HTTPS_PROXY")
    assert endpoint(MODELS, HTTPS_PROXY="http://proxy.example").proxy == proxy


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "https://[::1]/v1"])
def test_loopback_is_never_reached_through_a_proxy(endpoint, url):
    found = endpoint(url, ALL_PROXY="http://proxy.example", HTTP_PROXY="not a proxy")
    assert found.loopback
    assert found.proxy is None


def test_a_proxy_that_is_none_is_refused(endpoint):
    with pytest.raises(ConfigurationError):
        endpoint(MODELS, ALL_PROXY="ftp://proxy.example")


def test_times_and_certificates_are_those_of_the_settings(endpoint):
    found = endpoint(
        MODELS,
        CHATCLI_CA_BUNDLE="own.pem",
        CHATCLI_TIMEOUT_S="3",
        CHATCLI_CONNECT_TIMEOUT_S="2",
        CHATCLI_IDLE_TIMEOUT_S="1",
    )
    assert found.ca_bundle == "own.pem"
    assert (found.timeout_s, found.connect_timeout_s, found.idle_timeout_s) == (3.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("url", "configured", "version"),
    [
        (MODELS, MODELS, "2024-10-21"),
        (MODELS, None, "2024-10-21"),
        (MODELS, "https://other.example/v1", None),
        (OPENAI_URL, None, None),
    ],
)
def test_a_version_belongs_to_the_endpoint_it_was_set_for(endpoint, url, configured, version):
    variables = {"CHATCLI_API_VERSION": "2024-10-21"}
    if configured:
        variables["CHATCLI_BASE_URL"] = configured
    assert endpoint(url, **variables).api_version == version
