from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.client.endpoint import Endpoint, Proxy, proxy_for
from chatcli.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("http://localhost:11434/v1", "localhost:11434"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
        ("http://[::1]/v1", "[::1]"),
        ("https://person:password@models.example/v1", "models.example"),
    ],
)
def test_errors_name_an_endpoint_by_its_host_and_unusual_port(base_url, host):
    assert Endpoint(base_url).host == host


def test_a_line_for_the_person_names_the_embedded_model_as_such():
    assert Endpoint("http://127.0.0.1:4711/v1", embedded=True).name == "the embedded model"
    assert Endpoint("http://127.0.0.1:4711/v1").name == "127.0.0.1:4711"


@pytest.mark.parametrize(
    ("base_url", "is_openai"),
    [
        ("https://api.openai.com/v1", True),
        ("https://API.OpenAI.com:443/v1", True),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://api.openai.com@evil.example/v1", False),
        ("https://models.example/api.openai.com/v1", False),
    ],
)
def test_only_openais_own_host_is_openai(base_url, is_openai):
    assert Endpoint(base_url).is_openai is is_openai


def test_the_key_is_not_in_the_representation():
    assert "sk-secret" not in repr(Endpoint("https://models.example/v1", key="sk-secret"))


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "url", "variable"),
    [
        ({"HTTPS_PROXY": PROXY}, "https://models.example/v1", "HTTPS_PROXY"),
        ({"https_proxy": PROXY}, "https://models.example/v1", "https_proxy"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, "https://models.example/v1", "https_proxy"),
        ({"HTTP_PROXY": PROXY}, "http://models.example/v1", "HTTP_PROXY"),
        ({"ALL_PROXY": PROXY}, "https://models.example/v1", "ALL_PROXY"),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "http://other"}, "https://models.example/v1", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, "https://models.example/v1", "ALL_PROXY"),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "other.example"}, "https://models.example/v1", "HTTPS_PROXY"),
    ],
)
def test_the_proxy_is_the_one_of_the_scheme_else_that_for_everything(environment, url, variable):
    assert proxy_for(url, environment) == Proxy(PROXY, variable)


@pytest.mark.parametrize(
    "environment", [{}, {"HTTP_PROXY": PROXY}, {"HTTPS_PROXY": " "}, {"FTP_PROXY": PROXY}, {"NO_PROXY": "*"}]
)
def test_without_one_for_the_scheme_there_is_none(environment):
    assert proxy_for("https://models.example/v1", environment) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", "https://models.example/v1"),
        ("models.example", "https://models.example/v1"),
        ("MODELS.example", "https://models.Example/v1"),
        ("example", "https://models.example/v1"),
        (".models.example", "https://a.models.example/v1"),
        (".models.example", "https://models.example/v1"),
        ("*.models.example", "https://a.models.example/v1"),
        ("a.example, models.example ,b.example", "https://models.example/v1"),
        ("models.example:8443", "https://models.example:8443/v1"),
        ("10.1.2.3", "https://10.1.2.3/v1"),
        ("10.0.0.0/8", "https://10.1.2.3/v1"),
        ("[fd00::1]", "https://[fd00::1]/v1"),
        ("fd00::1", "https://[fd00::1]/v1"),
        ("fd00::/8", "https://[fd00::1]/v1"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443/v1"),
    ],
)
def test_what_no_proxy_names_is_reached_directly(no_proxy, url):
    assert proxy_for(url, {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}) is None
    assert proxy_for(url, {"ALL_PROXY": PROXY, "no_proxy": no_proxy}) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("odels.example", "https://models.example/v1"),
        ("models.example", "https://models.example.evil.example/v1"),
        ("models.example:8443", "https://models.example/v1"),
        ("10.0.0.0/8", "https://11.1.2.3/v1"),
        ("10.0.0.0/8", "https://10.example/v1"),
        (",,", "https://models.example/v1"),
        (".", "https://models.example/v1"),
    ],
)
def test_what_no_proxy_does_not_name_goes_through_the_proxy(no_proxy, url):
    assert proxy_for(url, {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}) is not None


def test_a_proxy_without_a_scheme_is_an_http_proxy():
    assert proxy_for("https://models.example", {"HTTPS_PROXY": "proxy.example:3128"}) == Proxy(
        PROXY, "HTTPS_PROXY"
    )


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("http://ann:s3cret@proxy.example:3128", "http://proxy.example:3128", 3128),
        ("http://ann:s3cret@proxy.example", "http://proxy.example:80", 80),
        ("https://proxy.example", "https://proxy.example:443", 443),
        ("socks5://ann:s3cret@[fd00::1]", "socks5://[fd00::1]:1080", 1080),
        ("socks5h://proxy.example:9050", "socks5h://proxy.example:9050", 9050),
    ],
)
def test_a_proxy_is_named_without_its_password(url, address, port):
    proxy = Proxy(url, "ALL_PROXY")
    assert proxy.address == address
    assert proxy.port == port
    assert str(proxy) == f"the proxy {address} (ALL_PROXY)"
    assert "s3cret" not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://proxy.example",
        "socks4://ann:s3cret@proxy.example",
        "http://",
        "http://s3cret host",
        "http://s3cret:port@[bad",
        "http://proxy.example:s3cret",
        "http://proxy.example:0",
        "http://pröxy.s3cret",
    ],
)
def test_what_is_no_proxy_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigurationError) as refused:
        proxy_for("https://models.example", {"HTTPS_PROXY": url})
    assert refused.value.code == "proxy_not_valid"
    assert refused.value.message == "HTTPS_PROXY is not a proxy URL"
    assert "s3cret" not in refused.value.hint


@given(st.text(), st.text())
def test_whatever_the_environment_says_it_is_a_proxy_or_refused(url, no_proxy):
    environment = {"ALL_PROXY": url, "NO_PROXY": no_proxy}
    try:
        proxy = proxy_for("https://models.example:8443/v1", environment)
    except ConfigurationError:
        return
    assert proxy is None or 0 < proxy.port < 65_536
