"""``[[alerts]]`` of config.toml: the rules of alerts, each a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from chatcli.config import parsers
from chatcli.config.endpoints import MistypedValue
from chatcli.core.alert_rules import (
    BELL,
    DESKTOP,
    METRICS,
    SUCCESS_RATE,
    TOOLBAR,
    AlertRule,
    usual_recovery,
)
from chatcli.text.hints import did_you_mean
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.config.parsers import Parser

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
_USUAL_WINDOW_S: Final = 15 * _MINUTE_S
_LONGEST_WINDOW_S: Final = 31 * _DAY_S
_MOST_CALLS: Final = 1_000_000
_LARGEST: Final = 10**12
_LONGEST_NAME: Final = 60
_MOST_RULES: Final = 100
_PERCENT: Final = lazy_pattern(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")
_NOTIFY: Final = (TOOLBAR, BELL, DESKTOP)
_OFF: Final = frozenset({"off", "no", "false", "0"})


def alert_rules(value: object) -> tuple[AlertRule, ...]:
    """Return the rules in a list of tables; none for ``off``."""
    if value is False or (isinstance(value, str) and value.strip().lower() in _OFF):
        return ()
    if isinstance(value, tuple) and all(isinstance(rule, AlertRule) for rule in value):
        return value
    if not isinstance(value, list) or not all(isinstance(table, Mapping) for table in value):
        raise ValueError("must be off, or tables [[alerts]] in config.toml")
    if len(value) > _MOST_RULES:
        raise ValueError(f"must be at most {_MOST_RULES} rules")
    rules: list[AlertRule] = []
    for number, table in enumerate(value, 1):
        rule = _rule(table, f"rule {number}", {rule.name for rule in rules})
        same = next((other for other in rules if other.key == rule.key), None)
        if same is not None:
            raise ValueError(f"rule {number} has the same condition as {same.name}; make one rule of them")
        rules.append(rule)
    return tuple(rules)


def _rule(table: Mapping[str, Any], place: str, taken: Iterable[str]) -> AlertRule:
    """Return the rule in a table of config.toml. Raise ``ValueError`` that says in which place it is wrong."""
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"{place} has no {key!r}; {did_you_mean(key, _KEYS)}")
    for key in ("metric", "threshold"):
        if key not in table:
            raise ValueError(f"{place} needs a {key}")
    given = {key: _parsed(_KEYS[key], value, f"{place} {key}") for key, value in table.items()}
    metric = given["metric"]
    limit = _limit_of(metric)
    threshold = _parsed(limit, table["threshold"], f"{place} threshold")
    recover = usual_recovery(metric, threshold)
    if "recover" in table:
        recover = _parsed(limit, table["recover"], f"{place} recover")
    if (recover < threshold) if metric == SUCCESS_RATE else (recover > threshold):
        side = "at least" if metric == SUCCESS_RATE else "at most"
        raise ValueError(f"{place} recover must be {side} the threshold, {threshold:g}")
    name = given.get("name") or _free_name(metric.replace("_", "-"), taken)
    if name in taken:
        raise ValueError(f"{place} is named {name!r} like another one; names must differ")
    return AlertRule(
        name=name,
        metric=metric,
        window_s=given.get("window", _USUAL_WINDOW_S),
        threshold=threshold,
        recover=recover,
        minimum_calls=given.get("minimum_calls", METRICS[metric].minimum_calls),
        model=given.get("model"),
        endpoint=given.get("endpoint"),
        notify=given.get("notify", (TOOLBAR,)),
        command=given.get("command", ()),
        webhook=given.get("webhook"),
    )


def _parsed(parse: Parser, value: object, place: str) -> Any:
    try:
        return parse(value)
    except MistypedValue as error:
        raise MistypedValue(f"{place} {error}", hint=error.hint) from error
    except ValueError as error:
        raise ValueError(f"{place} {error}") from error


def _free_name(name: str, taken: Iterable[str]) -> str:
    names = set(taken)
    return next(
        each for each in (name, *(f"{name}-{n}" for n in range(2, len(names) + 3))) if each not in names
    )


def _name(value: object) -> str:
    name = parsers.name(value)
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError(f"must be one line of at most {_LONGEST_NAME} printable characters")
    return name


def _anything(value: object) -> object:
    return value


def _limit_of(metric: str) -> Parser:
    if metric == SUCCESS_RATE:
        return _share
    return _seconds if metric.endswith("_s") else parsers.number(0, _LARGEST)


def _share(value: object) -> float:
    """Return a share from 0 to 1, also written as ``"90%"``."""
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    share = float(percent[1]) / 100 if percent else value
    try:
        return float(parsers.number(0, 1)(share))  # type: ignore[arg-type]  # it returns a float
    except ValueError:
        raise ValueError(f'must be a share from 0 to 1, like 0.9 or "90%", not {value!r}') from None


def _seconds(value: object) -> float:
    return float(parsers.duration(0, _DAY_S)(value))  # type: ignore[arg-type]  # it returns a float


def _endpoint(value: object) -> str:
    """Return a host, with its port if it is not the usual one; of an address, its host is meant."""
    named = parsers.name(value).lower()
    try:
        host = urlsplit(named if "://" in named else f"//{named}").netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    if not host or not host.isprintable():
        raise ValueError(f"must be a host, like api.openai.com, not {value!r}")
    return host


def _notify(value: object) -> tuple[str, ...]:
    places = parsers.names(value)
    for place in places:
        if place not in _NOTIFY:
            raise ValueError(f"has no {place!r}; {did_you_mean(place, _NOTIFY)}")
    return tuple(dict.fromkeys(places))


def _webhook(value: object) -> str:
    """Return the address of a webhook. It often holds a secret, so no error repeats it."""
    url = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(url)
        is_address = (
            parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_address = False
    if not is_address or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("must be an address that begins with https://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or a password")
    return url


_KEYS: Final[Mapping[str, Parser]] = {
    "name": _name,
    "metric": parsers.choice(*METRICS),
    "window": parsers.duration(_MINUTE_S, _LONGEST_WINDOW_S),
    "threshold": _anything,
    "recover": _anything,
    "minimum_calls": parsers.whole_number(0, _MOST_CALLS),
    "model": parsers.name,
    "endpoint": _endpoint,
    "notify": _notify,
    "command": parsers.command,
    "webhook": _webhook,
}
