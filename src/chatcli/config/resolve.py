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

from chatcli.config.aliases import resolved_aliases
from chatcli.config.config_file import FILE_NAME, ConfigFile, profile_place, read_config_file
from chatcli.config.credentials import Credential, StoredKeys, choose, system_keyring
from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.env_files import TrustedFolders, odd_lines, permitted, read_env_file
from chatcli.config.key_commands import KeyCommands
from chatcli.config.paths import DOT_ENV, env_file_of
from chatcli.config.settings import SETTINGS, Settings, Untrusted
from chatcli.config.sources import (
    FoundSetting,
    SettingsSource,
    change_source,
    env_file_source,
    flag_source,
    table_source,
    variable_source,
)
from chatcli.core.errors import ConfigurationError, UsageError
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from chatcli.config.credentials import FindKeyring
    from chatcli.config.env_files import EnvFile
    from chatcli.config.paths import Paths
    from chatcli.config.setting_fields import Setting
    from chatcli.config.settings import TemplateSettings

_MODEL_SETTINGS: Final = ("model", "summary_model", "embedding_model")
_OF_THIS_CALL: Final = ("flag ", "command ", "template ")


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
    changed = change_source(changes) if changes else SettingsSource({})
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
        found = _settle([*sources, stored], windows, profiles=file.profiles)
        return replace(found, unreadable_keys=unreadable_keys)

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


def resolve_given(
    given: Mapping[str, object], variables: Mapping[str, str], *, template: TemplateSettings | None = None
) -> Settings:
    """Resolve every setting from a caller's values and a few variables, without the person's configuration.

    ``given`` are values by setting, ``template`` holds those of a prompt template. Raise ``UsageError`` for an invalid one of
    ``given``, ``ConfigurationError`` for anything else.
    """
    sources = [flag_source(given, by_setting=True)]
    if template is not None:
        sources.append(table_source(template.place, template.table, {}, hint=template.hint))
    return _settle([*sources, variable_source("environment", variables)], {})


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
        self.top = SettingsSource({})
        if file.settings:
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


def _settle(
    sources: Sequence[SettingsSource], model_windows: Mapping[str, int], *, profiles: Collection[str] = ()
) -> Settings:
    """Return the settings by precedence; a name in ``fallback`` is a profile's before it is an alias."""
    settled = {setting.name: _settled(setting, sources) for setting in SETTINGS}
    aliases_used = _resolve_aliases(settled, profiles)
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
        aliases_used=aliases_used,
        uses_local=_uses_local(sources),
    )


def _uses_local(sources: Sequence[SettingsSource]) -> bool:
    """Return whether an embedded model is named, and no endpoint in a source that comes first."""
    for source in sources:
        if (local := source.found.get("local")) is not None:
            return local.value is not None
        if "base_url" in source.found:
            return False
    return False


def _resolve_aliases(settled: dict[str, FoundSetting], profiles: Collection[str]) -> dict[str, str]:
    """Replace the aliases in ``settled`` by their models; return those in settings of one name, by setting."""
    given = settled["aliases"]
    if not given.value:
        return {}
    aliases = resolved_aliases(given.value, given.origin)
    settled["aliases"] = replace(given, value=aliases)
    written = {name: settled[name].value for name in _MODEL_SETTINGS}
    used = {name: alias for name, alias in written.items() if aliases.get(alias, alias) != alias}
    for name, alias in used.items():
        settled[name] = replace(settled[name], value=aliases[alias])
    fallback = settled["fallback"]
    models = (name if name in profiles else aliases.get(name, name) for name in fallback.value)
    settled["fallback"] = replace(fallback, value=tuple(models))
    return used


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
