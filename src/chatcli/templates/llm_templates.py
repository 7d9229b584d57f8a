"""Templates of ``llm``: YAML with a prompt, a system prompt, options, defaults and a schema.

The keys are those of https://llm.datasette.io/en/stable/templates.html. A template is text or a mapping; ``$name``
and ``${name}`` are variables, ``$input`` is the input, ``$$`` a dollar.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import ConfigurationError
from chatcli.templates.foreign_template import ForeignTemplate, described
from chatcli.templates.template import INPUT, Placeholder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chatcli.templates.template import Segment

_DEEPEST: Final = 40
_LONGEST_NUMBER_BITS: Final = 1_000
_DOLLARS: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)|\{(?P<braced>[_a-zA-Z][_a-zA-Z0-9]*)\})"
)
_NO_VALUE: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What PyYAML raises, as it comes, for values that are none: ``!!bool maybe``, ``!!int ""``."""
_OPTIONS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "reasoning_effort": "reasoning",
    "verbosity": "verbosity",
}
"""The options of models that are settings here, and the settings."""
_WHOLE: Final = frozenset({"max_tokens", "seed"})
_WORDS: Final = frozenset({"reasoning_effort", "verbosity"})
_TAKEN: Final = frozenset(
    {"name", "prompt", "system", "model", "options", "defaults", "extract", "schema_object"}
)
_REASONS: Final = {
    "functions": "Python code, which is not run",
    "tools": "tools of llm",
    "fragments": "attach them with -f",
    "system_fragments": "attach them with -f",
    "attachments": "attach them with -f",
    "attachment_types": "attach them with -f",
    "extract_last": "extract takes the first code block",
}
_LONGEST_SHOWN: Final = 60


def read_llm_template(name: str, text: str) -> ForeignTemplate:
    """Return the template in the YAML ``text``. Raise ``ConfigurationError`` if it is not one."""
    loaded = _loaded(name, text)
    table = {"prompt": loaded} if isinstance(loaded, str) else loaded
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"{name} is not a template of llm", hint="it is a text, or keys like prompt:"
        )
    left_out = [_left_out(str(key), value) for key, value in table.items() if key not in _TAKEN]
    prompt, system = (_text_at(name, table, key) for key in ("prompt", "system"))
    body, above = list(_segments(prompt)), list(_segments(system))
    settings: dict[str, Any] = described(prompt or system)
    if isinstance(table.get("model"), str):
        settings["model"] = table["model"]
    if any(isinstance(segment, Placeholder) for segment in above):
        left_out.append("the system prompt has variables: it is part of the text")
        body = [*above, "\n\n", *body]
    elif system.strip():
        settings["system"] = system.strip()
    if not prompt.strip():
        body.append(Placeholder(INPUT))
    settings |= _options(table.get("options"), left_out)
    schema = table.get("schema_object")
    if schema is not None and not _is_schema(schema):
        left_out.append("schema_object: not a JSON Schema")
        schema = None
    if table.get("extract") is True:
        if schema is None:
            settings["extract"] = True
        else:
            left_out.append("extract: the answer is JSON")
    defaults = dict(_defaults(table.get("defaults"), body, left_out))
    return ForeignTemplate(name, tuple(body), settings, defaults, tuple(left_out), schema)


def _loaded(name: str, text: str) -> object:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            "the package PyYAML is not installed",
            hint="install it in the checkout: pip install '.[yaml]'",
            code="missing_extra",
        ) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
        """Plain values only; neither aliases, which can multiply, nor many levels."""

        depth = 0

        def compose_node(self, parent: object, index: object) -> object:
            if self.check_event(yaml.AliasEvent) or self.depth >= _DEEPEST:
                raise yaml.YAMLError(f"it has aliases, or more than {_DEEPEST} levels")
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    def whole_number(loader: Any, node: object) -> object:
        number = loader.construct_yaml_int(node)
        if number.bit_length() > _LONGEST_NUMBER_BITS:
            raise yaml.YAMLError("it has a number that is too long")
        return number

    # Python does not write a number of more than 4,300 digits, but YAML reads one in hexadecimal.
    Loader.add_constructor("tag:yaml.org,2002:int", whole_number)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, *_NO_VALUE) as error:
        shown = " ".join(str(error).split())
        raise ConfigurationError(
            f"{name} is not valid YAML: {shown}", hint="have it checked by llm: llm templates show NAME"
        ) from error


def _left_out(key: str, value: object) -> str:
    reason = _REASONS.get(key, "no such setting here")
    shown = _shown(value) if key != "functions" else ""
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return f"{key} {shown} ({reason})" if shown else f"{key} ({reason})"


def _shown(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except TypeError:  # keys of YAML may be dates
        return str(value)


def _text_at(name: str, table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: {key} is not a text", hint="put it in quotes")
    return value


def _segments(text: str) -> Iterator[Segment]:
    at = 0
    for match in _DOLLARS.finditer(text):
        yield text[at : match.start()]
        yield "$" if match["dollar"] else Placeholder(match["name"] or match["braced"])
        at = match.end()
    yield text[at:]


def _options(options: object, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    if not isinstance(options, dict):
        return
    for key, value in options.items():
        if key in _OPTIONS and _fits(key, value):
            yield _OPTIONS[key], value
        else:
            left_out.append(_left_out(f"options.{key}", value))


def _fits(key: str, value: object) -> bool:
    if key in _WORDS:
        return isinstance(value, str)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (key not in _WHOLE and isinstance(value, float) and math.isfinite(value))


def _is_schema(value: object) -> bool:
    try:
        return isinstance(value, dict) and bool(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return False


def _defaults(defaults: object, body: list[Segment], left_out: list[str]) -> Iterator[tuple[str, str]]:
    used = {segment.name for segment in body if isinstance(segment, Placeholder)}
    for key, value in (defaults if isinstance(defaults, dict) else {}).items():
        if key in used and isinstance(value, str | int | float):
            yield str(key), str(value)
        else:
            left_out.append(_left_out(f"defaults.{key}", value))
