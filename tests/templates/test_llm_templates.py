"""Import of templates of llm."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.errors import ConfigurationError
from chatcli.templates.llm_templates import read_llm_template
from chatcli.templates.template import Filling, read_template

FOREIGN = Path(__file__).parent / "foreign" / "llm"


def read(name):
    return read_llm_template(name, (FOREIGN / f"{name}.yaml").read_text("utf-8"))


def again(template):
    return read_template(template.name, template.text(), "x.md")


def test_prompt_system_prompt_model_options_and_defaults_are_taken_over():
    template = read("roast")
    assert template.settings == {
        "description": "Roast $target in $style.",
        "model": "gpt-4o",
        "system": "You are a kind critic.",
        "temperature": 0.7,
        "max_tokens": 200,
    }
    assert template.defaults == {"style": "verse"}
    assert (
        again(template).question(Filling(values={"target": "Rome"})).person_text
        == "Roast Rome in verse.\n\nIt costs $5."
    )
    assert template.left_out == (
        'options.logit_bias {"1712": -100} (no such setting here)',
        'defaults.unused "x" (no such setting here)',
    )


def test_a_schema_is_taken_over_and_a_system_prompt_with_variables_is_text():
    template = read("dogs")
    assert template.schema["properties"]["ages"] == {"type": "array", "items": {"type": "integer"}}
    filled = again(template).question(Filling(values={"owner": "Ada"}, typed="Now"))
    assert filled.person_text == "Invent a dog for Ada\n{{ not a place }}\n\n\nNow"
    assert again(template).matter.settings == {}
    assert template.left_out == (
        "the system prompt has variables: it is part of the text",
        "extract: the answer is JSON",
    )


def test_nothing_is_run_or_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    template = read("hostile")
    assert template.left_out == (
        "functions (Python code, which is not run)",
        'fragments ["/etc/passwd"] (attach them with -f)',
        'tools ["llm_version"] (tools of llm)',
    )
    assert again(template).question(Filling(typed="Bob")).person_text == "Say hello: Bob"
    assert list(tmp_path.iterdir()) == []


def test_text_alone_is_a_prompt_and_a_system_prompt_alone_takes_the_input():
    assert again(read_llm_template("x", "Tell a joke")).question(Filling()).person_text == "Tell a joke"
    template = again(read_llm_template("x", "system: Be brief"))
    assert (template.matter.settings["system"], template.takes_input) == ("Be brief", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "x is not a template of llm"),
        ("prompt: 3", "x: prompt is not a text"),
        ("prompt: [", "x is not valid YAML"),
        ("a: &a [1]\nb: *a", "x is not valid YAML: it has aliases"),
        ("a: " + "[" * 50_000, "x is not valid YAML: it has aliases, or more than 40 levels"),
        (
            "prompt: !!python/object/apply:os.system ['touch owned']",
            "x is not valid YAML: could not determine",
        ),
        ("a: " + "9" * 5_000, "x is not valid YAML"),
        ("a: 2000-99-99", "x is not valid YAML"),
        ("prompt: !!bool maybe", "x is not valid YAML"),
        ('prompt: !!int ""', "x is not valid YAML"),
        ("? 0x" + "f" * 5_000 + "\n: 1", "x is not valid YAML: it has a number that is too long"),
    ],
)
def test_what_is_none_or_hostile_is_an_error(text, message):
    with pytest.raises(ConfigurationError, match=message):
        read_llm_template("x", text)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ("temperature: 1", {"temperature": 1}),
        ("temperature: .nan", {}),
        ("temperature: true", {}),
        ("seed: 1.5", {}),
        ("reasoning_effort: high", {"reasoning": "high"}),
        ("verbosity: 3", {}),
    ],
)
def test_only_options_that_fit_are_taken(options, taken):
    template = read_llm_template("x", f"prompt: a\noptions: {{{options}}}")
    assert {key: value for key, value in template.settings.items() if key != "description"} == taken
    assert bool(template.left_out) is not bool(taken)


def test_keys_that_json_does_not_have_are_left_out():
    template = read_llm_template("x", "prompt: a\n2020-01-01: b\ntools: {2020-01-01: c}")
    assert template.left_out == (
        '2020-01-01 "b" (no such setting here)',
        "tools {datetime.date(2020, 1, 1): 'c'} (tools of llm)",
    )


KEYS = st.sampled_from(
    ["prompt", "system", "model", "options", "defaults", "schema_object", "extract", "tools", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES))
def test_whatever_llm_has_written_becomes_a_template_or_the_error_for_it(table):
    import yaml  # noqa: PLC0415 - what llm writes with

    text = yaml.dump(table, indent=4, default_flow_style=False, sort_keys=False)
    with suppress(ConfigurationError):
        template = read_llm_template("x", text)
        read = again(template)
        if isinstance(table.get("model"), str):
            assert read.matter.settings["model"] == table["model"]


@given(st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"])))
def test_a_text_without_variables_says_what_it_said(prompt):
    import yaml  # noqa: PLC0415 - as above

    read = yaml.safe_load(yaml.dump({"prompt": prompt}))["prompt"]
    with suppress(ConfigurationError):
        template = again(read_llm_template("x", yaml.dump({"prompt": prompt})))
        if read.strip():
            assert template.question(Filling()).person_text.strip() == read.strip()
