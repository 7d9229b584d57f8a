from __future__ import annotations

import socket
from contextlib import suppress

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.app.run_context import RunContext
from chatcli.config.config_file import read_config_file
from chatcli.config.endpoints import OPENAI_URL
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.core.errors import ConfigurationError, KeyRefused, NetworkError, RequestRefused, UsageError
from chatcli.local.discovery import FoundServer, LocalState, ServerCandidate
from chatcli.local.engine import EngineState
from chatcli.local.weights import WeightsState
from chatcli.login import (
    Checked,
    EmbeddedModel,
    LoginOptions,
    check_key,
    clean_address,
    clean_key,
    find_login_options,
    forget_key,
    keep_key,
    key_in_front,
    use_endpoint,
)
from fake_keyring import FakeKeyring
from scripted_server import json_answer, serving

KEY = "sk-proj-0123456789abcdefghij"
HOST = "https://host.example/v1"
KEYS = st.from_regex(r"sk-[A-Za-z0-9_-]{1,40}", fullmatch=True)
MODELS = json_answer({"data": [{"id": "big", "context_length": 9000}]})


@pytest.fixture
def context(tmp_path):
    folders = (tmp_path / name for name in ("config", "data", "cache", "local"))
    return RunContext({}, Paths(*folders))


@pytest.fixture
def settings(context):
    def settle(**flags):
        return resolve(flags, context.environment, context.paths, context.paths.data)

    return settle


def no_keyring():
    return None


# Proving a key.


async def test_a_key_that_is_accepted_is_proven_and_brings_the_models(context, settings):
    async with serving(MODELS) as server:
        checked = await check_key(server.base_url, KEY, settings(), context)
    assert [model.id for model in checked.models] == ["big"]
    assert checked.proven
    (request,) = server.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/models", f"Bearer {KEY}")


@pytest.mark.parametrize("status", [404, 405])
async def test_an_endpoint_without_a_list_of_models_proves_nothing(context, settings, status):
    async with serving(json_answer({"error": "no such page"}, status=status)) as server:
        assert await check_key(server.base_url, KEY, settings(), context) == Checked(
            server.base_url, (), proven=False
        )


@pytest.mark.parametrize("key", [None, KEY])
async def test_an_address_without_a_path_is_completed_where_the_models_are_below_v1(context, settings, key):
    def answer(request):
        return MODELS if request.path == "/v1/models" else json_answer("404 page not found", status=404)

    async with serving(choose=answer) as server:
        root = server.base_url.removesuffix("/v1")
        checked = await check_key(root, key, settings(), context)
    assert checked.base_url == server.base_url
    assert [model.id for model in checked.models] == ["big"]


async def test_a_key_refused_below_v1_is_refused(context, settings):
    def answer(request):
        return json_answer({"error": "who?"}, status=401 if request.path == "/v1/models" else 404)

    async with serving(choose=answer) as server:
        with pytest.raises(KeyRefused):
            await check_key(server.base_url.removesuffix("/v1"), KEY, settings(), context)


@pytest.mark.parametrize(("status", "error"), [(401, KeyRefused), (403, RequestRefused)])
async def test_a_refusal_is_raised_as_it_comes(context, settings, status, error):
    async with serving(json_answer({"error": "no"}, status=status)) as server:
        with pytest.raises(error):
            await check_key(server.base_url, KEY, settings(), context)


async def test_a_server_that_is_not_there_is_a_network_error(context, settings):
    with pytest.raises(NetworkError):
        await check_key("http://127.0.0.1:1/v1", KEY, settings(), context)


async def test_a_key_does_not_cross_a_network_unencrypted(context, settings):
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        await check_key("http://host.example/v1", KEY, settings(), context)
    assert "--insecure-http" in caught.value.hint


# Keeping a key.


def test_a_kept_key_is_used_for_its_endpoint_and_tells_where_it_is(context, settings):
    where = keep_key(HOST, KEY, context, no_keyring)
    assert where == str(context.paths.config / "keys.json")
    assert settings(base_url=HOST).credential.secret.reveal() == KEY
    assert settings().base_url is None


def test_a_key_in_the_keyring_tells_so(context):
    assert keep_key(HOST, KEY, context, FakeKeyring) == "the system keyring"


def test_a_kept_key_of_openai_makes_it_the_endpoint(context, settings):
    keep_key(OPENAI_URL, KEY, context, no_keyring)
    assert settings().base_url == OPENAI_URL
    assert settings().credential.source == "keys.json"


def test_a_forgotten_key_is_no_longer_used(context, settings):
    keep_key(HOST, KEY, context, no_keyring)
    assert forget_key(HOST, context, no_keyring) is True
    assert forget_key(HOST, context, no_keyring) is False
    assert settings(base_url=HOST).credential is None


