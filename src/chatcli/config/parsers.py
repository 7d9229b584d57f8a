"""Parsers from what a person wrote to a setting's value.

A parser takes a string (a flag, a variable) or a TOML value and returns the setting's value, or raises
``ValueError`` with what is allowed, worded to follow the name of the setting: "must be ..., not ...".
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

from chatcli.config.endpoints import MistypedValue, is_host_or_network, validated_url
from chatcli.config.key_bindings import key_changes
from chatcli.text.hints import SINGLE_QUOTES, did_you_mean
from chatcli.text.key_shapes import names_key, pasted_keys
from chatcli.text.lazy_pattern import lazy_pattern

Parser: TypeAlias = Callable[[object], object]

NO_PROFILE = "none"
NO_LOCAL_MODEL = "none"

PRICED = ("input", "cached", "output", "image", "audio", "written", "search")
"""The kinds of tokens that have prices."""

PERIODS = ("session", "day", "month", "prefetch")
"""The periods of budgets."""

THIS_MACHINE = "machine"
"""The value of ``limits`` without a server."""

ON = "on"
"""The value of a setting that is switched on without saying to what."""

_CACHES = ("off", "memory", "sqlite")
_SEARCHES = ("off", "auto", "options", "tool", "plugin")
_REDIS_SCHEMES = ("redis://", "rediss://")
_DURATION = lazy_pattern(r"\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[smhdw]?)\s*")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_COMMAND_HINT = 'no shell reads it; write a list of texts, like ["pass", "show", "openai"]'
_MOST_USD = 1_000_000
_LARGEST_WHOLE = 2**63 - 1
"""What endpoints, databases and arithmetic with fractions take."""
_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)


def text(value: object) -> str:
    if not isinstance(value, str):
        _refuse("text", value)
    # A variable or argument with a broken encoding contains lone surrogates, which no request can carry.
    if any("\ud800" <= character <= "\udfff" for character in value):
        _refuse("text in the terminal's encoding", value)
    return value


def prompt(value: object) -> str:
    shown = text(value)
    if not shown.isprintable():
        _refuse("one line of printable text", value)
    return shown


def name(value: object) -> str:
    stripped = text(value).strip()
    if not stripped:
        _refuse("a name", value)
    return stripped


def path(value: object) -> str:
    """Return the path of a file."""
    named = name(value)
    if any(character < " " for character in named):
        # In double quotes TOML reads the \t of C:\temp as a tab.
        raise MistypedValue("must be a path without tabs and line breaks", hint=SINGLE_QUOTES)
    return named


def profile(value: object) -> str | None:
    """Return the name of a profile; ``None`` for ``none``, which overrides the profile of config.toml."""
    chosen = name(value)
    return None if chosen == NO_PROFILE else chosen


def local_model(value: object) -> str | None:
    """Return the name of an embedded model or the path of its file; ``None`` for ``none``, which overrides other sources."""
    chosen = path(value)
    return None if chosen == NO_LOCAL_MODEL else chosen


def names(value: object) -> tuple[str, ...]:
    """Return names in order, from a list or a comma-separated text."""
    if isinstance(value, str):
        value = [item for item in value.split(",") if item.strip()]
    if not isinstance(value, list | tuple):
        _refuse("a list of names", value)
    return tuple(map(name, value))


def aliases(value: object) -> dict[str, str]:
    """Return names of models by their aliases. An alias has no blanks and commas: a question or another name follows."""
    if not isinstance(value, Mapping):
        _refuse('a table, [aliases] in config.toml: fast = "gpt-5-mini"', value)
    for alias, model in value.items():
        if (
            not alias
            or not alias.isprintable()
            or "," in alias
            or len(alias.split()) > 1
            or alias != alias.strip()
        ):
            raise ValueError(f"must have names without blanks and commas, not {alias!r}")
        if not isinstance(model, str) or not model.strip() or not model.isprintable():
            raise ValueError(f"{alias} must be the name of a model, not {reprlib.repr(model)}")
    return {alias: name(model) for alias, model in value.items()}


def hosts(value: object) -> tuple[str, ...]:
    """Return hosts, from a list or a comma-separated text: names, addresses or networks, without port and path."""
    found = names(value)
    for host in found:
        if not is_host_or_network(host):
            _refuse("host names, addresses or networks, like wiki.corp.example or 10.0.0.0/8", host)
    return found


def command(value: object) -> tuple[str, ...]:
    """Return a program and its arguments; none of them is repeated in an error."""
    if isinstance(value, str):
        raise MistypedValue("must be a list of texts, not one text", hint=_COMMAND_HINT)
    if not isinstance(value, list | tuple) or not value:
        raise MistypedValue("must be a list of texts", hint=_COMMAND_HINT)
    if not all(isinstance(word, str) and word.isprintable() for word in value) or not value[0].strip():
        raise MistypedValue(
            "must be a list of printable texts that begins with a program", hint=_COMMAND_HINT
        )
    program = Path(value[0])
    if program.name != value[0] and not (program.is_absolute() or value[0].startswith("~")):
        raise MistypedValue(
            "must begin with a program's name or whole path",
            hint="a path relative to the folder you are in could be anybody's program",
        )
    return tuple(value)


def url(value: object) -> str:
    return validated_url(text(value))


def limits(value: object) -> str:
    """Return where rate limits are shared: ``machine``, or the URL of a Redis server."""
    place = value.strip() if isinstance(value, str) else ""
    if place != THIS_MACHINE and not _is_redis_url(place):
        # The value may hold a password.
        raise ValueError(
            f"must be {THIS_MACHINE}, or a URL like redis://127.0.0.1:6379/0 (rediss:// with encryption)"
        )
    return place


def switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = _SWITCH.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        _refuse("true or false (1/0, yes/no, on/off)", value)
    return known


def any_but_zero(value: object) -> bool:
    """Return the value of a variable such as ``ACCESSIBLE``, where anything but zero means yes."""
    return text(value).strip() != "0"


def choice(*allowed: str) -> Parser:
    """Return a parser for one of several words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            _refuse(_either(allowed), value)
        return value

    return parse


