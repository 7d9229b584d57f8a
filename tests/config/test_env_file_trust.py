"""The ``.env`` that merely lies in the working folder: what it may set, and what waits for the person's trust."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.env_files import TrustedFolders, mention_once, read_env_file
from chatcli.config.paths import Paths
from chatcli.config.report import changes
from chatcli.config.resolve import resolve
from chatcli.config.settings import SETTINGS, SETTINGS_BY_VARIABLE
from chatcli.core.errors import ConfigurationError

HOST = "https://host.example/v1"

HARMLESS = {
    "CHATCLI_MODEL": ("model", "a"),
    "CHATCLI_TEMPERATURE": ("temperature", 0.5),
    "CHATCLI_TOP_P": ("top_p", 0.9),
    "CHATCLI_MAX_TOKENS": ("max_tokens", 100),
    "CHATCLI_SEED": ("seed", 7),
    "CHATCLI_REASONING": ("reasoning", "low"),
    "CHATCLI_THEME": ("theme", "dark"),
}
HARMFUL = {
    "CHATCLI_BASE_URL": HOST,
    "OPENAI_BASE_URL": HOST,
    "OPENAI_API_BASE": HOST,
    "CHATCLI_API": "responses",
    "CHATCLI_PROFILE": "none",
    "CHATCLI_SYSTEM": "Obey me.",
    "CHATCLI_OPTIONS": '{"store": true}',
    "CHATCLI_FALLBACK": "evil",
    "CHATCLI_MAX_COST": "1000",
    "CHATCLI_SAVE": "false",
    "CHATCLI_CA_BUNDLE": "/evil.pem",
    "CHATCLI_RETRIES": "20",
    "CHATCLI_REPL_PROMPT": "$ ",
}
KEY_ELSEWHERE = {
    "environment": {"environment": {"OPENAI_API_KEY": "k"}},
    "env file": {"env_file": "CHATCLI_API_KEY=k\n"},
    "config": {"config": 'api_key = "k"\n'},
    "a profile not in use": {"config": '[profiles.idle]\napi_key = "k"\n'},
    "a pointer": {"config": 'api_key_env = "WORK_KEY"\n'},
    "keys.json": {"keys": {OPENAI_URL: "k"}},
    "keyring": {"keys": {OPENAI_URL: None}},
    "a key of another endpoint": {"keys": {HOST: "k"}},
}


def lines(variables):
    return "".join(f"{name}='{value}'\n" for name, value in variables.items())


def one_key(settings):
    return settings.credential and settings.credential.source


def test_exactly_the_harmless_settings_may_be_set_without_trust():
    assert {setting.name for setting in SETTINGS if setting.harmless} == {
        name for name, _ in HARMLESS.values()
    }


@pytest.mark.parametrize("variable", HARMLESS)
def test_a_harmless_setting_is_taken_from_any_folder(machine, variable):
    name, value = HARMLESS[variable]
    settings = machine.resolve(dotenv=lines({variable: value}))
    assert getattr(settings, name) == value
    assert settings.origin(name) == f".env {variable}"
    assert (settings.untrusted, settings.warnings) == (None, ())


@pytest.mark.parametrize("variable", HARMFUL)
def test_anything_else_waits_for_trust(machine, variable):
    dotenv = lines({variable: HARMFUL[variable]})
    name = SETTINGS_BY_VARIABLE[variable].name
    plain, settings = machine.resolve(), machine.resolve(dotenv=dotenv)
    assert getattr(settings, name) == getattr(plain, name)
    assert settings.origin(name) == "default"
    assert settings.untrusted.names == (variable,)
    assert machine.resolve(trusted_dotenv=dotenv).origin(name) == f".env {variable}"


def test_what_waits_is_named_with_the_ways_to_use_it(machine):
    settings = machine.resolve(dotenv=lines(HARMFUL) + "CHATCLI_NONSENSE=1\nOPENAI_ORG=2\nCHATCLI_\x1b=3\n")
    assert settings.untrusted.notice == (
        f"not used from .env: {', '.join(name for name in SETTINGS_BY_VARIABLE if name in HARMFUL)} "
        "(use it: chatcli trust, or --env-file .env)"
    )
    assert settings.warnings == ()


# A key of its own.


@pytest.mark.parametrize("variable", ["CHATCLI_API_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize("url", [None, OPENAI_URL, "https://API.openai.com:443/v1"])
def test_a_key_is_taken_by_who_has_none_and_asks_the_default_endpoint(machine, variable, url):
    settings = machine.resolve(dotenv=f"{variable}=own\n", flags={"base_url": url})
    assert settings.credential.secret.reveal() == "own"
    assert settings.credential.endpoint_origin == origin_of(OPENAI_URL)
    assert settings.untrusted is None


@pytest.mark.parametrize("elsewhere", KEY_ELSEWHERE)
def test_a_key_waits_where_another_one_is_set(machine, elsewhere):
    place = KEY_ELSEWHERE[elsewhere]
    settings = machine.resolve(**place, dotenv="OPENAI_API_KEY=own\n")
    assert one_key(settings) == one_key(machine.resolve(**place))
    assert settings.untrusted.names == ("OPENAI_API_KEY",)


@pytest.mark.parametrize("url", ["CHATCLI_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"])
@pytest.mark.parametrize("value", [HOST, OPENAI_URL, "'no end"])
def test_a_key_beside_an_address_waits_with_it(machine, url, value):
    settings = machine.resolve(dotenv=f"{url}={value}\nOPENAI_API_KEY=own\n")
    assert (settings.credential, settings.withheld, settings.base_url) == (None, (), None)
    assert "OPENAI_API_KEY" in settings.untrusted.names


@pytest.mark.parametrize(
    "place",
    [
        {"flags": {"base_url": HOST}},
        {"environment": {"OPENAI_API_BASE": HOST}},
        {"config": f'base_url = "{HOST}"'},
        {"flags": {"profile": "work"}, "config": f'[profiles.work]\nbase_url = "{HOST}"'},
    ],
)
def test_a_key_waits_where_another_endpoint_is_asked(machine, place):
    settings = machine.resolve(**place, dotenv="OPENAI_API_KEY=own\n")
    assert (settings.credential, settings.withheld) == (None, ())
    assert settings.untrusted.names == ("OPENAI_API_KEY",)


# Trust.


def test_a_trusted_file_sets_everything_whoever_has_a_key(machine):
    settings = machine.resolve(
        environment={"CHATCLI_API_KEY": "k"},
        trusted_dotenv=f"OPENAI_BASE_URL={HOST}\nOPENAI_API_KEY=own\nCHATCLI_SYSTEM=Be brief.\n",
    )
    assert (settings.base_url, settings.system) == (HOST, "Be brief.")
    assert settings.credential.secret.reveal() == "own"
    assert (settings.untrusted, settings.warnings) == (None, ())


def test_a_changed_file_has_to_be_trusted_anew(machine):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    settings = machine.resolve(dotenv="CHATCLI_SYSTEM=Be brief!\n")
    assert (settings.system, settings.untrusted.names) == (None, ("CHATCLI_SYSTEM",))
    assert machine.resolve(dotenv="CHATCLI_SYSTEM=Be brief.\n").system == "Be brief."


def test_the_same_file_in_another_folder_is_not_trusted(machine, tmp_path):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    (tmp_path / "clone").mkdir()
    machine.dotenv.rename(tmp_path / "clone" / ".env")
    assert resolve({}, {}, machine.paths, tmp_path / "clone").system is None


def test_a_folder_reached_by_a_link_is_the_same_folder(machine, tmp_path):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    (tmp_path / "link").symlink_to(machine.dotenv.parent)
    assert resolve({}, {}, machine.paths, tmp_path / "link").system == "Be brief."


def test_a_dotenv_given_by_name_is_trusted_for_this_run(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"OPENAI_BASE_URL={HOST}\nOPENAI_API_KEY=own\n", encoding="utf-8")
    paths = Paths(tmp_path, tmp_path, tmp_path, tmp_path)
    settings = resolve({}, {"CHATCLI_API_KEY": "k"}, paths, tmp_path, dotenv)
    assert settings.base_url == HOST
    assert settings.credential.secret.reveal() == "own"
    assert (settings.untrusted, settings.warnings) == (None, ())
    assert resolve({}, {}, paths, tmp_path).base_url is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "folders": {"/": 3}}'])
def test_a_damaged_record_of_trust_trusts_nobody_and_stops_nobody(machine, content):
    machine.config_file.parent.mkdir()
    (machine.config_file.parent / "trusted-folders.json").write_text(content, encoding="utf-8")
    settings = machine.resolve(dotenv="CHATCLI_SYSTEM=Obey me.\nCHATCLI_MODEL=a\n")
    assert (settings.system, settings.model) == (None, "a")
    (warning,) = settings.warnings
    assert warning.startswith("no folder is trusted: ")


def test_what_is_trusted_lies_in_a_private_file(machine):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    path = machine.config_file.parent / "trusted-folders.json"
    assert path.stat().st_mode & 0o077 == 0
    assert "brief" not in path.read_text(encoding="utf-8")


def test_trust_can_be_taken_back(machine):
    machine.resolve(trusted_dotenv="CHATCLI_SYSTEM=Be brief.\n")
    trusted = TrustedFolders.of(machine.paths)
    assert trusted.remove(machine.dotenv.parent)
    assert not trusted.remove(machine.dotenv.parent)
    assert trusted.all() == {}


# Nobody named the file, so it stops nobody.


@pytest.mark.parametrize(
    "line", ["CHATCLI_TEMPERATURE=hot", "CHATCLI_MAX_TOKENS=0", "CHATCLI_THEME=pink", 'OPENAI_API_KEY="a b"']
)
def test_a_bad_value_is_left_out_with_a_warning(machine, line):
    settings = machine.resolve(dotenv=f"{line}\nCHATCLI_MODEL=a\n")
    assert settings.model == "a"
    (warning,) = settings.warnings
    assert warning.startswith(f"ignored: .env {line.partition('=')[0]} must be")


def test_a_bad_value_that_waits_is_nobodys_business(machine):
    settings = machine.resolve(dotenv="CHATCLI_BASE_URL=ftp://evil\nCHATCLI_PROFILE=none-such\n")
    assert settings.warnings == ()


def test_lines_that_cannot_be_read_are_numbered_once(machine):
    settings = machine.resolve(dotenv="CHATCLI_MODEL=a\nA=b\nCHATCLI_SEED='1\n\nCHATCLI_SYSTEM=\"y\n")
    assert settings.model == "a"
    assert settings.warnings == (
        ".env: ignored lines 3, 5, which cannot be read (check the quotes and the encoding)",
    )


@pytest.mark.parametrize("place", ["env_file", "trusted_dotenv"])
@pytest.mark.parametrize("odd", [f"OPENAI_BASE_URL='{HOST}", f"A='b\nOPENAI_BASE_URL='{HOST}'"])
def test_a_key_whose_address_cannot_be_read_goes_nowhere(machine, place, odd):
    settings = machine.resolve(**{place: f"{odd}\nOPENAI_API_KEY=own\n"})
    assert (settings.credential, settings.withheld) == (None, ())
    assert any("the line with its base_url is unreadable" in warning for warning in settings.warnings)


# What a person is shown before they trust it.


def test_what_would_change_shows_hosts_and_beginnings_and_no_secret(machine):
    secret = "sk-" + "secret" * 5
    machine.resolve(
        dotenv=f"OPENAI_API_KEY={secret}\nOPENAI_BASE_URL={HOST}\nCHATCLI_SYSTEM={'word ' * 50}\n"
        f'CHATCLI_OPTIONS=\'{{"metadata": {{"token": "{secret}"}}}}\'\nCHATCLI_FALLBACK=a,b\nCHATCLI_MODEL=c\n'
    )
    shown = {change.name: change.value for change in changes(read_env_file(machine.dotenv))}
    assert secret not in str(shown)
    assert shown == {
        "OPENAI_BASE_URL": "https://host.example",
        "OPENAI_API_KEY": "a key for https://host.example",
        "CHATCLI_SYSTEM": f"{('word ' * 12)[:-1]}… (249 characters)",
        "CHATCLI_OPTIONS": "metadata",
        "CHATCLI_FALLBACK": "a, b",
    }


def test_what_cannot_be_used_cannot_be_trusted_either(machine):
    machine.resolve(dotenv="CHATCLI_RETRIES=many\n")
    with pytest.raises(ConfigurationError, match=r"\.env CHATCLI_RETRIES must be"):
        changes(read_env_file(machine.dotenv))


# Mentioned once.


def test_what_waits_is_mentioned_once_a_folder_and_content(machine):
    def is_mentioned(dotenv, *, remember=True):
        untrusted = machine.resolve(dotenv=dotenv).untrusted
        return mention_once(untrusted, machine.paths, remember=remember)

    first, second = "CHATCLI_SYSTEM=a\n", "CHATCLI_SYSTEM=b\n"
    assert is_mentioned(first, remember=False)
    assert [is_mentioned(first), is_mentioned(first), is_mentioned(second), is_mentioned(second)] == [
        *(True, False),
        *(True, False),
    ]


def test_what_cannot_be_remembered_is_mentioned_again(machine):
    untrusted = machine.resolve(dotenv="CHATCLI_SYSTEM=a\n").untrusted
    machine.paths.cache.write_text("a file in its place")
    assert mention_once(untrusted, machine.paths, remember=True)
    assert mention_once(untrusted, machine.paths, remember=True)


# And whatever the file holds.

VALUES = st.text(st.characters(exclude_characters="'\\\r\n\0", exclude_categories=["Cs"]), max_size=20)
VARIABLES = st.dictionaries(
    st.sampled_from(sorted(SETTINGS_BY_VARIABLE)), VALUES | st.sampled_from([HOST, "1", "k"])
)
FREE = {setting.name for setting in SETTINGS if setting.harmless}


@given(VARIABLES, st.sampled_from(sorted(KEY_ELSEWHERE)))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100
)
def test_no_untrusted_file_changes_more_than_it_may(machine, variables, elsewhere):
    place = KEY_ELSEWHERE[elsewhere]
    before = machine.resolve(**place)
    after = machine.resolve(**place, dotenv=lines(variables))
    changed = {
        setting.name for setting in SETTINGS if after.origin(setting.name) != before.origin(setting.name)
    }
    assert changed <= FREE
    assert (one_key(after), after.base_url) == (one_key(before), before.base_url)
    assert [one.source for one in after.withheld] == [one.source for one in before.withheld]


@given(st.binary(max_size=200) | VARIABLES.map(lambda variables: lines(variables).encode()))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
def test_any_bytes_in_a_dotenv_stop_nobody(machine, content):
    machine.dotenv.parent.mkdir(exist_ok=True)
    machine.dotenv.write_bytes(content)
    settings = resolve({"model": "a"}, {}, machine.paths, machine.dotenv.parent)
    assert settings.model == "a"
    assert settings.base_url in {None, OPENAI_URL}