def test_a_key_of_a_stronger_place_is_reported(context):
    def front(environment, endpoint=OPENAI_URL, **flags):
        return key_in_front(endpoint, resolve(flags, environment, context.paths, context.paths.data))

    keep_key(OPENAI_URL, KEY, context, no_keyring)
    environment = {"OPENAI_API_KEY": "k"}
    assert front({}) is None
    assert front(environment) == "environment OPENAI_API_KEY"
    assert front(environment, HOST) is None
    assert front(environment, base_url=HOST) == "environment OPENAI_API_KEY"


# The endpoint.


def test_an_endpoint_to_use_is_written_down(context, settings):
    use_endpoint(f"{HOST}/", context)
    assert settings().base_url == HOST
    assert settings().origin("base_url") == "config.toml"


def test_openai_is_used_by_taking_away_what_stands_in_its_way(context):
    use_endpoint(HOST, context)
    use_endpoint(OPENAI_URL, context)
    assert read_config_file(context.paths.config / "config.toml").settings == {}


# What was pasted.

WRAPPINGS = [
    "{}",
    "  {}\r\n",
    '"{}"',
    "“{}”",
    "Bearer {}",
    "Authorization: Bearer {}",
    "OPENAI_API_KEY={}",
    "export OPENAI_API_KEY='{}'",
    '$env:OPENAI_API_KEY = "{}"',
    "set HF_TOKEN={}",
    "\ufeff{}\u200b",
]


@given(KEYS, st.lists(st.sampled_from(WRAPPINGS), max_size=3))
def test_what_was_copied_along_with_a_key_is_taken_away(key, wrappings):
    text = key
    for wrapping in wrappings:
        text = wrapping.format(text)
    assert clean_key(text) == key


@given(st.text())
def test_what_is_left_is_a_key_or_a_usage_error(text):
    try:
        key = clean_key(text)
    except UsageError:
        return
    assert key.isascii()
    assert not any(character.isspace() for character in key)
    assert clean_key(key) == key


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (" https://host.example/v1/ ", "https://host.example/v1"),
        ("localhost:11434/v1", "http://localhost:11434/v1"),
        ('"host.example/v1"', "https://host.example/v1"),
        ("http://localhost:8080/v1/chat/completions", "http://localhost:8080/v1"),
        ("https://host.example/v1/models/", "https://host.example/v1"),
    ],
)
def test_an_address_is_taken_as_people_type_it(typed, address):
    assert clean_address(typed) == address


@given(st.text())
def test_any_other_address_is_refused(text):
    with suppress(UsageError):
        assert clean_address(clean_address(text)) == clean_address(text)


@given(st.from_regex(r"(https?://)?[a-z0-9.:\\[\\]/-]{1,30}", fullmatch=True))
def test_an_address_that_is_taken_can_be_called(text):
    with suppress(UsageError):
        httpx2.URL(clean_address(text))


@pytest.mark.parametrize(
    "typed",
    [
        "999.999.1.1",
        "http://1.2.3.999/v1",
        "",
        "ftp://host.example",
        "https://user:geheim@host.example",
        "two words",
    ],
)
def test_what_cannot_be_an_address_says_so_without_a_password(typed):
    with pytest.raises(UsageError, match="the address must") as caught:
        clean_address(typed)
    assert "geheim" not in caught.value.message


@pytest.mark.parametrize("key", ["abc==", "KEY==", "a=b"])
def test_equal_signs_belong_to_a_key(key):
    assert clean_key(key) == key


@pytest.mark.parametrize("text", ["", " \n", '""', "export OPENAI_API_KEY="])
def test_nothing_is_no_key(text):
    with pytest.raises(UsageError, match="no key was given"):
        clean_key(text)


@pytest.mark.parametrize("text", ["geheim nis", "geheim\ngeheim", "geheim…", "geheim\x1b[A"])
def test_what_cannot_be_a_key_is_refused_without_repeating_it(text):
    with pytest.raises(UsageError, match="not a key") as caught:
        clean_key(text)
    assert "geheim" not in f"{caught.value} {caught.value.hint}"


# Options without a key.


async def test_a_port_nobody_listens_at_is_no_way_in(context):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = await find_login_options(context, [ServerCandidate("Ollama", taken.getsockname()[1])])
    assert found.servers == ()
    assert found.embedded is not EmbeddedModel.READY


@pytest.mark.parametrize(
    ("engine", "weights", "expected"),
    [
        (True, 10, EmbeddedModel.READY),
        (True, None, EmbeddedModel.FETCHABLE),
        (True, 9, EmbeddedModel.FETCHABLE),
        (False, 10, EmbeddedModel.NO_ENGINE),
        (False, None, EmbeddedModel.NO_ENGINE),
    ],
)
def test_the_embedded_model_is_ready_can_be_fetched_or_lacks_its_engine(tmp_path, engine, weights, expected):
    servers = (FoundServer("Ollama", "http://127.0.0.1:11434/v1", ()),)
    state = LocalState(EngineState(engine, None), WeightsState(tmp_path, weights, 10), servers)
    assert LoginOptions.of(state) == LoginOptions(servers, expected)
