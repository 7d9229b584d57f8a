from __future__ import annotations

import argparse

import pytest

from chatcli.app.model_lists import ModelLists
from chatcli.cli.commands import COMMANDS
from chatcli.cli.options import RESERVED_OPTIONS, main_parser
from chatcli.cli.shell_completion.grammar import (
    ANYTHING,
    FILES,
    FILES_AFTER_AT,
    LOCAL_MODELS,
    MODELS,
    PROFILES,
    SCHEMAS,
    SESSIONS,
    TEMPLATES,
    Values,
    read_levels,
    values,
)
from chatcli.local.weights import MODELS as EMBEDDED_MODELS


@pytest.fixture(scope="module")
def levels():
    return {level.path: level for level in read_levels()}


def option(level, name):
    return next(option for option in level.options if name in option.names)


def test_every_command_and_action_is_a_level(levels):
    assert {"", "config", "sessions", "sessions export", "completion"} <= levels.keys()
    assert levels[""].below == tuple(command.name for command in COMMANDS if not command.is_reserved)
    assert "export" in levels["sessions"].below


def test_every_option_with_a_help_is_there_and_no_other(levels):
    shown = {
        name
        for action in main_parser("")._actions
        if action.help != argparse.SUPPRESS
        for name in action.option_strings
    }
    found = {name for each in levels[""].options for name in each.names}
    assert found == shown
    assert found.isdisjoint(RESERVED_OPTIONS)
    assert option(levels["sessions export"], "--whole-tree").help


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("", "-s", Values(SESSIONS)),
        ("", "--profile", Values(PROFILES)),
        ("", "-T", Values(TEMPLATES)),
        ("", "-m", Values(MODELS)),
        ("batch", "--model", Values(MODELS)),
        ("", "-f", Values(FILES)),
        ("", "--out", Values(FILES)),
        ("", "-S", Values(FILES_AFTER_AT)),
        ("", "--seed", Values(ANYTHING)),
        ("", "--api", Values(choices=(("chat", ""), ("responses", "")))),
        ("", "--local", Values(LOCAL_MODELS)),
        ("", "--raw", None),
        ("sessions export", "--out", Values(FILES)),
        ("sessions export", "--format", Values(choices=(("markdown", ""), ("html", ""), ("json", "")))),
    ],
)
def test_what_an_option_takes_follows_from_how_it_is_declared(levels, path, name, expected):
    assert option(levels[path], name).values == expected


def test_each_command_knows_what_its_words_may_be(levels):
    assert (levels["sessions show"].words, levels["sessions show"].repeats_last) == (
        (Values(SESSIONS),),
        True,
    )
    assert levels["sessions import"].words == (Values(FILES),)
    assert levels["sessions rename"].words[0] == Values(SESSIONS)
    assert levels["sessions list"].words == ()
    assert [word for word, _ in levels["completion"].words[0].choices] == [
        "bash",
        "zsh",
        "fish",
        "powershell",
    ]


SHIPPED = ["commit", "explain", "fix", "review", "shell", "summarize", "tests", "translate"]


def test_names_of_sessions_profiles_and_templates_are_found_where_they_are(tmp_path):
    environment = {"CHATCLI_DATA_DIR": str(tmp_path), "CHATCLI_CONFIG_DIR": str(tmp_path)}
    assert [values(kind, environment) for kind in (SESSIONS, PROFILES, TEMPLATES)] == [[], [], SHIPPED]
    assert values(LOCAL_MODELS, environment) == sorted(weights.name for weights in EMBEDDED_MODELS)
    (tmp_path / "sessions").mkdir()
    for name in ("work", "a trip", "bad\nname"):
        (tmp_path / "sessions" / f"{name}.jsonl").touch()
    (tmp_path / "config.toml").write_text('[profiles.fast]\nmodel = "small"\n')
    assert values(SESSIONS, environment) == ["a trip", "work"]
    assert values(PROFILES, environment) == ["fast"]
    (tmp_path / "schemas").mkdir()
    for name in ("person.json", "city.txt", "notes.md"):
        (tmp_path / "schemas" / name).touch()
    assert values(SCHEMAS, environment) == ["city", "person"]


def test_models_are_those_that_endpoints_listed_and_all_aliases(tmp_path):
    environment = {f"CHATCLI_{name}_DIR": str(tmp_path) for name in ("DATA", "CONFIG", "CACHE")}
    assert values(MODELS, environment) == []
    (tmp_path / "config.toml").write_text(
        '[aliases]\nbest = "large"\n[profiles.desk.aliases]\nfast = "qwen3"\n[profiles.odd]\naliases = 1\n'
    )
    lists = ModelLists(tmp_path)
    lists.keep("https://one.example/v1", ["small", "large"])
    lists.keep("https://other.example/v1", ["qwen3:8b", "small", "bad\nname"])
    assert values(MODELS, environment) == ["best", "fast", "large", "qwen3:8b", "small"]


def test_where_they_cannot_be_found_out_there_are_none(tmp_path):
    environment = {"CHATCLI_DATA_DIR": str(tmp_path), "CHATCLI_CONFIG_DIR": str(tmp_path)}
    (tmp_path / "config.toml").write_text("nonsense [")
    assert values(PROFILES, environment) == []
    assert values("unheard of", environment) == []
