"""A ``.env`` that merely lies in the working folder may have come with somebody's repository.

Until the person trusts it, it may say which model answers and how, and bring a key to one who has none. It may not say
where requests go, what the model is told, what is kept and what is spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.profiles import beginning
from chatcli.config.sources import (
    URL_VARIABLES,
    SettingsSource,
    env_file_source,
    names_unread_endpoint,
    odd_lines,
    variable_source,
)
from chatcli.config.specs import SETTINGS_BY_NAME, SETTINGS_BY_VARIABLE
from chatcli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from chatcli.config.env_file import EnvFile

PLACE: Final = ".env"
"""How a value from the ``.env`` of the working folder names where it comes from."""

_KEYS: Final = frozenset(SETTINGS_BY_NAME["api_key"].variables)


@dataclass(frozen=True, slots=True)
class Untrusted:
    """What the ``.env`` of ``folder`` with this content sets beyond what it may: the names of known variables."""

    folder: Path
    sha256: str
    names: tuple[str, ...]

    @property
    def notice(self) -> str:
        return f"not used from .env: {', '.join(self.names)} (use it: chatcli trust, or --env-file .env)"


class Change(NamedTuple):
    """A variable that waits for trust, and as much of its value as a person needs to see; of a key, nothing."""

    name: str
    value: str


def confine(
    file: EnvFile, *, has_other_key: bool, base_url: str | None
) -> tuple[SettingsSource, tuple[str, ...]]:
    """Return what an untrusted file may set, and the names of known variables that wait for trust.

    ``has_other_key`` says that a key comes from elsewhere, ``base_url`` is the endpoint set elsewhere. A value that
    cannot be is left out with a warning: nobody named this file, so it must not stop anybody.
    """
    names_endpoint = names_unread_endpoint(file) or not URL_VARIABLES.isdisjoint(file.variables)
    is_default = base_url is None or origin_of(base_url) == origin_of(OPENAI_URL)
    may_bring_key = is_default and not (names_endpoint or has_other_key)
    kept: dict[str, str] = {}
    warnings = list(odd_lines(PLACE, file))
    waiting = []
    for name in _known(file):
        if not (SETTINGS_BY_VARIABLE[name].harmless or (name in _KEYS and may_bring_key)):
            waiting.append(name)
            continue
        try:
            variable_source(PLACE, {name: file.variables[name]})
        except ConfigurationError as error:
            warnings.append(f"ignored: {error.message}")
        else:
            kept[name] = file.variables[name]
    source = variable_source(PLACE, kept)
    return SettingsSource(source.found, source.credentials, tuple(warnings)), tuple(waiting)


def changes(file: EnvFile) -> tuple[Change, ...]:
    """Return what trusting the file lets it set. Raises ``ConfigurationError`` for a value that cannot be."""
    source = env_file_source(PLACE, file)
    places = {credential.source: str(credential.endpoint_origin) for credential in source.credentials}
    return tuple(
        Change(name, _shown(name, file.variables[name], places))
        for name in _known(file)
        if not SETTINGS_BY_VARIABLE[name].harmless
    )


def _known(file: EnvFile) -> Iterator[str]:
    return (name for name in SETTINGS_BY_VARIABLE if name in file.variables)


def _shown(name: str, text: str, places: dict[str, str]) -> str:
    if name in _KEYS:
        place = places.get(f"{PLACE} {name}")
        return f"a key for {place}" if place else "a key that is not used"
    setting = SETTINGS_BY_VARIABLE[name]
    value = setting.parser_of(name)(text)
    match setting.name, value:
        case "base_url", str(url):
            return str(origin_of(url))
        case "options", dict(options):
            # Their values may be secrets; their names say what they are about.
            return beginning(_listed(options))
        case "system", _:
            shown = beginning(text)
            return shown if shown == text else f"{shown} ({len(text):,} characters)"
        case _, tuple(names):
            return beginning(_listed(names))
        case _:
            return beginning(text)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
