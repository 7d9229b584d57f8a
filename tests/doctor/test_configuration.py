from __future__ import annotations

import pytest

from chatcli.doctor.examination import Status
from chatcli.doctor.local_checks import check_configuration as check

KEY = "sk-proj-0123456789abcdefghij"


async def test_the_endpoint_the_model_and_the_key_are_told_with_their_places_and_never_the_key(examination):
    given = examination({"OPENAI_API_KEY": KEY, "CHATCLI_MODEL": "gpt-x"})
    texts = [finding.text for finding in await check(given)]
    assert texts == [
        "endpoint https://api.openai.com/v1 (default)",
        "model gpt-x (environment CHATCLI_MODEL)",
        "a key is set (environment OPENAI_API_KEY)",
    ]
    assert given.endpoint.key == KEY


async def test_openai_without_a_key_is_a_problem_and_can_still_be_looked_at(examination):
    given = examination({"CHATCLI_BASE_URL": "https://api.openai.com/v1"})
    *_, last = await check(given)
    assert (last.status, last.text) == (Status.PROBLEM, "no key is set")
    assert "chatcli config login" in last.hint
    assert given.endpoint is not None


async def test_a_key_of_another_endpoint_is_told_as_withheld(examination):
    given = examination({"OPENAI_API_KEY": KEY, "CHATCLI_BASE_URL": "https://models.example/v1"})
    *_, last = await check(given)
    assert last.status is Status.OK
    assert last.text.startswith("no key is set; the key from environment OPENAI_API_KEY was not sent")
    assert KEY not in last.text


async def test_a_key_that_would_travel_unencrypted_is_a_problem_and_nothing_is_sent(examination):
    given = examination({"CHATCLI_API_KEY": KEY, "CHATCLI_BASE_URL": "http://models.example/v1"})
    *_, last = await check(given)
    assert last.status is Status.PROBLEM
    assert "--insecure-http" in last.hint
    assert given.endpoint is None


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("CHATCLI_CA_BUNDLE", "own.pem", "ca_bundle own.pem (environment CHATCLI_CA_BUNDLE)"),
        ("CHATCLI_API_VERSION", "2024-10-21", "api_version 2024-10-21 (environment CHATCLI_API_VERSION)"),
    ],
)
async def test_what_else_decides_the_way_is_told_where_it_is_set(examination, variable, value, text):
    given = examination({"CHATCLI_BASE_URL": "https://models.example/v1", variable: value})
    assert text in [finding.text for finding in await check(given)]


async def test_a_variable_that_is_no_setting_is_a_warning(examination):
    first, *_ = await check(examination({"CHATCLI_MODLE": "x"}))
    assert first.status is Status.WARNING
    assert "CHATCLI_MODLE" in first.text


async def test_a_proxy_that_is_no_url_is_a_problem(examination):
    given = examination({"CHATCLI_BASE_URL": "https://models.example/v1", "HTTPS_PROXY": "s3cret://"})
    *_, last = await check(given)
    assert (last.status, last.text) == (Status.PROBLEM, "HTTPS_PROXY is not a proxy URL")
