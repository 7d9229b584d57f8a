from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.config.endpoints import is_loopback, origin_of, sends_in_clear, validated_url

HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,5}){0,2}", fullmatch=True)
PORTS = st.integers(1, 65_535)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://localhost:11434/v1",
        "http://127.0.0.1:8080",
        "http://[::1]:8080/v1",
        "https://gateway.example/a/b%20c/v1",
        "HTTPS://Host.Example/v1",
    ],
)
def test_an_http_url_with_a_host_is_valid(url):
    assert validated_url(url) == url


def test_white_space_around_and_slashes_behind_a_url_do_not_count():
    assert validated_url("  https://host.example/v1//\n") == "https://host.example/v1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":8080",
        "/v1",
        "::1",
        "host.example:port/v1",
        "ftp://host.example",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https:host.example",
        "https://host.example:",
        "https://host.example:0",
        "https://host.example:65536",
        "https://host.example:port",
        "https://[::1",
        "https://[::1]evil.example",
        "https://[not-an-address]/",
        "https://[fe80::1%25eth0]/",
        "https://host.example/v1?key=1",
        "https://host.example/v1?",
        "https://host.example/v1#top",
        "https://host .example/v1",
        "https://ho\tst.example/v1",
        "https://api.openai.com\\@evil.example/v1",
        "https://api.openai.com\\.evil.example/v1",
        "https://%61pi.openai.com/v1",
        "https://ａpi.openai.com/v1",
        "https://münchen.example/v1",
        "https://host.example/v1\x1b[31m",
        "https://host.example/" + "x" * 100_000,
    ],
)
def test_any_other_url_is_refused(url):
    with pytest.raises(ValueError, match="must"):
        validated_url(url)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("localhost:11434", "http://localhost:11434"),
        ("LOCALHOST/v1/", "http://LOCALHOST/v1"),
        ("127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("127.8.9.10", "http://127.8.9.10"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("llm.example.com/v1", "https://llm.example.com/v1"),
        ("llm.example.com:8443", "https://llm.example.com:8443"),
        ("localhost.example.com", "https://localhost.example.com"),
        ("192.168.1.5:8000/v1", "https://192.168.1.5:8000/v1"),
        ("[fe80::1]:8080", "https://[fe80::1]:8080"),
    ],
)
def test_an_address_without_a_scheme_is_http_on_this_machine_and_https_elsewhere(address, url):
    assert validated_url(address) == url


@given(HOSTS, PORTS, st.sampled_from(["", "/v1", "/a/b/"]))
def test_an_address_is_completed_once_and_never_sent_in_clear_to_another_machine(host, port, path):
    url = validated_url(f"{host}:{port}{path}")
    assert validated_url(url) == url
    assert not sends_in_clear(url)


@given(st.text())
def test_any_text_is_a_url_with_a_known_scheme_or_refused(text):
    try:
        url = validated_url(text)
    except ValueError:
        return
    assert origin_of(url).scheme in {"http", "https"}


@pytest.mark.parametrize("quoted", ['"https://host.example"', "'host.example'", "“https://host.example”"])
def test_quotes_around_a_url_are_named(quoted):
    with pytest.raises(ValueError, match="must not have quotes around it"):
        validated_url(quoted)


@pytest.mark.parametrize(
    "url", ["user:hunter2@host.example", "https://user:hunter2@host.example", "https://hunter2@host.example"]
)
def test_a_url_with_credentials_is_refused_without_repeating_them(url):
    with pytest.raises(ValueError, match="password") as caught:
        validated_url(url)
    assert "hunter2" not in str(caught.value)


@given(HOSTS, PORTS)
def test_an_origin_ignores_case_and_path(host, port):
    assert origin_of(f"https://{host}:{port}/v1") == origin_of(f"HTTPS://{host.upper()}:{port}/other/v2")


@given(HOSTS)
def test_a_default_port_is_the_same_as_none(host):
    assert origin_of(f"https://{host}") == origin_of(f"https://{host}:443/v1")
    assert origin_of(f"http://{host}") == origin_of(f"http://{host}:80/v1")


@given(HOSTS, PORTS)
def test_an_origin_reads_back_from_its_text(host, port):
    origin = origin_of(f"http://{host}:{port}")
    assert origin_of(str(origin)) == origin


@pytest.mark.parametrize(
    "other",
    [
        "http://api.openai.com",
        "https://api.openai.com:8443",
        "https://openai.com",
        "https://api.openai.com.evil.example",
        "https://api.openai.com.",
        "https://evil.example/api.openai.com",
    ],
)
def test_another_scheme_port_or_host_is_another_origin(other):
    assert origin_of(other) != origin_of("https://api.openai.com/v1")


def test_spellings_of_one_ipv6_address_are_one_origin():
    assert origin_of("http://[0:0:0:0:0:0:0:1]:80") == origin_of("http://[::1]")
    assert str(origin_of("http://[::1]:8080/v1")) == "http://[::1]:8080"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10:8080", "[::1]:1234", "localhost", "LOCALHOST:80"])
def test_loopback_is_this_machine(host):
    assert is_loopback(f"http://{host}/v1")


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "10.0.0.1", "[::2]", "localhost.example", "notlocalhost", "127.0.0.1.example", "128.0.0.1"],
)
def test_anything_else_is_not(host):
    assert not is_loopback(f"http://{host}/v1")


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [
        ("http://host.example/v1", True),
        ("http://192.168.1.5:8000/v1", True),
        ("https://host.example/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_only_http_to_another_machine_is_in_clear(url, in_clear):
    assert sends_in_clear(url) is in_clear
