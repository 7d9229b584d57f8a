from __future__ import annotations

import pytest

from chatcli.client.endpoint import Endpoint


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
