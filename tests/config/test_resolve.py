from __future__ import annotations

import json
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.config.settings import SETTINGS, SETTINGS_BY_NAME, TemplateSettings
from chatcli.core.errors import ConfigurationError, UsageError

PLACES = {
    "flag": "flag --model",
    "environment": "environment CHATCLI_MODEL",
    "env file": "--env-file ",
    ".env": ".env CHATCLI_MODEL",
    "profile": "config.toml [profiles.work]",
    "config": "config.toml",
}
"""Every place a setting can come from, the strongest first, and how its origin begins."""


def arguments(places):
    """Set the model in each source to that source's own name."""
    top = 'model = "config"\n' if "config" in places else ""
    profile = 'model = "profile"\n' if "profile" in places else ""
    return {
        "flags": {"profile": "work", "model": "flag" if "flag" in places else None},
        "environment": {"CHATCLI_MODEL": "environment"} if "environment" in places else {},
        "env_file": "CHATCLI_MODEL='env file'" if "env file" in places else None,
        "trusted_dotenv": "CHATCLI_MODEL=.env" if ".env" in places else None,
        "config": f"{top}[profiles.work]\n{profile}",
    }


@pytest.mark.parametrize(("stronger", "weaker"), list(combinations(PLACES, 2)))
def test_of_two_places_the_stronger_counts(machine, stronger, weaker):
    settings = machine.resolve(**arguments({stronger, weaker}))
    assert settings.model == stronger
    assert settings.origin("model").startswith(PLACES[stronger])


@given(places=st.sets(st.sampled_from(list(PLACES)), min_size=1))
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
def test_of_any_places_the_strongest_counts(machine, places):
    strongest = next(place for place in PLACES if place in places)
    assert machine.resolve(**arguments(places)).model == strongest


def test_with_nothing_said_every_setting_has_its_default(machine):
    settings = machine.resolve()
    for setting in SETTINGS:
        assert settings.origin(setting.name) == "default"
        if setting.name != "api_key":
            assert getattr(settings, setting.name) == ({} if setting.merges else setting.default)
    assert settings.credential is None
    assert settings.warnings == ()


