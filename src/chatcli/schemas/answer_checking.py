"""The check of an answer against its schema, in bounded time whatever the schema and the answer are.

A schema in which every level names the next one twice takes exponential time, and a pattern may. So every keyword
that is checked counts, patterns have a time limit, and what is not decided within the bounds does not fit.
"""

from __future__ import annotations

import json
import math
import threading
import time
from datetime import date, datetime
from datetime import time as time_of_day
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.json_values import as_object
from chatcli.core.request import CheckedAnswer
from chatcli.core.strict_json import STRICT_JSON
from chatcli.schemas.schema_source import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[Any] | None]

WRAPPED: Final = "value"
"""The property that holds an answer whose schema is not that of an object: endpoints take objects only."""

_LEAST_STEPS: Final = 50_000
_STEPS_PER_CHARACTER: Final = 20
_LEAST_S: Final = 3.0
_S_PER_CHARACTER: Final = 2e-6
_PATTERN_S: Final = 0.5
_MOST_PROBLEMS: Final = 3
_LONGEST_PROBLEM: Final = 200
_MOST_ATTEMPTS: Final = 20
"""At so many places JSON is looked for in a text around it."""
_FENCE: Final = "```"
_TOO_DEEP: Final = "it is nested too deeply"
_DEEPEST: Final = 40
_MOST_NESTED: Final = 100
"""Keywords inside of each other: some six calls each, and the caller has calls of its own."""


class TooMuchWork(Exception):
    """A check has exceeded its bounds."""