def whole_number(low: int, high: int | None = None) -> Parser:
    """Return a parser for an integer from ``low`` to ``high``, inclusive."""

    def parse(value: object) -> int:
        number = _integer(value)
        if number is not None and number > _LARGEST_WHOLE:
            _refuse(f"a whole number {_span(low, high or _LARGEST_WHOLE)}", value)
        if number is None or number < low or (high is not None and number > high):
            _refuse(f"a whole number {_span(low, high)}", value)
        return number

    return parse


def number(low: float, high: float) -> Parser:
    """Return a parser for a number from ``low`` to ``high``, inclusive."""

    def parse(value: object) -> float:
        number = _float(value)
        if number is None or not low <= number <= high:
            _refuse(f"a number {_span(low, high)}", value)
        return number

    return parse


def duration(low_s: float, high_s: float) -> Parser:
    """Return a parser for a time from ``low_s`` to ``high_s`` seconds, as a number or with a unit."""

    def parse(value: object) -> float:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        time_s = _float(value) if match is None else float(match["number"]) * _UNITS_S[match["unit"]]
        if time_s is None or not low_s <= time_s <= high_s:
            _refuse(f"a time from {low_s:g} s to {high_s / _UNITS_S['d']:g} d, like 30m, 12h or 7d", value)
        return time_s

    return parse


def cache(value: object) -> str:
    """Return ``on``, ``off``, ``memory``, ``sqlite`` or the URL of a Redis server, whose password no error repeats."""
    if isinstance(value, bool):
        return ON if value else _CACHES[0]
    written = value.strip() if isinstance(value, str) else ""
    if (switched := _SWITCH.get(written.lower())) is not None:
        return ON if switched else _CACHES[0]
    if written.lower() in _CACHES:
        return written.lower()
    if not _is_redis_url(written):
        raise ValueError(
            "must be off, memory, sqlite, or a URL like redis://127.0.0.1:6379/0 (rediss:// with encryption)"
        )
    return written


