from __future__ import annotations

import itertools
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.schemas.answer_checking import AnswerChecker
from chatcli.schemas.schema_source import checked_schema
from chatcli.schemas.short_form import read_short_form
from json_schemas import SCHEMAS, VALUES

PERSON = read_short_form("name, age? int, tags list, mood? good|bad")
ANN = {"name": "Ann", "age": 5, "tags": ["a"]}


def check(schema, answer):
    return AnswerChecker(checked_schema(schema, "it"))(
        answer if isinstance(answer, str) else json.dumps(answer)
    )


@pytest.mark.parametrize(
    "answer",
    [
        "{}",
        "  {}\n",
        "```json\n{}\n```",
        "Here you are:\n\n```\n{}\n```\nAnything else?",
        "Sure! {}",
        "As in [1], {}",
        "\ufeff{}",
    ],
)
def test_fences_and_words_around_the_value_are_passed_over(answer):
    assert check(PERSON, answer.replace("{}", json.dumps(ANN))) == (ANN, "")


def test_the_problem_names_the_place():
    assert check(PERSON, {**ANN, "tags": ["a", 1]}).problem == "tags[1]: 1 is not of type 'string'"


@given(VALUES)
def test_a_value_in_a_problem_is_written_as_json(value):
    problem = check({"properties": {"a": {"type": "null"}}}, {"a": value}).problem
    written = json.dumps(value, ensure_ascii=False)
    if value is not None and not isinstance(value, str) and len(written) < 40:
        assert problem == f"a: {' '.join(written.split())} is not of type 'null'"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "it is empty"),
        ('{"name": "An', "it is not valid JSON: Unterminated string starting at line 1, column 10"),
        ("I cannot.", "it is not JSON"),
        ('{"name": ', "it is not valid JSON: Expecting value at line 1, column"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"name": NaN}', "it is not JSON: NaN is no value of JSON"),
        ("9" * 10_000, "it is not JSON: a number of 10,000 digits is too large"),
    ],
)
def test_what_is_no_json_is_named_so(answer, problem):
    assert check(PERSON, answer).problem.startswith(problem)


def test_nulls_of_strict_mode_are_no_properties_unless_the_schema_takes_them():
    assert check(PERSON, {**ANN, "age": None, "mood": None}) == ({"name": "Ann", "tags": ["a"]}, "")
    nullable = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    assert check(nullable, {"a": None}) == ({"a": None}, "")
    assert check(PERSON, {**ANN, "name": None}).problem == "name: null is not of type 'string'"


def test_a_value_that_is_no_object_is_taken_out_of_its_wrapping():
    assert check({"type": "array"}, {"value": [1]}) == ([1], "")
    assert check({"type": "object"}, {"value": [1]}) == ({"value": [1]}, "")


def test_dates_are_checked():
    schema = read_short_form("born date")
    assert check(schema, {"born": "2024-02-29"}).problem == ""
    assert "is not a 'date'" in check(schema, {"born": "2023-02-29"}).problem


def doubling(depth=40):
    definitions = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/a0", "$defs": {**definitions, f"a{depth}": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (doubling(), {"x": None}),
        ({"$ref": "#"}, {}),
        ({"pattern": "^(a|a?)+$"}, "a" * 60 + "b"),
        ({"patternProperties": {"^(a|a?)+$": {}}, "additionalProperties": False}, {"a" * 60 + "b": 1}),
        ({"multipleOf": 0.1}, 10**4000),
        ({"uniqueItems": True}, [{"n": n % 20_000} for n in range(20_001)]),
    ],
)
def test_a_hostile_schema_or_answer_ends_in_a_problem(schema, answer):
    assert check(schema, json.dumps(answer)).problem


def test_values_that_were_wanted_are_written_as_json_in_a_problem():
    assert check({"enum": [True, None, "é"]}, 5).problem == '5 is not one of [true, null, "é"]'
    assert check({"const": {"a": None}}, 5).problem == '{"a": null} was expected'


@pytest.mark.parametrize("others", [{}, {"additionalProperties": False}])
def test_many_slow_patterns_end_with_the_time_of_the_check(others):
    seconds = itertools.count()
    checker = AnswerChecker({"patternProperties": {"^a": {}}, **others}, clock=lambda: next(seconds))
    assert checker(json.dumps(dict.fromkeys(map(str, range(50))))).problem
    assert next(seconds) < 10


def nested(value, depth):
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


def deep_in_calls(function, calls):
    return function() if calls == 0 else deep_in_calls(function, calls - 1)


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"$dynamicRef": "#"}]},
        {"anyOf": [{"allOf": [{"$ref": "#"}]}]},
        {"if": {"$ref": "#"}, "then": {}},
        {"not": {"not": {"$ref": "#"}}},
        {"items": {"$ref": "#"}, "unevaluatedItems": False},
        {"contains": {"$ref": "#"}},
        {"properties": {"a": {"$ref": "#"}}, "unevaluatedProperties": False},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
        {"propertyNames": {"$ref": "#"}},
    ],
)
def test_no_recursion_reaches_the_limit_of_python(schema):
    # Where it is reached inside of rpds, that panics with an exception nobody expects.
    checker = AnswerChecker(checked_schema(schema, "it"))
    for value in (1, nested(1, 301), nested(1, 300)):
        deep_in_calls(lambda value=value: checker.fits(value), 250)


def test_a_tree_of_usual_depth_is_checked():
    tree = {"type": "object", "properties": {"inside": {"type": "array", "items": {"$ref": "#"}}}}
    value = {}
    for _ in range(20):
        value = {"inside": [value]}
    assert check(tree, value).problem == ""
    assert check(tree, {"inside": [1]}).problem == "inside[0]: 1 is not of type 'object'"


def test_unique_items_are_those_of_json():
    assert check({"uniqueItems": True}, [1, True, "1", [1]]).problem == ""
    assert check({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]).problem


@given(SCHEMAS, VALUES)
def test_the_check_agrees_with_jsonschema(schema, value):
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (AnswerChecker(schema).fits(value) == "") == expected


@given(
    SCHEMAS,
    VALUES.map(json.dumps) | st.text(max_size=60),
    st.sampled_from(["{}", "```json\n{}\n```", "So: {} ."]),
)
def test_whatever_the_model_answers_what_comes_out_fits_the_schema(schema, answer, around):
    data, problem = AnswerChecker(schema)(around.replace("{}", answer))
    if problem:
        assert data is None
    else:
        jsonschema.Draft202012Validator(schema).validate(data)
        json.dumps(data, allow_nan=False)