class AnswerChecker:
    """Checks answers against ``schema``, which is one that ``checked_schema`` returned. ``clock`` counts seconds."""

    def __init__(self, schema: Mapping[str, Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            from jsonschema import validators  # noqa: PLC0415 - an extra
            from referencing import Registry  # noqa: PLC0415
        except ImportError as error:
            raise missing_extra() from error
        kind = validators.validator_for(schema, default=validators.Draft202012Validator)
        self._work = _Work(clock)
        counted = {name: self._work.counted(keyword) for name, keyword in kind.VALIDATORS.items()}
        own = {name: self._work.counted(each) for name, each in _own(self._work).items() if name in counted}
        # An empty registry: the default one fetches what it does not know.
        self._validator: Any = validators.extend(kind, {**counted, **own})(
            schema, registry=Registry(), format_checker=_formats()
        )
        self._schema = schema
        self._last: tuple[str, CheckedAnswer] | None = None

    def __call__(self, text: str) -> CheckedAnswer:
        """Return the value in ``text`` that fits the schema; fences and words around it are passed over."""
        last = self._last
        if last is None or last[0] != text:
            # Another thread may check another text.
            self._last = last = text, self._checked(text)
        return last[1]

    def _checked(self, text: str) -> CheckedAnswer:
        self._work.begin(len(text))
        problem, not_json = "", ""
        for value in candidates(text):
            if isinstance(value, _NotJson):
                not_json = value.problem
                continue
            for reading in self._readings(value):
                found = self._problem(reading)
                if not found:
                    return CheckedAnswer(reading)
                problem = problem or found
        return CheckedAnswer(problem=problem or not_json)

    def fits(self, value: object) -> str:
        """Return the problem of a value, empty if it fits."""
        self._work.begin(len(json.dumps(value)))
        return self._problem(value)

    @property
    def is_circular(self) -> bool:
        """Whether the schema refers to itself without end: nothing is nested in an empty object."""
        return self.fits({}) == _TOO_DEEP

    def _readings(self, value: Any) -> Iterator[object]:
        """Yield a value as received, without the nulls strict mode demands, and out of its wrapping."""
        is_wrapped = isinstance(value, dict) and value.keys() == {WRAPPED}
        for reading in (value, value[WRAPPED]) if is_wrapped else (value,):
            yield reading
            try:
                pruned = self._without_nulls(reading, self._schema, 0)
            except TooMuchWork:
                return
            if pruned is not reading:
                yield pruned

    def _problem(self, value: object) -> str:
        try:
            errors = list(islice(self._validator.iter_errors(value), _MOST_PROBLEMS))
        except TooMuchWork:
            return "it cannot be checked against this schema in reasonable time"
        except RecursionError:
            return _TOO_DEEP
        except Exception as error:  # noqa: BLE001 - a reference that leads nowhere, arithmetic on huge numbers
            return f"it cannot be checked against this schema: {error!s:.100}"
        return "; ".join(map(_worded, errors))

    def _without_nulls(self, value: Any, schema: object, depth: int) -> Any:
        """Return ``value`` without the properties that are null, optional, and not allowed to be null."""
        self._work.spend()
        keywords = self._resolved(as_object(schema))
        if depth > _DEEPEST:
            return value
        for combining in ("anyOf", "oneOf", "allOf"):
            for each in keywords.get(combining) or ():
                value = self._without_nulls(value, each, depth + 1)
        if isinstance(value, list) and isinstance(keywords.get("items"), dict):
            pruned_items = [self._without_nulls(each, keywords["items"], depth + 1) for each in value]
            is_same = all(new is old for new, old in zip(pruned_items, value, strict=True))
            return value if is_same else pruned_items
        properties = keywords.get("properties")
        if not isinstance(value, dict) or not isinstance(properties, dict):
            return value
        required = keywords.get("required") or ()
        pruned = {
            name: self._without_nulls(each, properties.get(name), depth + 1)
            for name, each in value.items()
            if each is not None or name in required or self._takes_null(properties.get(name, {}))
        }
        is_same = len(pruned) == len(value) and all(pruned[name] is value[name] for name in pruned)
        return value if is_same else pruned

    def _takes_null(self, schema: object) -> bool:
        try:
            return bool(self._validator.evolve(schema=schema).is_valid(None))
        except Exception:  # noqa: BLE001 - as above; the check itself reports it
            return True

    def _resolved(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Return what a chain of references leads to."""
        for _ in range(_DEEPEST):
            target = keywords.get("$ref")
            if not isinstance(target, str):
                break
            keywords = as_object(pointed_at(self._schema, target))
        return keywords


class _Work(threading.local):
    """Counts the keywords checked for one answer; several may be checked at once, each in its thread.

    The depth is bounded, too: where Python's own limit is reached inside of a library in Rust, that panics.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps = 0
        self._depth = 0
        self._until_s = math.inf

    def begin(self, characters: int) -> None:
        self._depth = 0
        self._steps = _LEAST_STEPS + _STEPS_PER_CHARACTER * characters
        self._until_s = self._clock() + _LEAST_S + _S_PER_CHARACTER * characters

    def counted(self, keyword: Keyword) -> Keyword:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            self.spend()
            if self._depth >= _MOST_NESTED:
                raise RecursionError
            self._depth += 1
            try:
                yield from keyword(validator, value, instance, schema) or ()
            finally:
                self._depth -= 1

        return check

    def spend(self) -> None:
        """Count one step; raise ``TooMuchWork`` if there are none left."""
        self._steps -= 1
        if self._steps < 0 or (self._steps % 256 == 0 and self._clock() > self._until_s):
            raise TooMuchWork

    def matches(self, pattern: str, text: str) -> bool:
        """Return whether ``pattern`` is found in ``text``; each search is short, and all of them end with the time of the check."""
        import regex  # noqa: PLC0415 - only patterns need it

        left_s = min(_PATTERN_S, self._until_s - self._clock())
        if left_s <= 0:
            raise TooMuchWork
        try:
            return regex.search(pattern, text, timeout=left_s) is not None
        except TimeoutError as error:
            raise TooMuchWork from error


class _NotJson:
    def __init__(self, problem: str) -> None:
        self.problem = problem


def candidates(text: str) -> Iterator[object]:
    """Yield the JSON values ``text`` may mean, as a whole or with words around them; what is wrong with it, if it is none."""
    stripped = text.strip("\ufeff \t\r\n")
    try:
        yield STRICT_JSON.decode(stripped)
    except (ValueError, RecursionError) as error:
        yield _NotJson(_not_json(stripped, error))
    else:
        return
    if stripped.startswith(_FENCE) and stripped.endswith(_FENCE):
        inside = stripped.partition("\n")[2].removesuffix(_FENCE)
        try:
            yield STRICT_JSON.decode(inside.strip())
        except (ValueError, RecursionError):
            pass
        else:
            return
    at = 0
    for _ in range(_MOST_ATTEMPTS):
        at = min((place for mark in "{[" if (place := stripped.find(mark, at)) >= 0), default=-1)
        if at < 0:
            return
        try:
            value, at = STRICT_JSON.raw_decode(stripped, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield value


def pointed_at(root: Mapping[str, Any], reference: str) -> object:
    """Return what a local reference, such as ``#/$defs/city``, leads to, ``None`` if that is nothing."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    value: object = root
    for step in reference[2:].split("/"):
        value = as_object(value).get(step.replace("~1", "/").replace("~0", "~"))
    return value


def _not_json(text: str, error: Exception) -> str:
    if not text:
        return "it is empty"
    if isinstance(error, json.JSONDecodeError):
        if text.startswith(("{", "[", _FENCE)):
            return f"it is not valid JSON: {error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}"
        return "it is not JSON"
    return _TOO_DEEP if isinstance(error, RecursionError) else f"it is not JSON: {error}"


def _worded(error: Any) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    place = place.removeprefix(".")[:_LONGEST_PROBLEM]
    message = str(error.message)
    # The model and the person know JSON, not Python.
    for value in (error.instance, error.validator_value):
        python, written = repr(value), json.dumps(value, ensure_ascii=False)
        if not isinstance(value, str) and message.startswith(python):
            message = written + message.removeprefix(python)
        elif not isinstance(value, str) and message.endswith(python):
            message = message.removesuffix(python) + written
    message = " ".join(message.split())
    if len(message) > _LONGEST_PROBLEM:
        half = _LONGEST_PROBLEM // 2
        message = f"{message[:half]}…{message[-half:]}"
    return f"{place}: {message}" if place else message


def _error(message: str) -> Any:
    from jsonschema.exceptions import ValidationError  # noqa: PLC0415 - imported already

    return ValidationError(message)


def _pattern(work: _Work, _validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not work.matches(pattern, instance):
        yield _error(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    work: _Work, validator: Any, patterns: Any, instance: Any, _schema: Any
) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if work.matches(pattern, name):
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(
    work: _Work, validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [
        name
        for name in instance
        if name not in known and not any(work.matches(pattern, name) for pattern in patterns)
    ]
    if isinstance(wanted, dict):
        for name in others:
            yield from validator.descend(instance[name], wanted, path=name)
    elif not wanted and others:
        named = ", ".join(map(repr, others[:_MOST_PROBLEMS]))
        yield _error(f"additional properties are not allowed: {named}")


def _unique_items(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    # jsonschema compares each item with every other.
    if wanted and isinstance(instance, list) and len(set(map(_canonical, instance))) < len(instance):
        yield _error("has non-unique items")


def _canonical(value: object) -> str:
    return json.dumps(_with_whole_numbers(value), sort_keys=True)


def _with_whole_numbers(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_whole_numbers(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_whole_numbers(each) for name, each in value.items()}
    return value


def _own(work: _Work) -> Mapping[str, Keyword]:
    """Return keywords in place of those of jsonschema, which take any time a pattern takes, or quadratic time."""
    return {
        "pattern": partial(_pattern, work),
        "patternProperties": partial(_pattern_properties, work),
        "additionalProperties": partial(_additional_properties, work),
        "uniqueItems": _unique_items,
    }


_FORMATS: Final[Mapping[str, Callable[[str], object]]] = {
    "date": date.fromisoformat,
    "date-time": datetime.fromisoformat,
    "time": time_of_day.fromisoformat,
}


def _formats() -> Any:
    from jsonschema import FormatChecker  # noqa: PLC0415 - imported already

    checker = FormatChecker(formats=())

    def checking(read: Callable[[str], object]) -> Callable[[object], bool]:
        def check(value: object) -> bool:
            if isinstance(value, str):
                read(value)
            return True

        return check

    checker.checkers = {name: (checking(read), ValueError) for name, read in _FORMATS.items()}
    return checker
