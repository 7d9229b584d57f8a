from __future__ import annotations

import pytest

from chatcli.config.report import Row, rows
from chatcli.config.settings import SETTINGS

KEY = "sk-proj-0123456789abcdefghij"


def row(settings, name) -> Row:
    return next(row for row in rows(settings, str) if row.name == name)


def test_there_is_a_row_for_every_setting_in_order(machine):
    assert [row.name for row in rows(machine.resolve(), str)] == [setting.name for setting in SETTINGS]


def test_a_row_tells_the_value_and_where_it_came_from(machine):
    settings = machine.resolve(flags={"model": "a"}, config="stream = false\noptions = {stop = 'né'}")
    assert row(settings, "model") == Row("model", "a", "flag --model")
    assert row(settings, "stream") == Row("stream", "false", "config.toml")
    assert row(settings, "options") == Row("options", '{"stop": "né"}', "config.toml")
    assert row(settings, "retries") == Row("retries", "4", "default")
    assert row(settings, "seed") == Row("seed", "not set", "default")


def test_a_key_is_masked(machine):
    settings = machine.resolve(environment={"OPENAI_API_KEY": KEY})
    assert row(settings, "api_key") == Row("api_key", "sk-…ghij", "environment OPENAI_API_KEY")
    assert KEY not in repr(settings)
    assert KEY not in repr(rows(settings, str))


def test_a_withheld_key_is_reported_with_its_endpoint(machine):
    settings = machine.resolve(
        flags={"base_url": "http://localhost:8080"}, environment={"OPENAI_API_KEY": KEY}
    )
    assert row(settings, "api_key").value == (
        "not set; the key from environment OPENAI_API_KEY was not sent: it belongs to https://api.openai.com"
    )


def test_a_stored_key_is_reported_with_its_place(machine):
    from_file = machine.resolve(keys={"https://api.openai.com": KEY})
    assert row(from_file, "api_key") == Row("api_key", "sk-…ghij", "keys.json")
    assert row(from_file, "base_url") == Row("base_url", "https://api.openai.com/v1", "default")
    machine.keyring.keys["https://api.openai.com"] = KEY
    from_keyring = machine.resolve(keys={"https://api.openai.com": None})
    assert row(from_keyring, "api_key") == Row("api_key", "sk-…ghij", "system keyring")


def test_a_keyring_that_is_locked_does_not_keep_the_settings_from_being_shown(machine):
    machine.keyring.failing.add("get")
    shown = row(machine.resolve(keys={"https://api.openai.com": None}), "api_key")
    assert shown.value == (
        "… (the system keyring did not return the key for https://api.openai.com: KeyringLocked)"
    )


def test_a_key_in_the_body_of_requests_is_masked(machine):
    settings = machine.resolve(
        config='options = {api_key = "geheim", deep = [{password = "geheim"}], note = "gsk_'
        "aB3dE5gH7jK9mN2pQ4rS6tU8vW0xY1zA3bC5dE7fG9hJ1kL3zzzz"
        '", seed = 7}'
    )
    shown = {row.name: row.value for row in rows(settings, str)}["options"]
    assert shown == '{"api_key": "…", "deep": [{"password": "…"}], "note": "…", "seed": 7}'
    assert settings.options["api_key"] == "geheim"


@pytest.mark.parametrize("name", ["cache", "limits"])
def test_the_password_of_a_server_is_masked(machine, name):
    settings = machine.resolve(config=f'{name} = "redis://me:geheim@cache.example:6379/0"')
    assert row(settings, name).value == "redis://me:…@cache.example:6379/0"
    assert getattr(settings, name) == "redis://me:geheim@cache.example:6379/0"
