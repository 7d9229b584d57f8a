from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chatcli.core.errors import UsageError
from chatcli.schemas.answer_checking import AnswerChecker
from chatcli.schemas.schema_source import SchemaFolder, checked_schema, list_of, read_schema

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.fixture
def folder(tmp_path):
    kept = tmp_path / "schemas"
    kept.mkdir()
    (kept / "person.json").write_text(json.dumps(PERSON))
    (kept / "city.txt").write_text("name\npeople int")
    (kept / "notes.md").write_text("no schema")
    return SchemaFolder(kept)


def test_a_name_means_the_file_in_the_folder(folder):
    assert list(folder.paths()) == ["city", "person"]
    assert read_schema("person", folder) == ("person", PERSON)
    assert read_schema("city", folder).schema["properties"]["people"] == {"type": "integer"}


def test_a_path_inline_json_and_the_short_form_need_no_folder(folder, tmp_path):
    nowhere = SchemaFolder(tmp_path / "none")
    path = tmp_path / "my schema.json"
    path.write_text(json.dumps(PERSON))
    assert read_schema(str(path), nowhere) == ("my_schema", PERSON)
    assert read_schema(json.dumps(PERSON), nowhere) == ("answer", PERSON)
    assert list(read_schema("name: and/or, age int", nowhere).schema["properties"]) == ["name", "age"]


def test_a_single_unknown_word_is_no_field_but_a_mistyped_name(folder):
    with pytest.raises(UsageError, match="there is no schema persn") as caught:
        read_schema("persn", folder)
    assert "did you mean person?" in str(caught.value.hint)
    assert "persn str" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"there is no schema v1\.2") as caught:
        read_schema("v1.2", folder)
    assert " str" not in str(caught.value.hint)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://example.com/schema.json"}, "refers to another document"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "refers to another document"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "pattern that is too large"),
        ({"patternProperties": {"(": {}}}, "pattern that cannot be read"),
        ({"type": "strin"}, "no JSON Schema"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "cannot be checked"),
        ([], "not a JSON object"),
    ],
)
def test_a_schema_that_could_harm_is_refused(schema, words):
    with pytest.raises(UsageError, match=words):
        checked_schema(schema, "it")


def test_values_in_a_schema_are_no_keywords():
    schema = {"enum": [{"$ref": "https://example.com"}], "properties": {"pattern": {"type": "string"}}}
    assert checked_schema(schema, "it") == schema


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize("schema", [nested(200), {"anyOf": [{"const": n} for n in range(10_000)]}])
def test_a_schema_that_is_too_large_is_refused(schema):
    with pytest.raises(UsageError, match="too large"):
        checked_schema(schema, "it")


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"{" * 100_000, b'{"a": ', b"\xff\xfe", b"a" * 2_000_000]
)
def test_a_file_that_is_no_schema_is_refused(tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        read_schema(str(path), SchemaFolder(tmp_path / "none"))


def test_one_that_is_nested_too_deeply_is_not_said_to_be_no_json():
    with pytest.raises(UsageError, match="nested too deeply"):
        read_schema('{"a":' * 100_000, SchemaFolder(Path("none")))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('{"minimum": 1e999}', "1e999 is too large"),
        ('{"minimum": NaN}', "NaN is no value of JSON"),
        (f'{{"minimum": {"9" * 5_000}}}', "a number of 5,000 digits is too large"),
        ('{"description": "\\ud800"}', "has a lone surrogate"),
        ('{"$schema": 5}', "no address of a JSON Schema"),
        ('{"$schema": "http://[bad"}', "no address of a JSON Schema"),
        ('{"properties": {"a": {"$ref": "#/$defs/a"}}}', "refers to #/.defs/a, which is not there"),
        ('{"items": {"$ref": "#gone"}, "$id": "https://example.com/x"}', "refers to #gone"),
    ],
)
def test_what_no_endpoint_and_no_check_could_take_is_refused_before_anything_is_sent(written, words):
    with pytest.raises(UsageError, match=words):
        read_schema(written, SchemaFolder(Path("none")))


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a b": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/a%20b"}}},
        {"$defs": {"x": {"$anchor": "here"}}, "properties": {"a": {"$ref": "#here"}}},
        {"$id": "https://example.com/x", "properties": {"a": {"$ref": "#"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"$ref": {"type": "string"}}},
    ],
)
def test_references_inside_a_schema_are_taken_in_every_form(schema):
    assert checked_schema(schema, "it") == schema


def test_a_list_keeps_the_definitions_at_the_root():
    schema = {
        "$defs": {"a": {"type": "string"}},
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/a"}},
    }
    made = list_of(schema)
    assert made["$defs"] == schema["$defs"]
    assert made["properties"]["items"]["items"] == {"type": "object", "properties": schema["properties"]}


def test_a_list_of_trees_has_trees_for_children():
    tree = {
        "type": "object",
        "properties": {"in": {"type": "array", "items": {"$ref": "#"}}, "#": {"const": {"$ref": "#"}}},
    }
    check = AnswerChecker(list_of(checked_schema(tree, "it")))
    assert check('{"items": [{"in": [{"in": []}]}, {"#": {"$ref": "#"}}]}').problem == ""
    assert check('{"items": [{"in": [[]]}]}').problem.startswith("items[0].in[0]: [] is not")
    twice = {"properties": {"a": {"type": "string"}, "b": {"$ref": "#/properties/a"}}}
    assert AnswerChecker(list_of(checked_schema(twice, "it")))('{"items": [{"b": 1}]}').problem


def test_without_the_extra_the_hint_says_how_to_install_it():
    code = (
        "import sys; sys.modules['jsonschema'] = None\n"
        "from chatcli.schemas.schema_source import checked_schema\n"
        "from chatcli.core.errors import ConfigurationError\n"
        "try: checked_schema({}, 'it')\n"
        "except ConfigurationError as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "install it in the checkout: pip install '.[schema]'"
