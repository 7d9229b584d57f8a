from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import dotenv
import pytest

from chatcli.config.paths import NO_LAZY_IMPORT, PATH_VARIABLES
from chatcli.config.settings import SETTINGS, SETTINGS_BY_VARIABLE, Settings

EXAMPLE = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
ASSIGNMENT = re.compile(r"^# ((?:CHATCLI_|OPENAI_|HF_|ACCESSIBLE)\w*=.*)$", re.MULTILINE)


def test_settings_have_the_attributes_of_the_table_but_not_the_bare_key():
    attributes = {field.name for field in dataclasses.fields(Settings)}
    names = {setting.name for setting in SETTINGS}
    assert names - attributes == {"api_key"}
    assert attributes - names == {
        "credential",
        "withheld",
        "model_windows",
        "warnings",
        "origins",
        "asked_for",
        "every_credential",
        "aliases_used",
        "fallback_profiles",
        "untrusted",
        "unreadable_keys",
        "uses_local",
    }


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_default_is_a_value_its_parser_takes(setting):
    assert setting.default is None or setting.parse(setting.default) == setting.default


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_help_is_one_line(setting):
    assert setting.help
    assert "\n" not in setting.help


def test_no_variable_is_used_twice():
    assert len(SETTINGS_BY_VARIABLE) == sum(len(setting.variables) for setting in SETTINGS)


def test_the_example_lists_exactly_the_variables_there_are():
    listed = [line.split("=")[0] for line in ASSIGNMENT.findall(EXAMPLE)]
    assert sorted(listed) == sorted([*SETTINGS_BY_VARIABLE, *PATH_VARIABLES, NO_LAZY_IMPORT])


def test_the_example_sets_nothing_until_it_is_edited():
    assert dotenv.dotenv_values(stream=io.StringIO(EXAMPLE), interpolate=False) == {}


def test_every_line_of_the_example_is_valid_when_taken(machine):
    settings = machine.resolve(env_file=ASSIGNMENT.sub(r"\1", EXAMPLE), config="[profiles.work]")
    assert settings.warnings == ()
    assert settings.system == "You are a helpful assistant."
    assert settings.options == {"frequency_penalty": 0.5}


def test_settings_made_by_hand_have_the_defaults_of_the_table():
    settings = Settings(model="small")
    assert settings.model == "small"
    for setting in SETTINGS:
        name = "credential" if setting.name == "api_key" else setting.name
        expected = "small" if name == "model" else {} if setting.merges else setting.default
        assert getattr(settings, name) == expected
        assert settings.origin(setting.name) == "default"
