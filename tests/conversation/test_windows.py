from __future__ import annotations

import json
from importlib.resources import files

import pytest

from chatcli.conversation.windows import known_window_tokens


def test_the_longest_name_a_model_begins_with_wins():
    assert known_window_tokens("gpt-4") == 8192
    assert known_window_tokens("gpt-4-0613") == 8192
    assert known_window_tokens("gpt-4-32k-0613") == 32768
    assert known_window_tokens("gpt-4-turbo-2024-04-09") == 128000
    assert known_window_tokens("gpt-4o-mini") == 128000
    assert known_window_tokens("gpt-4.1-nano") == 1047576
    assert known_window_tokens("o1-mini-2024-09-12") == 128000
    assert known_window_tokens("o1-2024-12-17") == 200000


@pytest.mark.parametrize("model", ["openai/gpt-4o", "router/openai/gpt-4o", "GPT-4o", "ft:gpt-4o:acme::abc"])
def test_prefixes_and_capitals_are_passed_over(model):
    assert known_window_tokens(model) == 128000


@pytest.mark.parametrize("model", ["", "llama3:8b", "my-gpt-4", "gpt"])
def test_nothing_is_guessed_about_an_unknown_model(model):
    assert known_window_tokens(model) is None


def test_the_data_file_holds_lower_case_names_and_whole_numbers():
    data = json.loads(files("chatcli.conversation").joinpath("models.json").read_text(encoding="utf-8"))
    assert all(name == name.lower() and "/" not in name for name in data["windows"])
    assert all(type(tokens) is int and tokens >= 2048 for tokens in data["windows"].values())
