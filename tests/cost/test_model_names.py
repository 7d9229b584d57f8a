from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.cost.model_names import is_same_base, names_of_base, priced_names, snapshot_of, spelled

NAMES = st.text() | st.from_regex(r"[a-z0-9./:@_-]{0,60}", fullmatch=True)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("gpt-5-mini", "gpt-5-mini"),
        ("GPT-4o", "gpt-4o"),
        ("openai/gpt-5", "gpt-5"),
        ("models/gemini-2.5-pro", "gemini-2-5-pro"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("accounts/fireworks/models/kimi-k2p6", "kimi-k2-6"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3-3-70b-instruct"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1-20250805-v1:0"),
        ("anthropic.claude-opus-5", "claude-opus-5"),
        ("@cf/meta/llama-3.1-8b-instruct", "llama-3-1-8b-instruct"),
        ("publishers/google/models/gemini-2.5-pro/", "gemini-2-5-pro"),
        ("", ""),
    ],
)
def test_a_name_is_spelled_without_prefix_capitals_and_points(name, written):
    assert spelled(name) == written


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
        ("gpt-4-0613", None),
        ("gpt-5-mini", None),
    ],
)
def test_a_snapshot_is_reported_by_its_date(name, base):
    assert snapshot_of(name) == base


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-6-sol-2026-05-01", "gpt-6-sol"),
        ("grok-4.7-latest", "grok-4-7"),
        ("gemini-3-pro-preview", "gemini-3-pro"),
        ("gemini-2.5-flash-preview-05-20", "gemini-2-5-flash"),
        ("openai/gpt-5:free", "gpt-5"),
        ("llama3.3:latest", "llama3-3"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("qwen3:8b-q4_K_M", "qwen3-8b"),
        ("qwen3:8b-q4_K_M", "qwen3"),
        ("Qwen/Qwen3-32B-AWQ", "qwen3-32b"),
        ("llama-3.3-70b-instruct-fp8", "llama-3-3-70b"),
        ("command-a-03-2025", "command-a"),
        ("gpt-4-0613", "gpt-4"),
        ("gemini-1.5-pro-002", "gemini-1-5-pro"),
        ("ft:gpt-4o-2024-08-06:acme::abc", "gpt-4o"),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "llama-3-2-3b"),
    ],
)
def test_the_base_of_a_name_is_found(name, base):
    assert base in list(names_of_base(name))


def test_the_nearest_name_comes_first():
    assert next(names_of_base("openai/gpt-4o-2024-08-06")) == "gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    ("name", "base"),
    [("gpt-4-turbo", "gpt-4"), ("gpt-5-mini", "gpt-5"), ("o1-mini", "o1"), ("grok-4-fast", "grok-4")],
)
def test_another_model_is_no_state_of_the_one_it_is_named_after(name, base):
    assert base not in list(names_of_base(name))
    assert not is_same_base(name, base)


@pytest.mark.parametrize(
    "name", ["gpt-4o:free", "ft:gpt-4o-2024-08-06:me::1", "gpt-4o-preview", "gpt-4o-0613", "gpt-4o-mini"]
)
def test_what_may_cost_something_else_is_not_charged_as_its_base(name):
    assert "gpt-4o" not in list(priced_names(name))


@given(NAMES)
def test_any_name_has_itself_as_its_first_name_and_every_other_is_another(name):
    names = list(names_of_base(name))
    assert names[:1] == [spelled(name)] * bool(spelled(name)) or name.strip().lower().startswith("ft:")
    assert len(names) == len(set(names)) <= 24
    assert list(priced_names(name))


@given(NAMES)
def test_spelling_is_the_same_the_second_time(name):
    once = spelled(name)
    assert spelled(once) == once or "." in name or "/" in name
