"""The forms of a schema that endpoints take, and the words for those that take none.

An answer is always checked against the schema itself, so a form may say less than it. OpenAI's strict mode knows few
keywords and wants every property required and no others
(https://platform.openai.com/docs/guides/structured-outputs#supported-schemas): optional ones may be null there. Gemini
(https://ai.google.dev/api/caching#Schema) and the grammars of some servers know still fewer, and no references.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.json_values import as_object
from chatcli.core.request import ResponseFormat
from chatcli.schemas.answer_checking import WRAPPED, AnswerChecker, pointed_at
from chatcli.schemas.schema_source import invalid_schema, list_of, moved, read_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.schemas.schema_source import NamedSchema, SchemaFolder

_ANYWHERE: Final = frozenset({"type", "description", "enum", "items", "properties", "required", "anyOf"})
_STRICT: Final = _ANYWHERE | {
    "const",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "title",
}
_BASIC: Final = _ANYWHERE | {"maxItems", "maximum", "minItems", "minimum"}
_STRICT_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
_BASIC_FORMATS: Final = frozenset({"date-time"})
_BEYOND_STRICT: Final = frozenset(
    {
        "allOf",
        "dependentRequired",
        "dependentSchemas",
        "if",
        "not",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "unevaluatedProperties",
        "$dynamicRef",
    }
)
_DEFINITIONS: Final = ("$defs", "definitions")
_MOST_NODES: Final = 5_000
_DEEPEST: Final = 30
_DEEPEST_RECURSION: Final = 2
_INSTRUCTION: Final = "Answer with JSON alone: no other words, and no code block around it. It must be valid against this JSON Schema:"


class _Inexpressible(Exception):
    """The schema has no such form."""


def response_format(named: NamedSchema, *, is_list: bool = False) -> ResponseFormat:
    """Return the form of answers that fit the schema; ``is_list``: a list of such values, as ``{"items": [...]}``."""
    schema = list_of(named.schema) if is_list else named.schema
    check = AnswerChecker(schema)
    if check.is_circular:
        raise invalid_schema("the schema refers to itself in a circle")
    wire, is_wrapped = _object_at_root(schema)
    return ResponseFormat(
        name=named.name,
        schema=wire,
        strict=_strict_or_none(wire),
        basic=_basic_or_none(wire),
        words=f"{_INSTRUCTION}\n{json.dumps(wire, ensure_ascii=False, separators=(',', ':'))}",
        check=check,
        wrapped_in=WRAPPED if is_wrapped else "",
    )


def read_response_format(given: str, folder: SchemaFolder, *, is_list: bool = False) -> ResponseFormat:
    """Return the form of answers that fit the schema ``given``; raise like ``read_schema``."""
    return response_format(read_schema(given, folder), is_list=is_list)


def _object_at_root(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema whose root is an object, the only kind endpoints take, and whether that was put around it."""
    root, seen = dict(schema), 0
    while isinstance(target := root.get("$ref"), str) and seen < _DEEPEST:
        inner = as_object(pointed_at(schema, target))
        root = {name: value for name, value in root.items() if name != "$ref"} | inner
        seen += 1
    if root.get("type") == "object" or ("type" not in root and "properties" in root):
        return root, False
    inside = moved(schema, f"/properties/{WRAPPED}")
    inner = {name: value for name, value in inside.items() if name not in (*_DEFINITIONS, "$schema", "$id")}
    definitions: dict[str, Any] = {name: inside[name] for name in _DEFINITIONS if name in inside}
    wrapped = {
        **definitions,
        "type": "object",
        "properties": {WRAPPED: inner},
        "required": [WRAPPED],
        "additionalProperties": False,
    }
    return wrapped, True


