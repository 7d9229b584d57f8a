"""A key is only sent to the endpoint it was configured with: all sources of keys with all sources of URLs."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.sources import table_source, variable_source
from chatcli.core.errors import ConfigurationError

HOST = "https://host.example/v1"
OTHER = "https://other.example/v1"
OPENAI = origin_of(OPENAI_URL)


# Within one set of variables: the URL of each key.


@pytest.mark.parametrize(
    ("urls", "chatcli_goes_to", "openai_goes_to"),
    [
        ({}, OPENAI_URL, OPENAI_URL),
        ({"OPENAI_BASE_URL": HOST}, HOST, HOST),
        ({"CHATCLI_BASE_URL": HOST}, HOST, OPENAI_URL),
        ({"CHATCLI_BASE_URL": HOST, "OPENAI_BASE_URL": OTHER}, HOST, OTHER),
        ({"OPENAI_API_BASE": HOST}, HOST, HOST),
        ({"OPENAI_API_BASE": OTHER, "OPENAI_BASE_URL": HOST}, HOST, HOST),
        ({"OPENAI_API_BASE": OTHER, "CHATCLI_BASE_URL": HOST}, HOST, OTHER),
        ({"OPENAI_BASE_URL": "host.example"}, HOST, HOST),
        ({"OPENAI_API_BASE": "localhost:11434"}, "http://localhost:11434/v1", "http://localhost:11434"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env", "--env-file given.env"])
def test_a_variable_belongs_to_the_url_beside_it(place, urls, chatcli_goes_to, openai_goes_to):
    source = variable_source(place, {"CHATCLI_API_KEY": "c", "OPENAI_API_KEY": "o", **urls})
    assert [(one.source, one.secret.reveal(), one.endpoint_origin) for one in source.credentials] == [
        (f"{place} CHATCLI_API_KEY", "c", origin_of(chatcli_goes_to)),
        (f"{place} OPENAI_API_KEY", "o", origin_of(openai_goes_to)),
    ]


# Within config.toml: a table, the top level around a profile, a referenced variable.


@pytest.mark.parametrize("key", [{"api_key": "k"}, {"api_key_env": "WORK_KEY"}])
@pytest.mark.parametrize(
    ("base_url", "outer", "goes_to"),
    [(None, None, OPENAI_URL), (HOST, None, HOST), (None, OTHER, OTHER), (HOST, OTHER, HOST)],
)
def test_a_key_of_a_table_belongs_to_its_url_or_to_the_one_around(key, base_url, outer, goes_to):
    table = key if base_url is None else {**key, "base_url": base_url}
    source = table_source("config.toml", table, {"WORK_KEY": "k"}, outer_base_url=outer)
    assert [(one.secret.reveal(), one.endpoint_origin) for one in source.credentials] == [
        ("k", origin_of(goes_to))
    ]


def test_the_key_of_the_top_level_does_not_follow_a_profile(machine):
    config = f'api_key = "k"\n[profiles.work]\nbase_url = "{HOST}"'
    settings = machine.resolve(flags={"profile": "work"}, config=config)
    assert settings.base_url == HOST
    assert settings.credential is None
    assert [one.source for one in settings.withheld] == ["config.toml api_key"]


def test_the_key_of_a_profile_not_in_use_is_not_there(machine):
    settings = machine.resolve(config=f'base_url = "{HOST}"\n[profiles.work]\napi_key = "k"')
    assert (settings.credential, settings.withheld) == (None, ())


def test_a_variable_pointed_to_goes_where_the_table_says_and_only_there(machine):
    config = f'base_url = "{HOST}"\napi_key_env = "OPENAI_API_KEY"'
    settings = machine.resolve(environment={"OPENAI_API_KEY": "k"}, config=config)
    assert settings.credential.source == "config.toml api_key_env OPENAI_API_KEY"
    assert settings.credential.endpoint_origin == origin_of(HOST)


def test_a_variable_pointed_to_is_never_taken_from_a_file_in_the_folder(machine):
    config = f'base_url = "{HOST}"\napi_key_env = "CHATCLI_WORK"'
    settings = machine.resolve(config=config, dotenv="CHATCLI_WORK=evil")
    assert settings.credential is None


def test_a_variable_pointed_to_that_is_not_set_is_reported_when_no_key_is_left(machine):
    config = f'base_url = "{HOST}"\napi_key_env = "WORK_KEY"'
    assert machine.resolve(config=config).warnings == ("config.toml api_key_env WORK_KEY is not set",)
    with_key = {"CHATCLI_API_KEY": "k", "CHATCLI_BASE_URL": HOST}
    assert machine.resolve(config=config, environment=with_key).warnings == ()


def test_a_bad_value_of_a_variable_pointed_to_is_reported_without_repeating_it(machine):
    config = 'api_key_env = "WORK_KEY"'
    with pytest.raises(ConfigurationError, match="WORK_KEY must be a key") as caught:
        machine.resolve(config=config, environment={"WORK_KEY": "geheim nis"})
    assert "geheim" not in caught.value.message


# Across sources: a key in one, the endpoint in another.

KEYS = {
    "environment": {"environment": {"OPENAI_API_KEY": "k"}},
    "environment, own": {"environment": {"CHATCLI_API_KEY": "k"}},
    "env file": {"env_file": "OPENAI_API_KEY=k\n"},
    ".env": {"trusted_dotenv": "OPENAI_API_KEY=k\n"},
    "config": {"config": 'api_key = "k"\n'},
    "profile": {"config": 'profile = "work"\n[profiles.work]\napi_key = "k"\n'},
    "keys.json": {"keys": {OPENAI_URL: "k"}},
    "keyring": {"keys": {OPENAI_URL: None}},
}
URLS = {
    "flag": {"flags": {"base_url": HOST}},
    "environment": {"environment": {"OPENAI_BASE_URL": HOST}},
    "environment, own": {"environment": {"CHATCLI_BASE_URL": HOST}},
    "env file": {"env_file": f"OPENAI_BASE_URL={HOST}\n"},
    ".env": {"trusted_dotenv": f"OPENAI_BASE_URL={HOST}\n"},
    "config": {"config": f'base_url = "{HOST}"\n'},
    "profile": {"config": f'profile = "work"\n[profiles.work]\nbase_url = "{HOST}"\n'},
}
TOGETHER = {
    ("environment", "environment"),
    ("environment, own", "environment"),
    ("environment, own", "environment, own"),
    ("env file", "env file"),
    (".env", ".env"),
}
"""The key and the URL that were configured beside each other. Pairs within config.toml are tested above."""
NOT_BESIDE = [
    (key, url)
    for key, url in product(KEYS, URLS)
    if (key, url) not in TOGETHER and not {key, url} <= {"config", "profile"}
]


def joined(first, second):
    merged = dict(first)
    for name, value in second.items():
        merged[name] = (
            {**merged.get(name, {}), **value} if isinstance(value, dict) else merged.get(name, "") + value
        )
    return merged


@pytest.mark.parametrize(("key", "url"), NOT_BESIDE)
def test_a_key_is_not_sent_to_a_url_from_another_place(machine, key, url):
    settings = machine.resolve(**joined(KEYS[key], URLS[url]))
    assert settings.base_url == HOST
    assert settings.credential is None
    assert [one.endpoint_origin for one in settings.withheld] == [OPENAI]


@pytest.mark.parametrize(("key", "url"), sorted(TOGETHER))
def test_a_key_is_sent_to_the_url_beside_it(machine, key, url):
    settings = machine.resolve(**joined(KEYS[key], URLS[url]))
    assert settings.base_url == HOST
    assert settings.credential.endpoint_origin == origin_of(HOST)
    assert settings.withheld == ()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "url", ["https://API.openai.com/v1", "https://api.openai.com:443/v1/", "https://api.openai.com/other"]
)
def test_a_key_is_sent_to_any_url_of_its_own_origin(machine, key, url):
    settings = machine.resolve(**joined(KEYS[key], {"flags": {"base_url": url}}))
    assert settings.credential.secret.reveal() == "k"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "url",
    ["http://api.openai.com/v1", "https://api.openai.com:8443/v1", "https://api.openai.com.evil.example/v1"],
)
def test_a_key_is_not_sent_to_what_only_resembles_its_origin(machine, key, url):
    settings = machine.resolve(**joined(KEYS[key], {"flags": {"base_url": url}}))
    assert settings.credential is None
    assert len(settings.withheld) == 1


@pytest.mark.parametrize("key", KEYS)
def test_a_key_for_openai_alone_makes_openai_the_endpoint(machine, key):
    settings = machine.resolve(**KEYS[key])
    assert settings.base_url == OPENAI_URL
    assert settings.origin("base_url") == "default"
    assert settings.credential.secret.reveal() == "k"


def test_without_a_key_for_openai_there_is_no_default_endpoint(machine):
    assert machine.resolve().base_url is None


def test_of_several_keys_for_one_endpoint_the_strongest_place_counts(machine):
    places = {
        "environment": {"OPENAI_API_KEY": "environment", "CHATCLI_API_KEY": "own"},
        "env_file": "OPENAI_API_KEY=env-file",
        "trusted_dotenv": "OPENAI_API_KEY=dotenv",
        "config": 'profile = "work"\napi_key = "top"\n[profiles.work]\napi_key = "profile"\n',
        "keys": {OPENAI_URL: "stored"},
    }
    chosen = []
    while places:
        chosen.append(machine.resolve(**places).credential.secret.reveal())
        if chosen[-1] == "own":
            places["environment"].pop("CHATCLI_API_KEY")
        else:
            places.pop(next(iter(places)))
    assert chosen == ["own", "environment", "env-file", "dotenv", "profile", "stored"]


def test_a_stronger_key_of_another_endpoint_does_not_hide_the_fitting_one(machine):
    settings = machine.resolve(
        environment={"OPENAI_API_KEY": "o"},
        flags={"base_url": HOST},
        config=f'base_url = "{HOST}"\napi_key = "k"',
    )
    assert settings.credential.secret.reveal() == "k"
    assert [one.source for one in settings.withheld] == ["environment OPENAI_API_KEY"]


# And for any combination.

URL_TEXTS = st.none() | st.sampled_from([HOST, OTHER, "http://localhost:1/v1", OPENAI_URL])


def variables(own_key, own_url, openai_key, openai_url, older_url):
    named = {
        "CHATCLI_API_KEY": own_key,
        "CHATCLI_BASE_URL": own_url,
        "OPENAI_API_KEY": openai_key,
        "OPENAI_BASE_URL": openai_url,
        "OPENAI_API_BASE": older_url,
    }
    return {name: value for name, value in named.items() if value is not None}


def places_with_marked_keys(name):
    key = st.none() | st.just(name)
    return st.builds(variables, key, URL_TEXTS, key, URL_TEXTS, URL_TEXTS)


STORED = st.dictionaries(
    st.sampled_from([HOST, OTHER, "http://localhost:1/v1", OPENAI_URL]), st.just("stored")
)


def as_env_file(values):
    return "".join(f"{name}={value}\n" for name, value in values.items())


@given(
    flag=URL_TEXTS,
    environment=places_with_marked_keys("environment"),
    env_file=places_with_marked_keys("env-file"),
    dotenv=places_with_marked_keys("dotenv"),
    stored=STORED,
    is_trusted=st.booleans(),
)
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
def test_no_key_ever_meets_a_url_its_own_place_did_not_name(
    machine, flag, environment, *, env_file, dotenv, stored, is_trusted
):
    settings = machine.resolve(
        flags={"base_url": flag},
        environment=environment,
        env_file=as_env_file(env_file),
        **{"trusted_dotenv" if is_trusted else "dotenv": as_env_file(dotenv)},
        keys=stored,
    )
    if settings.credential is None:
        return
    found_in = settings.credential.secret.reveal()
    if found_in == "stored":
        named = list(stored)
    else:
        place = {"environment": environment, "env-file": env_file, "dotenv": dotenv}[found_in]
        named = [url for name, url in place.items() if name.endswith(("_URL", "_BASE"))] + [OPENAI_URL]
    assert origin_of(settings.base_url) in {origin_of(url) for url in named}