SAMPLES = {
    "model": ("a", "a"),
    "base_url": ("https://host.example/v1", "https://host.example/v1"),
    "api": ("responses", "responses"),
    "api_version": ("2024-10-21", "2024-10-21"),
    "system": ("Be brief.", "Be brief."),
    "agents_md": ("on", True),
    "temperature": ("0.5", 0.5),
    "top_p": ("0.9", 0.9),
    "max_tokens": ("100", 100),
    "seed": ("-7", -7),
    "reasoning": ("low", "low"),
    "verbosity": ("low", "low"),
    "web_search": ("plugin", "plugin"),
    "options": ('{"top_k": 40}', {"top_k": 40}),
    "max_cost": ("0.5", 0.5),
    "injection": ("block", "block"),
    "prompt_caching": ("off", False),
    "cache": ("memory", "memory"),
    "cache_ttl": ("12h", 43_200.0),
    "cache_size_mb": ("7", 7),
    "cache_patience_ms": ("200", 200),
    "prefetch": ("3", 3),
    "telemetry": ("off", False),
    "telemetry_days": ("30", 30),
    "log_file": ("calls.log", "calls.log"),
    "log_level": ("debug", "debug"),
    "otel": ("on", True),
    "similar": ("0.95", 0.95),
    "context": ("truncate", "truncate"),
    "summary_model": ("small", "small"),
    "embedding_model": ("near", "near"),
    "context_window": ("1024", 1024),
    "timeout_s": ("1.5", 1.5),
    "connect_timeout_s": ("2", 2.0),
    "idle_timeout_s": ("30", 30.0),
    "local": ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"),
    "model_hub": ("https://hub.example", "https://hub.example"),
    "ca_bundle": ("/ca.pem", "/ca.pem"),
    "fallback": ("a,b", ("a", "b")),
    "auto_continue": ("2", 2),
    "requests_per_minute": ("60", 60),
    "tokens_per_minute": ("1000", 1000),
    "limits": ("redis://127.0.0.1/0", "redis://127.0.0.1/0"),
    "retries": ("0", 0),
    "retry_budget_s": ("0", 0.0),
    "stream": ("off", False),
    "save": ("no", False),
    "plain": ("1", True),
    "profile": ("work", "work"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_setting_has_a_variable(machine, name):
    text, value = SAMPLES[name]
    variable = f"CHATCLI_{name.upper()}"
    settings = machine.resolve(environment={variable: text}, config="[profiles.work]")
    assert getattr(settings, name) == value
    assert settings.origin(name) == f"environment {variable}"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_setting_can_be_a_flag_as_typed_or_of_its_type(machine, name):
    for value in SAMPLES[name]:
        settings = machine.resolve(flags={name: value}, config="[profiles.work]")
        assert getattr(settings, name) == SAMPLES[name][1]
        assert settings.origin(name).startswith("flag -")


def test_config_values_have_their_toml_types(machine):
    settings = machine.resolve(
        config="temperature = 1\nretries = 2\nstream = false\noptions = {a = [1, {}]}\n"
    )
    assert (settings.temperature, settings.retries, settings.stream) == (1.0, 2, False)
    assert settings.options == {"a": [1, {}]}


BAD = {
    "temperature": "2.1",
    "top_p": "-1",
    "max_tokens": "0",
    "seed": "x",
    "context": "forget",
    "context_window": "63",
    "timeout_s": "0",
    "connect_timeout_s": "inf",
    "retries": "21",
    "retry_budget_s": "nan",
    "stream": "perhaps",
    "options": "[]",
    "api": "newest",
    "base_url": "ftp://host.example",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_flag_is_wrong_usage_and_names_the_flag(machine, name):
    with pytest.raises(UsageError, match=r"^-.* must "):
        machine.resolve(flags={name: BAD[name]})


@pytest.mark.parametrize("name", BAD)
def test_a_bad_variable_is_wrong_configuration_and_named(machine, name):
    variable = f"CHATCLI_{name.upper()}"
    for place, where in (
        ({"environment": {variable: BAD[name]}}, f"environment {variable} must "),
        ({"trusted_dotenv": f"{variable}='{BAD[name]}'"}, rf"\.env {variable} must "),
        ({"env_file": f"{variable}='{BAD[name]}'"}, rf"--env-file .*given\.env {variable} must "),
    ):
        with pytest.raises(ConfigurationError, match=where):
            machine.resolve(**place)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_config_value_is_wrong_configuration_and_names_file_and_key(machine, name):
    for flags, table in (({}, ""), ({"profile": "work"}, "[profiles.work]\n")):
        with pytest.raises(ConfigurationError) as caught:
            machine.resolve(flags=flags, config=f"{table}{name} = '{BAD[name]}'")
        assert caught.value.message.startswith(f"config.toml {table.strip()}".strip() + f" {name} must ")
        assert str(machine.config_file) in str(caught.value.hint)


def test_a_bad_value_is_reported_even_where_a_flag_overrides_it(machine):
    with pytest.raises(ConfigurationError, match="CHATCLI_RETRIES"):
        machine.resolve(flags={"retries": 1}, environment={"CHATCLI_RETRIES": "many"})


def test_an_empty_variable_is_not_set(machine):
    settings = machine.resolve(environment={"CHATCLI_MODEL": "", "OPENAI_API_KEY": ""}, config='model = "a"')
    assert settings.model == "a"
    assert settings.credential is None


def test_an_empty_system_prompt_given_as_a_flag_counts(machine):
    assert machine.resolve(flags={"system": ""}, config='system = "Be brief."').system == ""


def test_chatcli_variables_win_over_those_of_openai(machine):
    environment = {"OPENAI_BASE_URL": "https://openai.example", "CHATCLI_BASE_URL": "https://own.example"}
    settings = machine.resolve(environment=environment)
    assert settings.base_url == "https://own.example"
    assert settings.origin("base_url") == "environment CHATCLI_BASE_URL"


def test_options_of_all_places_add_up(machine):
    settings = machine.resolve(
        flags={"options": ["a=1"]},
        environment={"CHATCLI_OPTIONS": '{"a": 2, "b": 2}'},
        config="options = {a = 3, b = 3, c = 3}",
    )
    assert settings.options == {"a": 1, "b": 2, "c": 3}
    assert settings.origin("options") == "flag -O, environment CHATCLI_OPTIONS, config.toml"


def test_a_profile_may_be_chosen_by_config_itself(machine):
    config = 'profile = "work"\nmodel = "a"\n[profiles.work]\nmodel = "b"\n[profiles.home]\nmodel = "c"'
    assert machine.resolve(config=config).model == "b"
    assert machine.resolve(environment={"CHATCLI_PROFILE": "home"}, config=config).model == "c"


def test_a_profile_not_in_use_may_have_values_of_another_version(machine):
    assert machine.resolve(config='[profiles.later]\napi = "newest"').api == "chat"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.in_profile])
def test_a_profile_may_set_everything_but_the_keys_and_the_profile(machine, name):
    written = {"api_key_env": '"WORK_KEY"', "api_key": '"sk-12345678"', "key_command": '["pass"]'}
    setting = SETTINGS_BY_NAME[name]
    sample = SAMPLES[name][1] if name in SAMPLES else setting.default
    value = "{}" if setting.merges else written.get(name) or json.dumps("x" if sample is None else sample)
    settings = machine.resolve(
        flags={"profile": "work"}, environment={"WORK_KEY": "k"}, config=f"[profiles.work]\n{name} = {value}"
    )
    assert settings.origin(name).startswith("config.toml [profiles.work]")
    assert (name in settings.asked_for) == (name != "api_key")


def test_none_is_no_profile_whatever_the_configuration_chooses(machine):
    config = 'profile = "work"\nmodel = "a"\n[profiles.work]\nmodel = "b"'
    settings = machine.resolve(flags={"profile": "none"}, config=config)
    assert (settings.profile, settings.model) == (None, "a")
    with pytest.raises(ConfigurationError, match="that name is reserved"):
        machine.resolve(config="[profiles.none]")


def test_what_is_changed_comes_first_and_so_does_the_profile_that_is_changed_to(machine):
    given = {
        "flags": {"model": "flag", "profile": "home"},
        "environment": {"CHATCLI_TEMPERATURE": "1"},
        "config": "[profiles.work]\nmodel = 'work'\ntemperature = 0\n[profiles.home]",
    }
    assert machine.resolve(**given).model == "flag"
    switched = machine.resolve(**given, changes={"profile": "work"})
    assert (switched.model, switched.temperature) == ("work", 0)
    assert "model" in switched.asked_for
    assert machine.resolve(**given, changes={"profile": "work", "model": "later"}).model == "later"


def test_a_profile_the_configuration_chooses_is_not_for_this_run(machine):
    settings = machine.resolve(config='profile = "work"\n[profiles.work]\nmodel = "b"')
    assert "model" not in settings.asked_for


def test_a_template_comes_between_the_flags_and_the_environment(machine):
    template = TemplateSettings("template review", {"model": "template", "temperature": 0.5}, "Edit it.")
    settings = machine.resolve(
        flags={"temperature": "1"}, environment={"CHATCLI_MODEL": "environment"}, template=template
    )
    assert (settings.model, settings.temperature) == ("template", 1.0)
    assert settings.origin("model") == "template review"
    assert "model" in settings.asked_for
    bad = TemplateSettings("template review", {"temperature": "hot"}, "Edit it.")
    with pytest.raises(ConfigurationError, match="template review temperature must be") as caught:
        machine.resolve(template=bad)
    assert caught.value.hint == "Edit it."


def test_an_unknown_profile_on_the_command_line_is_wrong_usage(machine):
    with pytest.raises(UsageError, match=r"flag --profile: config\.toml has no profile 'wrok'") as caught:
        machine.resolve(flags={"profile": "wrok"}, config="[profiles.work]")
    assert caught.value.hint == "did you mean work?"


def test_an_unknown_profile_elsewhere_is_wrong_configuration(machine):
    with pytest.raises(ConfigurationError, match="environment CHATCLI_PROFILE"):
        machine.resolve(environment={"CHATCLI_PROFILE": "work"})
    with pytest.raises(ConfigurationError, match=r"config\.toml has no profile 'work'"):
        machine.resolve(config='profile = "work"')


def test_an_unknown_variable_is_a_warning_with_a_suggestion(machine):
    settings = machine.resolve(environment={"CHATCLI_MODLE": "a", "OTHER": "b", "OPENAI_ORG": "c"})
    assert settings.warnings == ("environment CHATCLI_MODLE is not a setting; did you mean CHATCLI_MODEL?",)


def test_a_variable_name_made_to_deceive_is_not_repeated(machine):
    assert machine.resolve(environment={"CHATCLI_\x1b[2J": "a"}).warnings == ()


def test_folder_variables_are_known_and_do_nothing_in_an_env_file(machine):
    folders = "".join(f"CHATCLI_{name}_DIR=/evil\n" for name in ("CONFIG", "DATA", "CACHE", "LOCAL"))
    assert machine.resolve(trusted_dotenv=folders, env_file=folders) == machine.resolve()


def test_a_missing_env_file_is_a_clear_error(tmp_path):
    paths = Paths(tmp_path, tmp_path, tmp_path, tmp_path)
    with pytest.raises(ConfigurationError, match=r"cannot read .*given\.env"):
        resolve({}, {}, paths, tmp_path, tmp_path / "given.env")


def test_a_broken_dotenv_in_the_folder_stops_nobody(machine):
    settings = machine.resolve(dotenv="CHATCLI_MODEL='no end", config='model = "a"')
    assert settings.model == "a"
    assert len(settings.warnings) == 1
    assert settings.warnings[0].startswith(".env: ignored line 1, which cannot be read")


def test_windows_of_models_come_from_config(machine):
    settings = machine.resolve(config='context_window = 4096\n[models."a:b"]\ncontext_window = 1000')
    assert settings.window_for("a:b") == 1000
    assert settings.window_for("other") == 4096


@pytest.mark.parametrize(
    "here",
    [
        {"flags": {"context_window": 512}},
        {"environment": {"CHATCLI_CONTEXT_WINDOW": "512"}},
        {"env_file": "CHATCLI_CONTEXT_WINDOW=512"},
        {"trusted_dotenv": "CHATCLI_CONTEXT_WINDOW=512"},
    ],
)
def test_a_window_set_for_this_run_holds_for_every_model(machine, here):
    settings = machine.resolve(**here, config="[models.a]\ncontext_window = 1000")
    assert settings.window_for("a") == settings.window_for("other") == 512


def test_a_window_nobody_knows_is_none(machine):
    assert machine.resolve().window_for("a") is None


@pytest.mark.parametrize(
    ("environment", "is_plain"),
    [
        ({}, False),
        ({"ACCESSIBLE": "1"}, True),
        ({"ACCESSIBLE": "yes please"}, True),
        ({"ACCESSIBLE": "0"}, False),
        ({"ACCESSIBLE": ""}, False),
        ({"ACCESSIBLE": "1", "CHATCLI_PLAIN": "false"}, False),
    ],
)
def test_accessible_asks_for_plain_text_in_every_program(machine, environment, is_plain):
    assert machine.resolve(environment=environment).plain == is_plain


def test_a_mistake_in_a_conversation_names_the_setting_and_one_of_a_flag_the_flag(machine):
    with pytest.raises(UsageError, match=r"^temperature must be"):
        machine.resolve(changes={"temperature": "hot"})
    with pytest.raises(UsageError, match=r"^--temperature must be"):
        machine.resolve(flags={"temperature": "hot"})


PRICES = """
[prices."gpt-5-mini"]
input = 0.25
cached = 0.025
output = 2
[prices."our/model"]
output = 1
[profiles.work.prices."gpt-5-mini"]
input = 9
"""


def test_prices_are_tables_by_model_and_those_of_a_profile_win(machine):
    assert machine.resolve(config=PRICES).prices == {
        "gpt-5-mini": {"input": 0.25, "cached": 0.025, "output": 2.0},
        "our/model": {"output": 1.0},
    }
    assert machine.resolve(flags={"profile": "work"}, config=PRICES).prices == {
        "gpt-5-mini": {"input": 9.0},
        "our/model": {"output": 1.0},
    }


def test_a_budget_has_a_limit_for_each_period(machine):
    settings = machine.resolve(config="[budget]\nsession = 1.0\nday = 5\nmonth = 50")
    assert settings.budget == {"session": 1.0, "day": 5.0, "month": 50.0}
    assert machine.resolve().budget == {}
    assert machine.resolve().max_cost is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("prices = 3", 'config.toml prices must be tables of prices, like [prices."gpt-5-mini"], not 3'),
        ("[prices]\ninput = 3", 'config.toml prices "input" must be a table of amounts'),
        ("[prices.m]\ninptu = 3", 'config.toml prices "m" has no inptu; did you mean'),
        ("[prices.m]\ninput = -1", 'config.toml prices "m" input must be an amount of US dollars'),
        ("[prices.m]\ninput = nan", 'config.toml prices "m" input must be an amount'),
        ("[prices.m]\ninput = true", 'config.toml prices "m" input must be an amount'),
        ("budget = 5", "config.toml budget must be a table of amounts: session, day, month"),
        ("[budget]\nweek = 5", "config.toml budget has no week"),
        ("[budget]\nday = inf", "config.toml budget day must be an amount of US dollars"),
        ("[profiles.work.budget]\nday = 5", "unknown setting 'budget'"),
    ],
)
def test_a_mistake_is_reported_where_it_stands(machine, config, message):
    with pytest.raises(ConfigurationError) as raised:
        machine.resolve(config=config)
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("config", "form"), [("", "auto"), ("web_search = true", "auto"), ('web_search = "tool"', "tool")]
)
def test_web_search_switched_on_is_asked_for_as_configured(machine, config, form):
    assert machine.resolve(flags={"web_search": "on"}, config=config).web_search == form
    assert machine.resolve(flags={"web_search": "off"}, config=config).web_search == "off"