def _strict_or_none(wire: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return _Strict(wire).whole()
    except _Inexpressible:
        return None


def _basic_or_none(wire: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return _Basic(wire).form(wire, ())
    except _Inexpressible:
        return None


class _Form:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if self._nodes > _MOST_NODES or depth > _DEEPEST:
            raise _Inexpressible


class _Strict(_Form):
    """The schema as OpenAI's strict mode takes it."""

    def whole(self) -> dict[str, Any]:
        made = self._form(self._root, 0)
        for name in _DEFINITIONS:
            defined = as_object(self._root.get(name))
            if defined:
                made[name] = {key: self._form(value, 1) for key, value in defined.items()}
        return made

    def _form(self, schema: object, depth: int) -> dict[str, Any]:
        self._count(depth)
        if not isinstance(schema, dict) or not _BEYOND_STRICT.isdisjoint(schema):
            raise _Inexpressible
        if isinstance(target := schema.get("$ref"), str):
            if not target.startswith(("#/$defs/", "#/definitions/")) or target.count("/") > 2:  # noqa: PLR2004
                raise _Inexpressible
            return {"$ref": target}
        made = {name: value for name, value in schema.items() if name in _STRICT}
        if schema.get("format") in _STRICT_FORMATS:
            made["format"] = schema["format"]
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            made["anyOf"] = [self._form(each, depth + 1) for each in choices]
        if "items" in made:
            made["items"] = self._form(made["items"], depth + 1)
        kind = made.get("type")
        if kind == "object" or "properties" in made or (isinstance(kind, list) and "object" in kind):
            return {**made, **self._object(schema, depth)}
        if kind is None and "anyOf" not in made:
            return {**made, "type": _type_of_choices(schema)}
        if kind == "array" and "items" not in made:
            raise _Inexpressible
        return made

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or schema.get("additionalProperties", False):
            raise _Inexpressible  # keys of any name
        required = schema.get("required") or ()
        forms = {name: self._form(inner, depth + 1) for name, inner in properties.items()}
        return {
            "type": schema.get("type", "object"),
            "properties": {
                name: form if name in required else _nullable(form) for name, form in forms.items()
            },
            "required": list(properties),
            "additionalProperties": False,
        }


def _type_of_choices(schema: Mapping[str, Any]) -> str:
    given = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if not given or not all(isinstance(each, str) for each in given):
        raise _Inexpressible
    return "string"


def _nullable(form: dict[str, Any]) -> dict[str, Any]:
    kind = form.get("type")
    if isinstance(kind, str) and kind not in ("object", "array") and "const" not in form:
        made = {**form, "type": [kind, "null"]}
        return {**made, "enum": [*form["enum"], None]} if "enum" in form else made
    if isinstance(kind, list) or kind == "null":
        return form if kind == "null" or "null" in kind else {**form, "type": [*kind, "null"]}
    if "anyOf" in form:
        return {**form, "anyOf": [*form["anyOf"], {"type": "null"}]}
    return {"anyOf": [form, {"type": "null"}]}


class _Basic(_Form):
    """The schema in keywords that every provider knows, without references."""

    def form(self, schema: object, path: tuple[str, ...], depth: int = 0) -> dict[str, Any]:
        self._count(depth)
        if not isinstance(schema, dict):
            return {"type": "object"} if schema else {}
        if isinstance(target := schema.get("$ref"), str):
            if path.count(target) >= _DEEPEST_RECURSION:
                return {"type": "object"}
            return self.form(pointed_at(self._root, target) or {}, (*path, target), depth + 1)
        made = {name: value for name, value in schema.items() if name in _BASIC}
        if schema.get("format") in _BASIC_FORMATS:
            made["format"] = schema["format"]
        if "const" in schema:
            made["enum"] = [schema["const"]]
        if isinstance(kind := made.get("type"), list):
            return {"anyOf": [self.form({**schema, "type": each}, path, depth + 1) for each in kind]}
        if isinstance(choices := schema.get("oneOf", schema.get("anyOf")), list):
            made["anyOf"] = [self.form(each, path, depth + 1) for each in choices]
        made |= self._inside(made, path, depth)
        for each in schema.get("allOf") or ():
            made = _merged(self.form(each, path, depth + 1), made)
        return made

    def _inside(self, schema: Mapping[str, Any], path: tuple[str, ...], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if isinstance(properties := schema.get("properties"), dict):
            made["properties"] = {
                name: self.form(inner, path, depth + 1) for name, inner in properties.items()
            }
        if "items" in schema:
            made["items"] = self.form(schema["items"], path, depth + 1)
        return made


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of both, with the properties of both."""
    made = {**first, **second}
    if "properties" in first and "properties" in second:
        made["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        made["required"] = list(dict.fromkeys([*first["required"], *second["required"]]))
    return made
