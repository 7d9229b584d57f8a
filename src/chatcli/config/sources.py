"""One place settings come from: the flags, a set of variables, or a table of config.toml.

Every value is checked, also one that a higher source overrides: a mistake is told where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.config.credentials import Credential, bind
from chatcli.config.endpoints import MistypedValue
from chatcli.config.paths import PATH_VARIABLES
from chatcli.config.specs import SETTINGS_BY_NAME, SETTINGS_BY_VARIABLE, Setting
from chatcli.config.suggestions import did_you_mean
from chatcli.core.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.config.env_file import EnvFile
    from chatcli.config.parsers import Parser

_PREFIX = "CHATCLI_"
_MOST_NUMBERS: Final = 5
_URLS_OF_KEYS = {
    "CHATCLI_API_KEY": ("CHATCLI_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "OPENAI_API_KEY": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
}
"""A key goes to the first of these URLs that is set beside it, otherwise to OpenAI."""
_COMMANDS: Final = {
    "context": "/context",
    "model": "/model",
    "profile": "/profile",
    "show_reasoning": "/reasoning",
    "theme": "/theme",
}
"""What changes a setting while one talks, where it is not ``/config``."""
URL_VARIABLES: Final = frozenset(SETTINGS_BY_NAME["base_url"].variables)


@dataclass(frozen=True, slots=True)
class FoundSetting:
    """A checked value of the type its setting has, and where it stood."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """What one place says: settings by name, the keys bound to their endpoints, and what was odd.

    ``missing_keys`` tells of keys the place points to that are not there.
    """

    found: Mapping[str, FoundSetting]
    credentials: tuple[Credential, ...] = ()
    warnings: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = ()


def flag_source(flags: Mapping[str, object], *, by_setting: bool = False) -> SettingsSource:
    """Read the command line: values by the name of their setting; ``None`` is a flag not given.

    A mistake names the flag, or ``by_setting`` the setting.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    return SettingsSource(
        {
            name: _read_flag(SETTINGS_BY_NAME[name], value, by_setting=by_setting)
            for name, value in given.items()
        }
    )


def change_source(changes: Mapping[str, object]) -> SettingsSource:
    """Read what commands of a conversation have changed, as ``flag_source`` reads flags."""
    return SettingsSource(
        {
            name: FoundSetting(found.value, f"command {_COMMANDS.get(name, '/config')}")
            for name, found in flag_source(changes, by_setting=True).found.items()
        }
    )


def variable_source(place: str, variables: Mapping[str, str]) -> SettingsSource:
    """Read ``CHATCLI_*`` and ``OPENAI_*`` of an environment or an env file; an empty variable is not set."""
    given = {
        variable: _read(setting.parser_of(variable), variables[variable], f"{place} {variable}")
        for variable, setting in SETTINGS_BY_VARIABLE.items()
        if variables.get(variable)
    }
    found: dict[str, FoundSetting] = {}
    for variable, value in given.items():
        found.setdefault(SETTINGS_BY_VARIABLE[variable].name, value)
    return SettingsSource(found, _keys_of_variables(given), _unknown_variables(place, variables))


def env_file_source(place: str, file: EnvFile) -> SettingsSource:
    """Read an env file that is trusted."""
    source = variable_source(place, file.variables)
    warnings = odd_lines(place, file)
    if source.credentials and names_unread_endpoint(file):
        # Left to themselves, the keys would go to another place than the one beside them.
        source = replace(source, credentials=())
        warnings += (f"the key in {place} is not used: the line with its base_url is unreadable",)
    return replace(source, warnings=(*warnings, *source.warnings))


def names_unread_endpoint(file: EnvFile) -> bool:
    """Tell whether one of the lines that cannot be read names an endpoint."""
    return not URL_VARIABLES.isdisjoint(file.odd_names)


def odd_lines(place: str, file: EnvFile) -> tuple[str, ...]:
    """Return a line about the lines that cannot be read, where there are any."""
    if not file.odd_lines:
        return ()
    numbers = ", ".join(map(str, file.odd_lines[:_MOST_NUMBERS]))
    more = " …" if len(file.odd_lines) > _MOST_NUMBERS else ""
    lines = "line" if len(file.odd_lines) == 1 else "lines"
    return (
        f"{place}: ignored {lines} {numbers}{more}, which cannot be read (check the quotes and the encoding)",
    )


def table_source(
    place: str,
    table: Mapping[str, object],
    environment: Mapping[str, str],
    *,
    outer_base_url: str | None = None,
    hint: str | None = None,
) -> SettingsSource:
    """Read a table of config.toml whose keys are known.

    A key without a ``base_url`` beside it belongs to ``outer_base_url``. ``api_key_env`` names a variable of
    ``environment``. ``hint`` goes with the error about a value.
    """
    found = {
        name: FoundSetting(_parse(SETTINGS_BY_NAME[name].parse, value, f"{place} {name}", hint), place)
        for name, value in table.items()
    }
    base_url = found["base_url"].value if "base_url" in found else outer_base_url
    keys = [FoundSetting(found["api_key"].value, f"{place} api_key")] if "api_key" in found else []
    missing = []
    if pointer := found.get("api_key_env"):
        pointed = f"{place} api_key_env {pointer.value}"
        if value := environment.get(pointer.value):
            keys.append(_read(SETTINGS_BY_NAME["api_key"].parse, value, pointed))
        else:
            missing.append(f"{pointed} is not set")
    return SettingsSource(
        found, tuple(bind(key.value, base_url, key.origin) for key in keys), missing_keys=tuple(missing)
    )


def _read_flag(setting: Setting, value: object, *, by_setting: bool) -> FoundSetting:
    flag = setting.flag or f"--{setting.name.replace('_', '-')}"
    try:
        return FoundSetting(setting.parse(value), f"flag {flag}")
    except ValueError as error:
        raise UsageError(f"{setting.name if by_setting else flag} {error}", hint=_hint(error)) from error


def _read(parse: Parser, value: object, origin: str) -> FoundSetting:
    return FoundSetting(_parse(parse, value, origin), origin)


def _parse(parse: Parser, value: object, where: str, hint: str | None = None) -> object:
    try:
        return parse(value)
    except ValueError as error:
        raise ConfigurationError(f"{where} {error}", hint=_hint(error) or hint) from error


def _hint(error: ValueError) -> str | None:
    return error.hint if isinstance(error, MistypedValue) else None


def _keys_of_variables(given: Mapping[str, FoundSetting]) -> tuple[Credential, ...]:
    return tuple(
        bind(given[variable].value, _first_url(given, urls), given[variable].origin)
        for variable, urls in _URLS_OF_KEYS.items()
        if variable in given
    )


def _first_url(given: Mapping[str, FoundSetting], variables: tuple[str, ...]) -> str | None:
    return next((given[variable].value for variable in variables if variable in given), None)


def _unknown_variables(place: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    known = [name for name in (*SETTINGS_BY_VARIABLE, *PATH_VARIABLES) if name.startswith(_PREFIX)]
    # A name that is no identifier may be made to deceive a terminal.
    unknown = (name for name in variables if name.startswith(_PREFIX) and name.isidentifier())
    return tuple(
        f"{place} {name} is not a setting; {did_you_mean(name, known)}"
        for name in sorted(unknown)
        if name not in known
    )
