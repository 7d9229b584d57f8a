"""Settings for display: the rows of ``chatcli config show``, and what trusting an env file would set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from chatcli.config.config_file import beginning
from chatcli.config.endpoints import origin_of, password_of
from chatcli.config.env_files import known_variables
from chatcli.config.instructions import (
    FOLDER_FILE,
    PERSONAL_FILE,
    folder_instructions,
    personal_instructions,
)
from chatcli.config.key_commands import program_of
from chatcli.config.paths import DOT_ENV
from chatcli.config.settings import PARSERS_BY_VARIABLE, SETTINGS, SETTINGS_BY_VARIABLE
from chatcli.config.sources import env_file_source
from chatcli.core.errors import ConfigurationError
from chatcli.text.key_shapes import names_key, pasted_keys
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from chatcli.config.env_files import EnvFile
    from chatcli.config.instructions import Instructions
    from chatcli.config.paths import Paths
    from chatcli.config.settings import Settings

_NOT_SET = "not set"
_KEY = "api_key"
_MAY_HOLD_PASSWORDS = {"cache", "limits"}


class Row(NamedTuple):
    """A setting for display; keys are masked."""

    name: str
    value: str
    origin: str


def rows(settings: Settings, redact: Callable[[str], str]) -> tuple[Row, ...]:
    """Return one row per setting, in the order of the table. ``redact`` removes keys from all but the masked key."""
    return tuple(
        Row(
            setting.name,
            _shown_key(settings) if setting.name == _KEY else redact(_shown(settings, setting.name)),
            settings.shown_origin(setting.name),
        )
        for setting in SETTINGS
    )


def instruction_rows(settings: Settings, paths: Paths, folder: Path | None) -> Iterator[Row]:
    """Yield a row for each file of standing instructions there is."""
    try:
        own = personal_instructions(paths)
    except ConfigurationError as error:
        yield Row(PERSONAL_FILE, error.message, str(paths.config / PERSONAL_FILE))
    else:
        if own is not None:
            yield _instructions(own)
    if not settings.agents_md or folder is None:
        return
    try:
        of_folder, is_trusted = folder_instructions(folder, paths)
    except ConfigurationError as error:
        yield Row(FOLDER_FILE, f"ignored: {error.message}", str(folder / FOLDER_FILE))
    else:
        if of_folder is not None:
            yield _instructions(of_folder, "" if is_trusted else "not used (use it: chatcli trust)")


def _instructions(found: Instructions, state: str = "") -> Row:
    return Row(found.path.name, state or counted(len(found.text), "character"), str(found.path))


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if name == "alerts":
        # Their commands and webhooks may hold secrets.
        return "the built-in rules" if value is None else ", ".join(rule.name for rule in value) or "off"
    if value is None:
        return _NOT_SET
    if name == "key_command":
        return program_of(value) + (" …" if len(value) > 1 else "")
    if name in _MAY_HOLD_PASSWORDS:
        return _without_password(value)
    return value if isinstance(value, str) else json.dumps(_without_keys(value), ensure_ascii=False)


def _without_password(url: str) -> str:
    password = password_of(url)
    return url if password is None else url.replace(f":{password}@", ":…@", 1)


def _without_keys(value: object) -> object:
    """Return a JSON value with the keys masked that some gateways take in the body of a request."""
    match value:
        case Mapping():
            return {name: "…" if names_key(name) else _without_keys(inner) for name, inner in value.items()}
        case list():
            return [_without_keys(inner) for inner in value]
        case str() if pasted_keys(value.lower()):
            return "…"
        case _:
            return value


def _shown_key(settings: Settings) -> str:
    if settings.credential is not None:
        return str(settings.credential.secret)
    return "; ".join([_NOT_SET, *(credential.withheld_notice for credential in settings.withheld)])


class Change(NamedTuple):
    """A variable pending trust, with its value as far as a person needs it; keys are hidden."""

    name: str
    value: str


def changes(file: EnvFile) -> tuple[Change, ...]:
    """Return what trusting the file would set. Raise ``ConfigurationError`` for an invalid value."""
    source = env_file_source(DOT_ENV, file)
    places = {credential.source: str(credential.endpoint_origin) for credential in source.credentials}
    return tuple(
        Change(name, _shown_variable(name, file.variables[name], places))
        for name in known_variables(file)
        if not SETTINGS_BY_VARIABLE[name].harmless
    )


def _shown_variable(name: str, text: str, places: dict[str, str]) -> str:
    setting = SETTINGS_BY_VARIABLE[name]
    if setting.name == "api_key":
        place = places.get(f"{DOT_ENV} {name}")
        return f"a key for {place}" if place else "a key that is not used"
    value = PARSERS_BY_VARIABLE[name](text)
    match setting.name, value:
        case "base_url", str(url):
            return str(origin_of(url))
        case "options", dict(options):
            # Their values may be secret; their names say enough.
            return beginning(_listed(options))
        case "system", _:
            shown = beginning(text)
            return shown if shown == text else f"{shown} ({len(text):,} characters)"
        case _, tuple(names):
            return beginning(_listed(names))
        case _:
            return beginning(_without_password(text) if setting.name in _MAY_HOLD_PASSWORDS else text)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
