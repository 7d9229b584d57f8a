"""The schema a person names: a name in their folder, a file, JSON, or the short form.

A schema may come from anywhere, so it is bounded: its size and depth, the patterns in it, and the work of every check. A
reference to another document is refused, not fetched.
"""

from __future__ import annotations

import errno
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.strict_json import STRICT_JSON
from chatcli.core.typed_paths import typed_path
from chatcli.schemas.short_form import is_field_name, read_short_form
from chatcli.storage.private_files import read_regular_or_pipe
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FOLDER: Final = "schemas"
"""The folder's name in the configuration folder."""
SUFFIXES: Final = (".json", ".txt")
"""Of JSON Schemas, and of short forms."""

_NAME: Final = re.compile(r"\w(?:[\w.-]{0,62}\w)?")
_FOR_ENDPOINT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_BYTES: Final = 1_000_000
_LONGEST_SHORT_FORM: Final = 20_000
_PATIENCE_S: Final = 10.0
_DEEPEST: Final = 50
_MOST_NODES: Final = 5_000
_LONGEST_PATTERN: Final = 500
_MOST_REPEATED: Final = 10_000
_REPETITION: Final = re.compile(r"\{(\d{0,9})(?:,(\d{0,9}))?\}")
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are data, in which nothing is a keyword."""
_OF_NAMES: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
"""Keywords whose values map names to schemas."""
_UNBOUNDED: Final = frozenset({"patternProperties", "unevaluatedProperties"})
"""Together jsonschema searches their patterns without a time limit."""
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
EXTRA_HINT: Final = "install it in the checkout: pip install '.[schema]'"


class NamedSchema(NamedTuple):
    """A checked JSON Schema and its name for the endpoint."""

    name: str
    schema: dict[str, Any]


class SchemaFolder:
    """The person's schemas: ``NAME.json``, or ``NAME.txt`` in the short form. The folder need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> dict[str, Path]:
        """Return the files by schema name. Raise ``LocalIOError`` if the folder cannot be read."""
        try:
            with os.scandir(self.folder) as found:
                files = sorted(self.folder / each.name for each in found if each.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise LocalIOError(
                f"cannot read {self.folder}: {error.strerror or error}", hint="check its permissions"
            ) from error
        by_suffix = (path for suffix in reversed(SUFFIXES) for path in files if path.suffix == suffix)
        named = {path.stem: path for path in by_suffix if _NAME.fullmatch(path.stem)}
        return dict(sorted(named.items()))


def read_schema(given: str, folder: SchemaFolder) -> NamedSchema:
    """Return the schema that ``given`` names, describes or is; raise ``UsageError``, ``ConfigurationError`` or ``LocalIOError``."""
    text = given.strip()
    if text.startswith("{"):
        return NamedSchema("answer", checked_schema(_parsed(text, "the schema"), "the schema"))
    if _NAME.fullmatch(text) and (path := folder.paths().get(text)) is not None:
        return _from_file(path)
    if _is_path(text):
        return _from_file(typed_path(text))
    if _NAME.fullmatch(text):
        names = list(folder.paths())
        named = did_you_mean(text, names, "schemas") if names else f"{folder.folder} has none"
        as_field = f"; a single field is written with its type: {text} str" if is_field_name(text) else ""
        raise UsageError(
            f"there is no schema {text}",
            hint=f"{named}{as_field}",
            code="no_such_schema",
        )
    if len(text) > _LONGEST_SHORT_FORM:
        raise UsageError(
            "the schema is too long for the short form",
            hint="write it as a JSON Schema file",
            code="invalid_schema",
        )
    return NamedSchema("answer", read_short_form(text))


def list_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of ``{"items": [...]}``, whose items are of ``schema``: endpoints take objects only."""
    item = moved(schema, "/properties/items/items")
    # References are resolved at the root.
    root: dict[str, Any] = {
        name: item.pop(name) for name in ("$defs", "definitions", "$schema") if name in item
    }
    item.pop("$id", None)
    return {
        **root,
        "type": "object",
        "properties": {"items": {"type": "array", "items": item}},
        "required": ["items"],
        "additionalProperties": False,
    }


def moved(schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return ``schema`` for this place in another one, whose root has its definitions: references to itself lead there."""
    return {name: _moved(name, value, place) for name, value in schema.items()}


def _moved(keyword: str, value: Any, place: str) -> Any:
    if keyword in _VALUES:
        return value
    if keyword == "$ref" and isinstance(value, str):
        is_moved = value == "#" or (
            value.startswith("#/") and not value.startswith(("#/$defs/", "#/definitions/"))
        )
        return f"#{place}{value[1:]}" if is_moved else value
    if isinstance(value, list):
        return [_moved("", each, place) for each in value]
    if not isinstance(value, dict) or "$id" in value:
        return value
    names = keyword in _OF_NAMES
    return {name: _moved("" if names else name, inner, place) for name, inner in value.items()}


def checked_schema(schema: object, where: str) -> dict[str, Any]:
    """Return ``schema`` if it is a JSON Schema within the bounds; raise ``UsageError`` that names ``where``."""
    if not isinstance(schema, dict):
        raise invalid_schema(f"{where} is not a JSON object")
    _check_written(schema, where)
    used = set[str]()
    for nodes, (keywords, depth) in enumerate(_subschemas(schema), 1):
        used |= keywords.keys() & _UNBOUNDED
        if depth > _DEEPEST or nodes > _MOST_NODES:
            raise invalid_schema(f"{where} is too large")
        for keyword in _REFERENCES:
            target = keywords.get(keyword)
            if isinstance(target, str) and not target.startswith("#"):
                raise UsageError(
                    f"{where} refers to another document: {target[:200]}",
                    hint="nothing is fetched; put the definition into $defs",
                    code="remote_reference",
                )
        patterns = keywords.get("patternProperties")
        for pattern in (keywords.get("pattern"), *(patterns if isinstance(patterns, dict) else ())):
            if isinstance(pattern, str):
                _check_pattern(pattern, where)
    if used == _UNBOUNDED:
        raise invalid_schema(
            f"{where} has both {' and '.join(sorted(used))}, which cannot be checked in bounded time"
        )
    _check_keywords(schema, where)
    return schema


def _check_written(schema: dict[str, Any], where: str) -> None:
    try:
        json.dumps(schema, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise invalid_schema(f"{where} has a lone surrogate") from error
    except RecursionError as error:
        raise invalid_schema(f"{where} is too large") from error
    except (TypeError, ValueError) as error:
        # As from a Python type: Literal and enums may have any values.
        raise invalid_schema(f"{where} has a value that JSON has not: {error!s:.100}") from error


def _subschemas(root: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield every schema in ``root`` with its depth, without recursion."""
    waiting: list[tuple[Any, int]] = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
        if not isinstance(value, dict):
            continue
        yield value, depth
        if depth > _DEEPEST:
            continue
        for keyword, inner in value.items():
            if keyword in _OF_NAMES and isinstance(inner, dict):
                waiting += [(each, depth + 1) for each in inner.values()]
            elif keyword not in _VALUES:
                waiting.append((inner, depth + 1))


def _check_pattern(pattern: str, where: str) -> None:
    import regex  # noqa: PLC0415 - only patterns need it; tiktoken brings it

    repeated = 1
    for least, most in _REPETITION.findall(pattern):
        repeated *= max(int(least or 0), int(most or 0), 1)
    # Counted repetitions are unrolled: nested ones take all memory.
    if len(pattern) > _LONGEST_PATTERN or repeated > _MOST_REPEATED:
        raise invalid_schema(f"{where} has a pattern that is too large: {pattern[:60]}")
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise invalid_schema(
            f"{where} has a pattern that cannot be read: {pattern[:60]} ({error})"
        ) from error


def _check_keywords(schema: dict[str, Any], where: str) -> None:
    try:
        from jsonschema import FormatChecker, validators  # noqa: PLC0415 - an extra
        from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    except ImportError as error:
        raise missing_extra() from error
    try:
        kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    except (ValueError, AttributeError, TypeError) as error:
        raise invalid_schema(f"{where} has no address of a JSON Schema in $schema") from error
    try:
        # Its formats would refuse patterns that only Python does not know: \p{L}.
        kind.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        at = ".".join(map(str, error.absolute_path))
        raise invalid_schema(
            f"{where} is no JSON Schema{at and f', at {at}'}: {error.message[:200]}"
        ) from error
    except RecursionError as error:
        raise invalid_schema(f"{where} is too large") from error
    _check_references(schema, kind.ID_OF, where)


def _check_references(schema: dict[str, Any], id_of: Callable[[Any], str | None], where: str) -> None:
    """Raise ``UsageError`` for a reference that leads nowhere: whatever is answered could not be checked."""
    from referencing import Registry, Specification  # noqa: PLC0415 - jsonschema brings it
    from referencing.exceptions import Unresolvable  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012, specification_with  # noqa: PLC0415

    subschemas = [keywords for keywords, _ in _subschemas(schema)]
    if any(id_of(each) for each in subschemas[1:]):
        return  # references below a name of its own are relative to it
    specification: Specification[Any] = specification_with(
        str(schema.get("$schema", "")), default=DRAFT202012
    )
    resolver = Registry().resolver_with_root(specification.create_resource(schema))
    for keywords in subschemas:
        for keyword in _REFERENCES[:2]:
            if isinstance(target := keywords.get(keyword), str):
                try:
                    resolver.lookup(target)
                except Unresolvable as error:
                    raise invalid_schema(f"{where} refers to {target[:100]}, which is not there") from error


def name_for_endpoint(name: str) -> str:
    """Return a name of the letters that endpoints take in one."""
    return _FOR_ENDPOINT.sub("_", name).strip("_")[:64] or "answer"


def missing_extra() -> ConfigurationError:
    return ConfigurationError(
        "the package jsonschema is not installed", hint=EXTRA_HINT, code="missing_extra"
    )


def _from_file(path: Path) -> NamedSchema:
    text = _text_of(path)
    name = name_for_endpoint(path.stem)
    if text.lstrip().startswith("{"):
        return NamedSchema(name, checked_schema(_parsed(text, str(path)), str(path)))
    if path.suffix == SUFFIXES[0] or len(text) > _LONGEST_SHORT_FORM:
        raise invalid_schema(f"{path} is not a JSON object")
    return NamedSchema(name, read_short_form(text))


def _parsed(text: str, where: str) -> object:
    try:
        value: object = STRICT_JSON.decode(text)
    except RecursionError as error:
        raise invalid_schema(f"{where} is nested too deeply") from error
    except ValueError as error:
        raise invalid_schema(f"{where} is not JSON: {error!s:.200}") from error
    return value


def _text_of(path: Path) -> str:
    try:
        content = read_regular_or_pipe(path, most_bytes=_LONGEST_BYTES, patience_s=_PATIENCE_S)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", hint="save it as UTF-8", code="invalid_schema") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EFBIG:
            raise invalid_schema(f"{path} is too large") from error
        raise LocalIOError(
            f"cannot read the schema {path}: {getattr(error, 'strerror', None) or error}",
            hint="check the path and its permissions",
        ) from error


def _is_path(text: str) -> bool:
    if "\n" in text or ": " in text:
        return False
    separators = filter(None, ("/", os.sep, os.altsep))
    has_separator = any(separator in text for separator in separators)
    return text.endswith(SUFFIXES) or (has_separator and re.search(r"[\s,]", text) is None)


def invalid_schema(message: str) -> UsageError:
    return UsageError(
        message, hint="https://json-schema.org tells how schemas are written", code="invalid_schema"
    )