def test_a_form_of_web_search_that_nobody_knows_is_refused(machine):
    with pytest.raises(UsageError, match="web-search"):
        machine.resolve(flags={"web_search": "google"})


def test_a_limit_that_is_no_amount_is_bad_usage(machine):
    with pytest.raises(UsageError) as raised:
        machine.resolve(flags={"max_cost": "much"})
    assert raised.value.message == "--max-cost must be an amount of US dollars, like 0.25, not 'much'"


@pytest.mark.parametrize(
    ("config", "cache"),
    [
        ("", "sqlite"),
        ('cache = "off"', "sqlite"),
        ('cache = "memory"', "memory"),
        ('cache = "redis://127.0.0.1/0"', "redis://127.0.0.1/0"),
        ("cache = true", "sqlite"),
    ],
)
def test_a_cache_switched_on_is_the_one_that_is_configured(machine, config, cache):
    settings = machine.resolve(flags={"cache": "on"}, config=config)
    assert settings.cache == cache
    assert settings.origin("cache") == "flag --cache"
    assert machine.resolve(flags={"cache": "off"}, config=config).cache == "off"


@pytest.mark.parametrize(
    ("flags", "environment", "config", "expected"),
    [
        ({}, {}, "", False),
        ({}, {}, 'local = "a"', True),
        ({"local": "a"}, {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "", True),
        ({"base_url": "http://127.0.0.1:1/v1"}, {"CHATCLI_LOCAL": "a"}, "", False),
        ({}, {"CHATCLI_LOCAL": "a"}, 'base_url = "http://127.0.0.1:1/v1"', True),
        ({}, {"CHATCLI_BASE_URL": "http://127.0.0.1:1/v1"}, 'local = "a"', False),
        # In one place, the more special one counts.
        ({}, {}, 'base_url = "http://127.0.0.1:1/v1"\nlocal = "a"', True),
        ({"local": "none"}, {}, 'local = "a"', False),
        ({}, {"CHATCLI_LOCAL": "none"}, 'local = "a"', False),
        ({"profile": "here"}, {}, 'base_url = "http://127.0.0.1:1/v1"\n[profiles.here]\nlocal = "a"', True),
        (
            {"profile": "there"},
            {},
            'local = "a"\n[profiles.there]\nbase_url = "http://127.0.0.1:1/v1"',
            False,
        ),
        ({}, {"OPENAI_API_KEY": "sk-key"}, 'local = "a"', True),
    ],
)
def test_an_embedded_model_is_used_unless_an_endpoint_is_named_in_an_earlier_source(
    machine, flags, environment, config, expected
):
    settings = machine.resolve(flags=flags, environment=environment, config=config)
    assert settings.uses_local is expected


def test_the_env_file_of_a_folder_names_no_embedded_model_before_it_is_trusted(machine):
    settings = machine.resolve(dotenv="CHATCLI_LOCAL=/tmp/any.gguf\n")
    assert settings.local is None
    assert settings.untrusted.names == ("CHATCLI_LOCAL",)