def web_search(value: object) -> str:
    """Return ``on``, ``off``, ``auto`` or the form in which the endpoint is asked to search."""
    switched = value if isinstance(value, bool) else _SWITCH.get(text(value).strip().lower())
    if switched is not None:
        return ON if switched else _SEARCHES[0]
    return str(choice(*_SEARCHES)(value))


def _is_redis_url(written: str) -> bool:
    """Return whether a URL names a server and at most a database: parameters behind it would change the client."""
    if not (written.isascii() and written.isprintable()) or " " in written:
        return False
    try:
        parts = urlsplit(written)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    number = parts.path.removeprefix("/")
    return (
        has_port
        and written.startswith(_REDIS_SCHEMES)
        and bool(parts.hostname)
        and not (parts.query or parts.fragment)
        and (not number or number.isdecimal())
    )


def amount_usd(value: object) -> float:
    number = _float(value)
    if number is None or not 0 <= number <= _MOST_USD:
        _refuse("an amount of US dollars, like 0.25", value)
    return number


def body_values(value: object) -> dict[str, Any]:
    """Return extra values for the request body by key.

    Accepts a table, a JSON object as text, or the ``KEY=VALUE`` texts of repeated ``-O``, whose values are
    JSON or else strings.
    """
    if isinstance(value, str):
        table = _json_or_text(value)
    elif isinstance(value, Iterable) and not isinstance(value, Mapping):
        table = dict(_assignment(text(item)) for item in value)
    else:
        table = value
    if not isinstance(table, Mapping):
        _refuse("a table of values (in a variable: a JSON object)", value)
    try:
        json.dumps(table, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("must contain JSON values only: no dates, no infinite numbers") from error
    return dict(table)


def keys(value: object) -> dict[str, tuple[str, ...]]:
    """Return the keys of the actions in ``[keys]``; see ``key_changes``."""
    if not isinstance(value, Mapping):
        _refuse("a table, [keys] in config.toml", value)
    return key_changes(value)


def prices(value: object) -> dict[str, dict[str, float]]:
    """Return prices in US dollars per million tokens: kinds of tokens by model."""
    if not isinstance(value, Mapping):
        _refuse('tables of prices, like [prices."gpt-5-mini"]', value)
    return {model: _amounts(row, PRICED, f'"{model}" ') for model, row in value.items()}


def budget(value: object) -> dict[str, float]:
    """Return the limits of spending in US dollars, by period; ``prefetch`` is what a run may spend on questions not yet asked."""
    return _amounts(value, PERIODS)


def _amounts(value: object, known: tuple[str, ...], whose: str = "") -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{whose}must be a table of amounts: {', '.join(known)}")  # noqa: TRY004 - as every parser
    amounts = {}
    for name, amount in value.items():
        if name not in known:
            raise ValueError(f"{whose}has no {name}; {did_you_mean(name, known)}")
        try:
            amounts[name] = amount_usd(amount)
        except ValueError as error:
            raise ValueError(f"{whose}{name} {error}") from error
    return amounts


def _assignment(item: str) -> tuple[str, Any]:
    body_key, equals, value = item.partition("=")
    if names_key(body_key) or pasted_keys(item.lower()):
        # Every program of this machine can read the command line.
        raise MistypedValue(
            "must not hold a key",
            hint="use chatcli config login, OPENAI_API_KEY, or key_command in config.toml",
        )
    if not equals or not body_key.strip():
        _refuse("KEY=VALUE", item)
    return body_key.strip(), _json_or_text(value)


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _span(low: float, high: float | None) -> str:
    return f"of at least {low}" if high is None else f"from {low} to {high}"


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _refuse(allowed: str, value: object) -> NoReturn:
    raise ValueError(f"must be {allowed}, not {reprlib.repr(value)}")
