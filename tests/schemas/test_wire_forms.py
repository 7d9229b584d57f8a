from __future__ import annotations

import json

import pytest
from hypothesis import given

from chatcli.core.errors import UsageError
from chatcli.schemas.schema_source import NamedSchema, checked_schema
from chatcli.schemas.short_form import read_short_form
from chatcli.schemas.wire_forms import response_format
from json_schemas import SCHEMAS


def form(schema, **options):
    return response_format(NamedSchema("answer", checked_schema(schema, "it")), **options)


def test_strict_mode_requires_every_property_and_lets_optional_ones_be_null():
    made = form(read_short_form("name, age? int, mood? good|bad, tags? list")).strict
    assert made == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": ["integer", "null"]},
            "mood": {"type": ["string", "null"], "enum": ["good", "bad", None]},
            "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        },
        "required": ["name", "age", "mood", "tags"],
        "additionalProperties": False,
    }


def test_strict_mode_leaves_out_keywords_it_does_not_know():
    made = form({"type": "object", "properties": {"a": {"type": "string", "minLength": 3, "format": "uri"}}})
    assert made.strict is not None
    assert made.strict["properties"]["a"] == {"type": ["string", "null"]}
    assert made.schema["properties"]["a"]["minLength"] == 3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"type": "object", "properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "string"}}},
    ],
)
def test_what_strict_mode_cannot_express_has_no_strict_form(schema):
    assert form(schema).strict is None


def test_a_value_that_is_no_object_is_wrapped_for_the_endpoint():
    made = form({"type": "array", "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}})
    assert made.schema["properties"] == {"value": {"type": "array", "items": {"$ref": "#/$defs/a"}}}
    assert made.schema["$defs"] == {"a": {"type": "string"}}
    assert made.check is not None
    assert made.check('{"value": ["x"]}').data == ["x"]


def test_references_of_a_wrapped_value_to_itself_lead_to_it():
    form = response_format(NamedSchema("it", {"type": "array", "items": {"$ref": "#"}}))
    assert form.schema["properties"]["value"]["items"] == {"$ref": "#/properties/value"}
    assert form.check('{"value": [[], [[]]]}') == ([[], [[]]], "")


def test_a_root_that_is_a_reference_is_looked_up():
    made = form(
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"x": {"type": "string"}}}}}
    )
    assert made.schema["type"] == "object"
    assert made.strict is not None


def test_a_list_is_an_object_with_items():
    made = form(read_short_form("name"), is_list=True)
    assert made.check is not None
    assert made.check('{"items": [{"name": "a"}]}').data == {"items": [{"name": "a"}]}


def test_the_basic_form_has_no_references_and_cuts_recursion():
    tree = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": ["string", "null"], "minLength": 1},
                    "next": {"$ref": "#/$defs/node"},
                    "kind": {"const": "x"},
                },
            }
        },
    }
    made = form(tree).basic
    assert "$ref" not in json.dumps(made)
    assert made is not None
    assert made["properties"]["kind"] == {"enum": ["x"]}
    assert made["properties"]["name"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_a_schema_that_would_grow_without_end_has_no_basic_form():
    definitions = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(25)}
    made = form(
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": {**definitions, "a25": {}}}
    )
    assert made.basic is None


@given(SCHEMAS)
def test_every_form_is_a_schema_of_an_object(schema):
    made = response_format(NamedSchema("answer", schema))
    for each in (made.schema, made.strict):
        if each is not None:
            assert checked_schema(dict(each), "it")
            assert each.get("type", "object") == "object"
    if made.basic is not None:
        assert checked_schema(dict(made.basic), "it") == made.basic


def keys_of(schema):
    if isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from keys_of(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from keys_of(each)


@given(SCHEMAS)
def test_in_strict_mode_every_object_requires_all_its_properties_and_no_others(schema):
    strict = response_format(NamedSchema("answer", schema)).strict
    for each in keys_of(strict):
        if isinstance(each.get("properties"), dict) and "additionalProperties" in each:
            assert each["required"] == list(each["properties"])
            assert each["additionalProperties"] is False


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}])
def test_a_schema_that_only_refers_to_itself_is_refused(schema):
    with pytest.raises(UsageError, match="in a circle"):
        response_format(NamedSchema("answer", schema))
