"""Reading the sources of settings: flags, changes in a conversation, variables, env files, tables of config.toml."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.config.credentials import Credential, bind
from chatcli.config.endpoints import OPENAI_URL, MistypedValue, origin_of
from chatcli.config.env_files import names_unread_endpoint, odd_lines
from chatcli.config.paths import NO_LAZY_IMPORT, PATH_VARIABLES
from chatcli.config.settings import PARSERS_BY_VARIABLE, SETTINGS_BY_NAME, SETTINGS_BY_VARIABLE
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.frozen import frozen
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.config.env_files import EnvFile
    from chatcli.config.key_commands import KeyCommands
    from chatcli.config.parsers import Parser
    from chatcli.config.setting_fields import Setting

_PREFIX = "CHATCLI_"
_URLS_OF_KEYS = {
    "CHATCLI_API_KEY": ("CHATCLI_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "OPENAI_API_KEY": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
}
"""A key belongs to the first of these URLs that is set beside it, otherwise to OpenAI."""
_COMMANDS: Final = {
    "context": "/context",
    "model": "/model",
    "profile": "/profile",
    "show_reasoning": "/reasoning",
    "theme": "/theme",
}
"""The commands that change settings in a conversation, other than ``/config``."""


@frozen
class FoundSetting:
    """A value of the setting's type, and its origin."""

    value: Any
    origin: str


@frozen
class SettingsSource:
    """The content of one source: settings by name, keys bound to their endpoints, and warnings.

    ``missing_keys`` describes keys the source refers to that do not exist.
    """

    found: Mapping[str, FoundSetting]
    credentials: tuple[Credential, ...] = ()
    warnings: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = ()


def flag_source(flags: Mapping[str, object], *, by_setting: bool = False) -> SettingsSource:
    """Read the command line: values by setting; ``None`` is a flag that was not given.

    Errors name the flag, or the setting if ``by_setting``.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if unknown := [name for name in given if name not in SETTINGS_BY_NAME]:
        raise UsageError(
            f"{unknown[0]} is not a setting", hint=did_you_mean(unknown[0], list(SETTINGS_BY_NAME))
        )
    return SettingsSource(
        {
            name: _read_flag(SETTINGS_BY_NAME[name], value, by_setting=by_setting)
            for name, value in given.items()
        }
    )


def change_source(changes: Mapping[str, object]) -> SettingsSource:
    """Read the changes of commands in a conversation, as ``flag_source`` reads flags."""
    return SettingsSource(
        {
            name: FoundSetting(found.value, f"command {_COMMANDS.get(name, '/config')}")
            for name, found in flag_source(changes, by_setting=True).found.items()
        }
    )


def variable_source(place: str, variables: Mapping[str, str]) -> SettingsSource:
    """Read ``CHATCLI_*`` and ``OPENAI_*`` of an environment or an env file; empty variables are unset."""
    given = {
        variable: _read(parse, variables[variable], f"{place} {variable}")
        for variable, parse in PARSERS_BY_VARIABLE.items()
        if variables.get(variable)
    }
    found: dict[str, FoundSetting] = {}
    for variable, value in given.items():
        found.setdefault(SETTINGS_BY_VARIABLE[variable].name, value)
    return SettingsSource(found, _keys_of_variables(given), _unknown_variables(place, variables))


def env_file_source(place: str, file: EnvFile) -> SettingsSource:
    """Read a trusted env file."""
    source = variable_source(place, file.variables)
    warnings = odd_lines(place, file)
    if source.credentials and names_unread_endpoint(file):
        # Alone, the keys would be bound to another endpoint than the one beside them.
        source = replace(source, credentials=())
        warnings += (f"the key in {place} is not used: the line with its base_url is unreadable",)
    return replace(source, warnings=(*warnings, *source.warnings))


def table_source(
    place: str,
    table: Mapping[str, object],
    environment: Mapping[str, str],
    commands: KeyCommands | None = None,
    *,
    outer_base_url: str | None = None,
    hint: str | None = None,
) -> SettingsSource:
    """Read a table of config.toml whose keys are known.

    A key without a ``base_url`` beside it belongs to ``outer_base_url``. ``api_key_env`` names a variable of
    ``environment``; ``commands`` runs ``key_command``, the last of the three. ``hint`` is added to errors about a value.
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
    if (command := found.get("key_command")) and commands is not None:
        secret = commands.secret(command.value, origin_of(base_url or OPENAI_URL))
        keys.append(FoundSetting(secret, f"{place} key_command {secret.command}"))
    return SettingsSource(
        found, tuple(bind(key.value, base_url, key.origin) for key in keys), missing_keys=tuple(missing)
    )


def _read_flag(setting: Setting, value: object, *, by_setting: bool) -> FoundSetting:
    flag = setting.flag or f"--{setting.name.replace('_', '-')}"
    if setting.name == "key_command":
        raise UsageError("key_command is only read from config.toml", hint="write it there")
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
    settings = (*SETTINGS_BY_VARIABLE, *PATH_VARIABLES, NO_LAZY_IMPORT)
    known = [name for name in settings if name.startswith(_PREFIX)]
    # A name that is not an identifier may be crafted to deceive a terminal.
    given = (name for name in variables if name.startswith(_PREFIX) and name.isidentifier())
    unknown = [name for name in sorted(given) if name not in known]
    return tuple(f"{place} {name} is not a setting; {did_you_mean(name, known)}" for name in unknown)
