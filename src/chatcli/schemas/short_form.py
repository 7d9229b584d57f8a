"""The short form of a schema: ``name, age int, tags list: the words on the label``.

::

    schema      := field ("," field)*             or one field a line
    field       := NAME ["?"] [type] [":" description]
    type        := str | int | float | bool | date | datetime | list [of] | WORD "|" WORD ...
    of          := a type other than list, also in brackets: list[int]

A field is a text unless it names a type, and required unless its name ends in ``?``. A comma in a description begins
a field only if what follows reads as one; on lines of their own, descriptions hold every comma. The full-width ``，：？`` of
Chinese and Japanese keyboards mean the same. It is the short form of ``llm`` (https://llm.datasette.io/en/stable/schemas.html),
which lets answers have other fields as well, with lists, dates, choices and optional fields.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import category

from chatcli.core.errors import UsageError
from chatcli.text.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES: Final[dict[str, dict[str, str]]] = {
    "str": {"type": "string"},
    "string": {"type": "string"},
    "text": {"type": "string"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}
_LIST: Final = "list"
_MOST_FIELDS: Final = 200
_FIELD: Final = re.compile(
    r"\s*(?P<name>[^\s:：,，?？]{1,64})(?P<optional>[?？])?"
    r"(?:\s+(?P<type>[^\s:：,，]+(?:\s+[^\s:：,，]+)?))?\s*(?:[:：](?P<description>.*))?\s*",
    re.DOTALL,
)
_COMMAS: Final = ",，"
_COMMA: Final = re.compile(f"([{_COMMAS}])")
_COLON: Final = re.compile("[:：]")
_LIST_OF: Final = re.compile(r"list(?:\s*\[\s*(?P<inside>[^\[\]\s]+)\s*\]|\s+(?P<of>\S+))?")
_EXAMPLE: Final = "write fields as: name, age int, tags list: the words on the label"


class Field(NamedTuple):
    name: str
    schema: dict[str, Any]
    is_required: bool


def read_short_form(text: str) -> dict[str, Any]:
    """Return the JSON Schema of an object with the fields of ``text``; raise ``UsageError``."""
    fields = list(_fields(text))
    if not fields:
        raise UsageError("the schema has no fields", hint=_EXAMPLE, code="invalid_schema")
    if len(fields) > _MOST_FIELDS:
        raise UsageError(
            f"the schema has more than {_MOST_FIELDS} fields", hint=_EXAMPLE, code="invalid_schema"
        )
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the schema has two fields {name}", hint=_EXAMPLE, code="invalid_schema")
    return {
        "type": "object",
        "properties": {field.name: field.schema for field in fields},
        "required": [field.name for field in fields if field.is_required],
    }


def _fields(text: str) -> Iterator[Field]:
    if "\n" in text.strip():
        for line in text.splitlines():
            if line.strip().rstrip(_COMMAS):
                yield _field(line.strip().rstrip(_COMMAS))
        return
    held, parts = "", _COMMA.split(text)
    for comma, chunk in zip(["", *parts[1::2]], parts[::2], strict=True):
        if not held:
            held = chunk
        elif _COLON.search(held) and not _reads_as_field(chunk):
            held += comma + chunk
        else:
            yield _field(held)
            held = chunk
    if held.strip():
        yield _field(held)


def _match(chunk: str) -> re.Match[str] | None:
    match = _FIELD.fullmatch(chunk)
    return match if match is not None and is_field_name(match["name"]) else None


def is_field_name(name: str) -> bool:
    """Return whether a word is letters, digits, ``_`` and ``-``, and begins with none of the digits."""
    # The vowel signs of Indian scripts, and accents written apart, are marks and no letters.
    begins = name[:1].isalpha() or name[:1] == "_"
    return begins and all(each.isalnum() or each in "_-" or category(each)[0] == "M" for each in name)


def _reads_as_field(chunk: str) -> bool:
    match = _match(chunk)
    return match is not None and (match["type"] is None or _type_of(match["type"]) is not None)


def _field(chunk: str) -> Field:
    match = _match(chunk)
    if match is None:
        raise UsageError(
            f"not a field of a schema: {chunk.strip()[:60] or 'nothing'}",
            hint=_EXAMPLE,
            code="invalid_schema",
        )
    named = match["type"] or "str"
    schema = _type_of(named)
    if schema is None:
        raise UsageError(
            f"{match['name']} has an unknown type: {named[:60]}",
            hint=nearest(named, [*TYPES, _LIST]) or f"types: {', '.join(TYPES)}, list, or choices: good|bad",
            code="invalid_schema",
        )
    description = (match["description"] or "").strip()
    return Field(
        match["name"],
        {**schema, "description": description} if description else schema,
        match["optional"] is None,
    )


def _type_of(named: str) -> dict[str, Any] | None:
    """Return the schema of a type, ``None`` if it is unknown."""
    if (of := _LIST_OF.fullmatch(named)) is not None:
        item = _simple(of["inside"] or of["of"] or "str")
        return None if item is None else {"type": "array", "items": item}
    return _simple(named)


def _simple(named: str) -> dict[str, Any] | None:
    if "|" in named:
        choices = named.split("|")
        is_whole = all(choices) and len(set(choices)) == len(choices) and not re.search(r"\s", named)
        return {"type": "string", "enum": choices} if is_whole else None
    known = TYPES.get(named.lower())
    return None if known is None else dict(known)
