from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.config.aliases import aliases_of, candidates, is_name_of, listing, matching, resolved_aliases
from chatcli.core.errors import ConfigurationError

TABLE = """
[aliases]
fast = "gpt-5-mini"
quick = "fast"
gpt-5 = "gpt-5.1"
"""
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


def test_an_alias_stands_for_its_model_wherever_a_model_is_named(machine):
    config = (
        'model = "fast"\nsummary_model = "quick"\nembedding_model = "near"\nfallback = ["quick", "other"]'
        + TABLE
    )
    settings = machine.resolve(config=config + 'near = "embed-3"')
    assert (settings.model, settings.summary_model, settings.embedding_model) == (
        "gpt-5-mini",
        "gpt-5-mini",
        "embed-3",
    )
    assert settings.fallback == ("gpt-5-mini", "other")
    assert settings.aliases["quick"] == "gpt-5-mini"


@pytest.mark.parametrize(
    "source",
    [
        {"flags": {"model": "quick"}},
        {"environment": {"CHATCLI_MODEL": "quick"}},
        {"changes": {"model": "quick"}},
    ],
)
def test_an_alias_counts_whatever_names_the_model(machine, source):
    assert machine.resolve(config=TABLE, **source).model == "gpt-5-mini"


def test_the_origin_of_a_model_names_the_alias_that_was_written(machine):
    settings = machine.resolve(config=TABLE, flags={"model": "quick"})
    assert settings.origin("model") == "flag --model"
    assert settings.shown_origin("model") == "flag --model, alias quick"
    assert machine.resolve(config=TABLE, flags={"model": "other"}).shown_origin("model") == "flag --model"


def test_an_alias_wins_over_a_model_of_its_name(machine):
    assert machine.resolve(config=TABLE, flags={"model": "gpt-5"}).model == "gpt-5.1"


def test_a_profile_has_aliases_of_its_own_over_the_outer_ones(machine):
    config = TABLE + '[profiles.desk.aliases]\nfast = "qwen3"\ngpt-5 = "gpt-5"'
    assert machine.resolve(config=config, flags={"model": "fast"}).model == "gpt-5-mini"
    there = machine.resolve(config=config, flags={"model": "fast", "profile": "desk"})
    assert there.model == "qwen3"
    # An outer alias leads through the profile's, and one that names itself is a whole name.
    assert there.aliases == {"fast": "qwen3", "quick": "qwen3", "gpt-5": "gpt-5"}


def test_a_fallback_profile_is_asked_by_its_own_aliases(machine):
    config = 'fallback = ["desk"]' + TABLE + '[profiles.desk]\nmodel = "fast"\naliases = {fast = "qwen3"}'
    assert machine.resolve(config=config).fallback_profiles["desk"].model == "qwen3"


def test_a_profile_comes_before_an_alias_of_its_name_among_the_fallbacks(machine):
    config = 'fallback = ["fast"]' + TABLE + '[profiles.fast]\nmodel = "own"'
    settings = machine.resolve(config=config)
    assert settings.fallback == ("fast",)
    assert settings.fallback_profiles["fast"].model == "own"


def test_aliases_in_a_circle_are_wrong_configuration_even_unused(machine):
    config = '[aliases]\na = "b"\nb = "c"\nc = "b"'
    with pytest.raises(ConfigurationError, match=r"config.toml aliases go in a circle: .*b → c → b"):
        machine.resolve(config=config)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('"two words" = "a"', "without blanks and commas"),
        ('"a,b" = "a"', "without blanks and commas"),
        ('"" = "a"', "without blanks and commas"),
        ("fast = 1", "fast must be the name of a model"),
        ('fast = " "', "fast must be the name of a model"),
        ('fast = {model = "a"}', "fast must be the name of a model"),
    ],
)
def test_an_alias_that_could_not_be_typed_or_names_no_model_is_refused(machine, table, expected):
    with pytest.raises(ConfigurationError, match=expected):
        machine.resolve(config=f"[aliases]\n{table}")


def test_aliases_are_a_table(machine):
    with pytest.raises(ConfigurationError, match="aliases must be a table"):
        machine.resolve(config='aliases = "gpt-5"')


@given(st.dictionaries(NAMES, NAMES))
def test_resolved_aliases_never_lead_to_an_alias_or_there_is_a_circle(aliases):
    try:
        resolved = resolved_aliases(aliases, "config.toml")
    except ConfigurationError:
        # Following any alias of a circle never ends at a model.
        assert any(_is_endless(alias, aliases) for alias in aliases)
        return
    assert not any(_is_endless(alias, aliases) for alias in aliases)
    assert resolved.keys() == aliases.keys()
    assert all(resolved.get(model, model) == model for model in resolved.values())


def _is_endless(alias: str, aliases: dict[str, str]) -> bool:
    for _ in range(len(aliases) + 1):
        if alias not in aliases or aliases[alias] == alias:
            return False
        alias = aliases[alias]
    return True


MODELS = ("anthropic/claude-sonnet-4.5", "anthropic/claude-haiku-4.5", "openai/gpt-5-mini")
ALIASES = {"fast": "openai/gpt-5-mini", "best": "anthropic/claude-sonnet-4.5"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sonn", MODELS[:1]),
        ("CLAUDE", MODELS[:2]),
        ("claude 4.5 hai", MODELS[1:2]),
        ("fast", MODELS[2:]),
        ("openai bes", ()),
        ("gemini", ()),
        ("", MODELS),
    ],
)
def test_a_query_finds_the_models_with_all_its_words_in_their_name_or_an_alias(query, found):
    assert matching(query, MODELS, ALIASES) == list(found)


@given(st.lists(st.text(min_size=1)), st.text())
def test_what_a_query_finds_are_models_in_their_order_and_each_is_found_by_its_own_name(models, query):
    found = matching(query, models, {})
    assert found == [model for model in models if model in found]
    assert all(model in matching(model, models, {}) for model in models)


def test_a_model_may_have_several_aliases():
    assert aliases_of("m", {"a": "m", "b": "n", "c": "m", "m": "m"}) == ("a", "c")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("qwen3", "qwen3"),
        ("qwen3", "qwen3:latest"),
        ("mistral-large", "mistral-large-latest"),
        ("mistral-large", "mistral-large-2411"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("claude-sonnet-4", "claude-sonnet-4-20250514"),
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
    ],
)
def test_a_name_that_its_endpoint_may_complete_is_a_whole_one(name, model):
    assert is_name_of(name, model)
    assert candidates(name, [model, f"{name}-mini"]) == []


@pytest.mark.parametrize("name", ["sonn", "claude", "claude-sonnet-4", "5", "GPT-5-MINI", "haiku claude"])
def test_a_part_of_a_name_has_candidates(name):
    assert candidates(name, MODELS)


@given(st.text(), st.lists(st.text()))
def test_what_is_listed_has_no_candidates_and_no_other_name_is_made_up(name, models):
    assert candidates(name, [*models, name]) == []
    assert set(candidates(name, models)) <= set(models)


def test_many_names_are_counted():
    assert listing(["a", "b"]) == "a, b"
    assert listing([str(number) for number in range(1_010)]).endswith(", 7 and 1,002 more")
