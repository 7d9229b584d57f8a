"""Resolving settings: from all their sources to the values in force.

Every value is validated, even an overridden one, so that mistakes are reported at their origin. Changes made
in a conversation, including a change of profile, have the highest precedence, as they are the newest. Then
come flags, a template, the environment, ``--env-file``, the working folder's ``.env`` as far as it is
trusted, the profile, and the top level of config.toml. Keys stored with ``chatcli config login`` have the
lowest precedence of all keys.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from chatcli.config.config_file import FILE_NAME, ConfigFile, profile_place, read_config_file
from chatcli.config.credentials import Credential, StoredKeys, bind, choose, system_keyring
from chatcli.config.endpoints import OPENAI_URL, MistypedValue, origin_of
from chatcli.config.env_files import (
    TrustedFolders,
    names_unread_endpoint,
    odd_lines,
    permitted,
    read_env_file,
)
from chatcli.config.key_commands import KeyCommands
from chatcli.config.paths import DOT_ENV, NO_LAZY_IMPORT, PATH_VARIABLES, env_file_of
from chatcli.config.settings import (
    PARSERS_BY_VARIABLE,
    SETTINGS,
    SETTINGS_BY_NAME,
    SETTINGS_BY_VARIABLE,
    Setting,
    Settings,
    Untrusted,
)
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.core.frozen import frozen
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from chatcli.config.credentials import FindKeyring
    from chatcli.config.env_files import EnvFile
    from chatcli.config.parsers import Parser
    from chatcli.config.paths import Paths
    from chatcli.config.settings import TemplateSettings

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
_OF_THIS_CALL: Final = ("flag ", "command ", "template ")


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


def resolve(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    paths: Paths,
    working_folder: Path,
    env_file: Path | None = None,
    *,
    template: TemplateSettings | None = None,
    changes: Mapping[str, object] | None = None,
    find_keyring: FindKeyring = system_keyring,
    key_commands: KeyCommands | None = None,
) -> Settings:
    """Resolve every setting.

    ``flags`` are values by setting, as typed or already of the right type; ``None`` is a flag that was not
    given. The same holds for ``changes``. ``template`` holds the settings of a prompt template. The keyring is not
    opened, and none of ``key_commands`` run, before a key is revealed. Raise ``UsageError`` for an invalid flag,
    ``ConfigurationError`` for anything else.
    """
    file = read_config_file(paths.config / FILE_NAME)
    changed = _change_source(changes or {})
    chosen = [changed, flag_source(flags)]
    if template is not None:
        chosen.append(table_source(template.place, template.table, environment, hint=template.hint))
    chosen.append(variable_source("environment", environment))
    if env_file is not None:
        chosen.append(env_file_source(f"--env-file {env_file}", read_env_file(env_file, may_be_pipe=True)))
    stored, unreadable_keys = _stored_source(StoredKeys(paths.config, find_keyring))
    commands = key_commands or KeyCommands(environment)
    tables = _Tables(file, environment, commands, hint=f"edit {paths.config / FILE_NAME}")
    above_file, untrusted = chosen, None
    dot_env = env_file_of(working_folder)
    if dot_env is not None and not (env_file is not None and dot_env.samefile(env_file)):
        base_url = _first(_with_tables(tables, chosen, changed), "base_url")
        folder_source, untrusted = _folder_source(
            dot_env,
            TrustedFolders.of(paths),
            # The content of an unreadable file may be a key.
            has_other_key=bool(file.key_places or unreadable_keys or _credentials([*chosen, stored])),
            base_url=base_url.value if base_url else None,
        )
        above_file = [*chosen, folder_source]
    in_order = _with_tables(tables, above_file, changed)
    window_is_for_this_run = any("context_window" in source.found for source in above_file)
    windows = {} if window_is_for_this_run else file.model_windows

    def settled(sources: Sequence[SettingsSource]) -> Settings:
        return replace(_settle([*sources, stored], windows), unreadable_keys=unreadable_keys)

    settings = settled(in_order)
    # A fallback profile's own values win here: it was named as a fallback, not chosen for this run.
    fallback_profiles = {
        name: settled([tables.profile(name), *above_file, tables.top])
        for name in settings.fallback
        if name in file.profiles
    }
    of_fallbacks = [key for profile in fallback_profiles.values() for key in profile.every_credential]
    return replace(
        settings,
        untrusted=untrusted,
        fallback_profiles=fallback_profiles,
        every_credential=(*settings.every_credential, *of_fallbacks),
    )


def resolve_given(given: Mapping[str, object], variables: Mapping[str, str]) -> Settings:
    """Resolve every setting from a caller's values and a few variables, without the person's configuration.

    ``given`` are values by setting. Raise ``UsageError`` for an invalid one, ``ConfigurationError`` for an
    invalid variable.
    """
    return _settle([flag_source(given, by_setting=True), variable_source("environment", variables)], {})


def _stored_source(keys: StoredKeys) -> tuple[SettingsSource, ConfigurationError | None]:
    """Return the stored keys, and why they cannot be read if they cannot: many questions need none."""
    try:
        return SettingsSource({}, keys.credentials()), None
    except ConfigurationError as error:
        return SettingsSource({}), error


def _folder_source(
    path: Path, trusted: TrustedFolders, *, has_other_key: bool, base_url: str | None
) -> tuple[SettingsSource, Untrusted | None]:
    """Return the settings of the working folder's ``.env``, and those that need the person's trust."""
    folder = path.parent
    try:
        # Read once: the content that is trusted is the content that is used, even if the file changes.
        file = read_env_file(path)
    except ConfigurationError as error:
        # Nobody named this file, so its errors must not stop anybody.
        return SettingsSource({}, warnings=(f"ignored {DOT_ENV}: {error.message}",)), None
    warnings: tuple[str, ...] = ()
    try:
        is_trusted = trusted.trusts(folder, file.sha256)
    except ConfigurationError as error:
        is_trusted, warnings = False, (f"no folder is trusted: {error.message}",)
    if is_trusted:
        return env_file_source(DOT_ENV, file), None
    allowed, waiting = permitted(file, has_other_key=has_other_key, base_url=base_url)
    source = _confined_source(file, allowed)
    source = replace(source, warnings=(*source.warnings, *warnings))
    return source, Untrusted(folder, file.sha256, waiting) if waiting else None


def _confined_source(file: EnvFile, names: Sequence[str]) -> SettingsSource:
    """Read the variables an untrusted file may set.

    Invalid values are skipped with a warning: nobody named this file, so its errors must not stop anybody.
    """
    kept: dict[str, str] = {}
    warnings = list(odd_lines(DOT_ENV, file))
    for name in names:
        try:
            variable_source(DOT_ENV, {name: file.variables[name]})
        except ConfigurationError as error:
            warnings.append(f"ignored: {error.message}")
        else:
            kept[name] = file.variables[name]
    source = variable_source(DOT_ENV, kept)
    return SettingsSource(source.found, source.credentials, tuple(warnings))


class _Tables:
    """The sources in config.toml."""

    def __init__(
        self, file: ConfigFile, environment: Mapping[str, str], commands: KeyCommands, *, hint: str
    ) -> None:
        self.profiles = file.profiles
        self.top = table_source(FILE_NAME, file.settings, environment, commands, hint=hint)
        self._environment, self._commands = environment, commands
        self._hint = hint

    def profile(self, name: str) -> SettingsSource:
        base_url = _first([self.top], "base_url")
        return table_source(
            profile_place(name),
            self.profiles[name],
            self._environment,
            self._commands,
            outer_base_url=base_url.value if base_url else None,
            hint=self._hint,
        )


def _with_tables(
    tables: _Tables, above: Sequence[SettingsSource], changed: SettingsSource
) -> list[SettingsSource]:
    """Return the sources by precedence, including those of config.toml."""
    profile = _first([*above, tables.top], "profile")
    if profile is None or profile.value is None:
        return [*above, tables.top]
    if profile.value not in tables.profiles:
        raise (UsageError if profile.origin.startswith(("flag ", "command ")) else ConfigurationError)(
            f"{profile.origin}: config.toml has no profile {profile.value!r}",
            hint=did_you_mean(profile.value, tables.profiles, "profiles")
            if tables.profiles
            else f"add a table [profiles.{profile.value}] to config.toml",
        )
    table = tables.profile(profile.value)
    if "profile" in changed.found:
        return [changed, table, *above[1:], tables.top]
    return [*above, table, tables.top]


def _settle(sources: Sequence[SettingsSource], model_windows: Mapping[str, int]) -> Settings:
    settled = {setting.name: _settled(setting, sources) for setting in SETTINGS}
    credentials = _credentials(sources)
    base_url = settled["base_url"].value or _default_base_url(credentials)
    settled["base_url"] = FoundSetting(base_url, settled["base_url"].origin)
    credential, withheld = choose(credentials, base_url)
    settled["api_key"] = FoundSetting(credential, credential.source if credential else "default")
    values: dict[str, Any] = {name: found.value for name, found in settled.items() if name != "api_key"}
    origins = {name: found.origin for name, found in settled.items()}
    return Settings(
        **values,
        credential=credential,
        withheld=withheld,
        model_windows=model_windows,
        warnings=_warnings(sources, credential),
        origins=origins,
        asked_for=_asked_for(origins, settled["profile"].value),
        every_credential=tuple(credentials),
    )


def _asked_for(origins: Mapping[str, str], profile: str | None) -> frozenset[str]:
    place = None if profile is None else profile_place(profile)
    return frozenset(
        name
        for name, origin in origins.items()
        if (origins["profile"] if origin == place else origin).startswith(_OF_THIS_CALL)
    )


def _settled(setting: Setting, sources: Sequence[SettingsSource]) -> FoundSetting:
    found = [source.found[setting.name] for source in sources if setting.name in source.found]
    if setting.merges:
        return _merged(found)
    first = found[0] if found else FoundSetting(setting.default, "default")
    if found and setting.switched_on is not None:
        first = replace(first, value=setting.switched([each.value for each in found]))
    return first


def _merged(parts: Sequence[FoundSetting]) -> FoundSetting:
    table = {key: value for part in reversed(parts) for key, value in part.value.items()}
    return FoundSetting(table, ", ".join(part.origin for part in parts) or "default")


def _first(sources: Iterable[SettingsSource], name: str) -> FoundSetting | None:
    return next((source.found[name] for source in sources if name in source.found), None)


def _credentials(sources: Iterable[SettingsSource]) -> list[Credential]:
    return [credential for source in sources for credential in source.credentials]


def _default_base_url(credentials: Iterable[Credential]) -> str | None:
    openai = origin_of(OPENAI_URL)
    return OPENAI_URL if any(credential.endpoint_origin == openai for credential in credentials) else None


def _warnings(sources: Sequence[SettingsSource], credential: Credential | None) -> tuple[str, ...]:
    warnings = [warning for source in sources for warning in source.warnings]
    if credential is None:
        warnings += [missing for source in sources for missing in source.missing_keys]
    return tuple(warnings)


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


def _change_source(changes: Mapping[str, object]) -> SettingsSource:
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
