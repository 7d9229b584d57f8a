"""Python types as schemas, and values of JSON as their instances: dataclasses, pydantic models, and what these hold.

Known are ``str``, ``int``, ``float``, ``bool``, ``None``, ``date``, ``datetime``, ``time``, ``Any``, enums, ``Literal``, ``X | Y``,
``list``, ``tuple[X, ...]``, ``set``, ``dict[str, X]``, ``Annotated[X, "description"]``, and dataclasses of these, which may refer to
themselves. A pydantic model makes its own schema and its own instances; the package is not needed otherwise.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from chatcli.core.errors import UsageError
from chatcli.core.json_values import as_object
from chatcli.core.request import CheckedAnswer, ResponseFormat
from chatcli.schemas.answer_checking import AnswerChecker, pointed_at
from chatcli.schemas.schema_source import (
    NamedSchema,
    SchemaFolder,
    checked_schema,
    name_for_endpoint,
    read_schema,
)
from chatcli.schemas.wire_forms import response_format

if TYPE_CHECKING:
    from dataclasses import Field

SchemaForScript: TypeAlias = str | Mapping[str, Any] | type | types.UnionType | types.GenericAlias
"""A dataclass, a pydantic model, another type, a JSON Schema, or the short form."""

_SIMPLE: Final[Mapping[object, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string", "format": "time"},
    Any: {},
}
_FROM_TEXT: Final[Mapping[object, Callable[[str], Any]]] = {
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
}
_MADE_AS: Final[Mapping[object, Callable[[Iterable[Any]], Any]]] = {
    list: list,
    Sequence: list,
    Collection: list,
    Iterable: list,
    tuple: tuple,
    set: set,
    AbstractSet: set,
    frozenset: frozenset,
}
_DEEPEST: Final = 100
_LONGEST_PROBLEM: Final = 600


class TypedFormat(NamedTuple):
    """The form of answers, and what makes an instance of the value in one."""

    response_format: ResponseFormat
    build: Callable[[Any], Any]


def typed_format(schema: object, folder: SchemaFolder, *, is_list: bool = False) -> TypedFormat:
    """Return the form of answers for a type, a JSON Schema or a text, of which ``is_list`` wants a list; raise ``UsageError``."""
    if isinstance(schema, str):
        return TypedFormat(response_format(read_schema(schema, folder), is_list=is_list), _as_it_is)
    if isinstance(schema, Mapping):
        checked = checked_schema(json.loads(_written(schema)), "the schema")
        return TypedFormat(response_format(NamedSchema("answer", checked)), _as_it_is)
    if _is_pydantic(schema):
        model: Any = schema

        def build(value: Any) -> Any:
            return model.model_validate_json(json.dumps(value))

        made = _schema_of_model(model)
    else:
        reader = _Types()
        made = reader.whole(schema)

        def build(value: Any) -> Any:
            return reader.built(schema, value)

    name = getattr(schema, "__name__", "") if isinstance(schema, type) else ""
    form = response_format(NamedSchema(name_for_endpoint(name), checked_schema(made, name or "the schema")))
    check = form.check

    def checked_and_built(text: str) -> CheckedAnswer:
        # What a class refuses is asked for once more, as what the schema refuses.
        found = CheckedAnswer() if check is None else check(text)
        if found.problem:
            return found
        try:
            build(found.data)
        except Exception as error:  # noqa: BLE001 - of the person's own class
            return CheckedAnswer(problem=_in_one_line(error))
        return found

    return TypedFormat(form._replace(check=checked_and_built), build)


def _as_it_is(value: Any) -> Any:
    return value


def _written(schema: Mapping[str, Any]) -> str:
    try:
        return json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the schema is not JSON: {error!s:.100}", hint="pass a JSON Schema", code="invalid_schema"
        ) from error


def _is_pydantic(schema: object) -> bool:
    return isinstance(schema, type) and hasattr(schema, "model_json_schema")


def _schema_of_model(model: Any, **options: str) -> dict[str, Any]:
    try:
        return dict(model.model_json_schema(**options))
    except Exception as error:  # of pydantic, which is not imported here, or of the person's own model
        raise UsageError(
            f"pydantic makes no schema of {model.__name__}: {_in_one_line(error):.200}",
            hint="use fields that JSON has a form for, whose types are defined",
            code="invalid_schema",
        ) from error


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    # Of a long list, pydantic names every value it refuses.
    return text if len(text) <= _LONGEST_PROBLEM else f"{text[:_LONGEST_PROBLEM]}…"


class _Types:
    """The schemas of types, each dataclass once, and their instances."""

    def __init__(self) -> None:
        self._definitions: dict[str, dict[str, Any]] = {}
        self._names: dict[type, str] = {}
        self._hints: dict[type, dict[str, Any]] = {}
        self._checkers: dict[str, AnswerChecker] = {}

    def whole(self, wanted: object) -> dict[str, Any]:
        made = self._schema(wanted)
        return {**made, "$defs": self._definitions} if self._definitions else made

    def built(self, wanted: Any, value: Any, depth: int = 0) -> Any:
        """Return an instance of a type from a value that fits its schema; raise any exception of the type."""
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        origin, arguments = get_origin(wanted), get_args(wanted)
        if origin is Annotated:
            return self.built(arguments[0], value, depth)
        if origin in (Union, types.UnionType):
            return self._built_choice(arguments, value, depth)
        if origin is None and isinstance(wanted, type) and wanted not in _SIMPLE and wanted not in _MADE_AS:
            return self._built_class(wanted, value, depth)
        return self._built_simple(wanted, origin or wanted, arguments, value, depth)

    def _built_simple(
        self, wanted: Any, kind: Any, arguments: tuple[Any, ...], value: Any, depth: int
    ) -> Any:
        if kind in _MADE_AS:
            item = arguments[0] if arguments else Any
            return _MADE_AS[kind](self.built(item, each, depth + 1) for each in value)
        if kind in (dict, Mapping):
            item = arguments[1] if arguments else Any
            return {name: self.built(item, each, depth + 1) for name, each in value.items()}
        if wanted is float or (wanted is int and isinstance(value, float)):
            return wanted(value)  # for JSON, 5.0 is a whole number
        return _FROM_TEXT[wanted](value) if wanted in _FROM_TEXT else value

    def _built_class(self, wanted: Any, value: Any, depth: int) -> Any:
        if issubclass(wanted, Enum):
            return wanted(value)
        if _is_pydantic(wanted):
            return wanted.model_validate_json(json.dumps(value))
        made: Any = wanted
        if not is_dataclass(wanted):
            return value
        hints = self._hints_of(wanted)
        given = {each.name: hints[each.name] for each in fields(wanted) if each.name in value}
        return made(**{name: self.built(hint, value[name], depth + 1) for name, hint in given.items()})

    def _built_choice(self, choices: Sequence[Any], value: Any, depth: int) -> Any:
        problem: Exception = ValueError("it is none of the types there are")
        for choice in self._likely(choices, value):
            try:
                return self.built(choice, value, depth + 1)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                problem = error
        raise problem

    def _likely(self, choices: Sequence[Any], value: Any) -> Sequence[Any]:
        """Return the types whose schema a value fits, first those that have a place for all its keys."""
        likely = [each for each in choices if self._may_be(each, value)]
        if len(likely) > 1:
            likely = [each for each in likely if not self._checker(each).fits(value)]
        return sorted(likely, key=lambda each: self._left_over(each, value))

    def _checker(self, wanted: Any) -> AnswerChecker:
        schema = self.whole(wanted)
        written = json.dumps(schema)
        if written not in self._checkers:
            self._checkers[written] = AnswerChecker(schema)
        return self._checkers[written]

    def _left_over(self, wanted: Any, value: Any) -> int:
        """Return how many keys of a value a type has no place for."""
        if not isinstance(value, dict):
            return 0
        schema = self.whole(wanted)
        if isinstance(reference := schema.get("$ref"), str):
            schema = as_object(pointed_at(schema, reference))
        return len(value.keys() - as_object(schema.get("properties")).keys())

    def _may_be(self, wanted: Any, value: Any) -> bool:
        """Return whether a value of JSON may stand for a type, by its kind alone."""
        kind = _SIMPLE.get(wanted, {}).get("type") if isinstance(wanted, Hashable) else None
        if kind is None:
            return True
        if kind == "integer" and isinstance(value, float):
            return value.is_integer()
        kinds: dict[str, tuple[type, ...]] = {
            "string": (str,),
            "integer": (int,),
            "number": (int, float),
            "boolean": (bool,),
            "null": (type(None),),
        }
        return isinstance(value, kinds[kind]) and isinstance(value, bool) == (kind == "boolean")

    def _schema(self, wanted: Any) -> dict[str, Any]:
        origin, arguments = get_origin(wanted), get_args(wanted)
        if origin is Annotated:
            described = next((each for each in arguments[1:] if isinstance(each, str)), None)
            made = self._schema(arguments[0])
            return made if described is None else {**made, "description": described}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self._schema(each) for each in arguments]}
        if origin is None and isinstance(wanted, Hashable) and wanted in _SIMPLE:
            return dict(_SIMPLE[wanted])
        return self._class(wanted) or self._collection(wanted, origin or wanted, arguments)

    def _class(self, wanted: Any) -> dict[str, Any] | None:
        if _is_pydantic(wanted):
            return self._pydantic(wanted)
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            return {"enum": [each.value for each in wanted]}
        if isinstance(wanted, type) and is_dataclass(wanted):
            return {"$ref": f"#/$defs/{self._defined(wanted)}"}
        return None

    def _collection(self, wanted: Any, kind: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        kind = kind if isinstance(kind, Hashable) else None
        is_open = kind is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis)  # noqa: PLR2004
        if kind in _MADE_AS and not is_open:
            item = self._schema(arguments[0]) if arguments else {}
            is_set = _MADE_AS[kind] in (set, frozenset)
            return {"type": "array", "items": item, **({"uniqueItems": True} if is_set else {})}
        if kind in (dict, Mapping) and (not arguments or arguments[0] is str):
            item = self._schema(arguments[1]) if arguments else {}
            return {"type": "object", "additionalProperties": item}
        raise UsageError(
            f"a schema cannot be made of {wanted!r:.80}",
            hint="use a dataclass, a pydantic model, list, dict, Literal, Enum or a simple type; or pass a JSON Schema",
            code="invalid_schema",
        )

    def _pydantic(self, model: Any) -> dict[str, Any]:
        prefix = ""
        while True:
            made = _schema_of_model(model, ref_template=f"#/$defs/{prefix}{{model}}")
            inner = {f"{prefix}{name}": each for name, each in as_object(made.pop("$defs", None)).items()}
            if all(self._definitions.get(name, each) == each for name, each in inner.items()):
                self._definitions |= inner
                return made
            prefix += "_"  # classes of one name

    def _defined(self, wanted: type) -> str:
        """Return the name of a dataclass among the definitions."""
        if wanted not in self._names:
            name = wanted.__name__
            while name in self._definitions:
                name += "_"
            self._names[wanted] = name
            self._definitions[name] = {}  # for those that refer to it
            hints = self._hints_of(wanted)
            taken = [each for each in fields(wanted) if each.init]
            self._definitions[name] = {
                "type": "object",
                "properties": {each.name: self._described(each, hints[each.name]) for each in taken},
                "required": [each.name for each in taken if _is_required(each)],
            }
        return self._names[wanted]

    def _described(self, field: Field[Any], hint: Any) -> dict[str, Any]:
        made, words = self._schema(hint), field.metadata.get("description")
        return made if words is None else {**made, "description": str(words)}

    def _hints_of(self, wanted: Any) -> dict[str, Any]:
        if wanted not in self._hints:
            try:
                self._hints[wanted] = get_type_hints(wanted, include_extras=True)
            except (NameError, TypeError) as error:
                raise UsageError(
                    f"the types of {wanted.__name__} cannot be found: {error}",
                    hint="define them at the top of a module",
                    code="invalid_schema",
                ) from error
        return self._hints[wanted]


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
