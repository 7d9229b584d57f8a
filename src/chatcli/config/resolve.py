"""From all the places settings come from to the settings in force.

Flags win over a template, then the environment, then ``--env-file``, then the ``.env`` of the working folder as far
as it is trusted, then the profile and last the top level of config.toml. What a person changes in a conversation comes before all of them,
and so does the profile they change to: it is what they said last. Of keys, those stored with ``chatcli config login`` come after all others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from chatcli.config.config_file import FILE_NAME, ConfigFile, profile_place, read_config_file
from chatcli.config.credentials import choose
from chatcli.config.endpoints import OPENAI_URL, origin_of
from chatcli.config.env_file import env_file_of, read_env_file
from chatcli.config.env_file_trust import PLACE, Untrusted, confine
from chatcli.config.settings import Settings
from chatcli.config.sources import (
    FoundSetting,
    SettingsSource,
    change_source,
    env_file_source,
    flag_source,
    table_source,
    variable_source,
)
from chatcli.config.specs import SETTINGS, Setting
from chatcli.config.stored_keys import StoredKeys
from chatcli.config.suggestions import did_you_mean
from chatcli.config.system_keyring import system_keyring
from chatcli.config.trusted_folders import TrustedFolders
from chatcli.core.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from chatcli.config.credentials import Credential
    from chatcli.config.paths import Paths
    from chatcli.config.system_keyring import FindKeyring


class TemplateSettings(NamedTuple):
    """What a prompt template sets: a ``table`` like one of config.toml, found at ``place``.

    ``hint`` goes with the error about a value.
    """

    place: str
    table: Mapping[str, object]
    hint: str


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
) -> Settings:
    """Settle every setting.

    ``flags`` are values by the name of their setting, as typed or already of the right type; ``None`` is a flag
    that was not given, and so are ``changes``. ``template`` is what a prompt template sets. The keyring is not asked
    before a key is revealed. Raises ``UsageError`` for a bad flag, ``ConfigurationError`` for anything else.
    """
    file = read_config_file(paths.config / FILE_NAME)
    changed = change_source(changes or {})
    chosen = [changed, flag_source(flags)]
    if template is not None:
        chosen.append(table_source(template.place, template.table, environment, hint=template.hint))
    chosen.append(variable_source("environment", environment))
    if env_file is not None:
        chosen.append(env_file_source(f"--env-file {env_file}", read_env_file(env_file, may_be_pipe=True)))
    stored, unreadable_keys = _stored_source(StoredKeys(paths.config, find_keyring))
    tables = _Tables(file, environment, hint=f"edit {paths.config / FILE_NAME}")
    base_url = _first(_with_tables(tables, chosen, changed), "base_url")
    folder_source, untrusted = _folder_source(
        working_folder,
        env_file,
        TrustedFolders.of(paths),
        # What a file that cannot be read holds may be a key.
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
    # What a profile says of itself comes first here: it was not chosen for this run, it is named to stand in.
    return replace(
        settings,
        untrusted=untrusted,
        fallback_profiles={
            name: settled([tables.profile(name), *above_file, tables.top])
            for name in settings.fallback
            if name in file.profiles
        },
    )


def _stored_source(keys: StoredKeys) -> tuple[SettingsSource, ConfigurationError | None]:
    """Return the stored keys, and why there are none where they cannot be read: many questions need none of them."""
    try:
        return SettingsSource({}, keys.credentials()), None
    except ConfigurationError as error:
        return SettingsSource({}), error


def _folder_source(
    folder: Path, env_file: Path | None, trusted: TrustedFolders, *, has_other_key: bool, base_url: str | None
) -> tuple[SettingsSource, Untrusted | None]:
    """Return what the ``.env`` of the working folder says, and what of it waits for the person's trust."""
    path = env_file_of(folder)
    if path is None or (env_file is not None and path.samefile(env_file)):
        return SettingsSource({}), None
    try:
        # Read once: what is trusted is what is used, whatever becomes of the file meanwhile.
        file = read_env_file(path)
    except ConfigurationError as error:
        # Nobody named this file, so it must not stop anybody.
        return SettingsSource({}, warnings=(f"ignored {PLACE}: {error.message}",)), None
    warnings: tuple[str, ...] = ()
    try:
        is_trusted = trusted.trusts(folder, file.sha256)
    except ConfigurationError as error:
        is_trusted, warnings = False, (f"no folder is trusted: {error.message}",)
    if is_trusted:
        return env_file_source(PLACE, file), None
    source, waiting = confine(file, has_other_key=has_other_key, base_url=base_url)
    source = replace(source, warnings=(*source.warnings, *warnings))
    return source, Untrusted(folder, file.sha256, waiting) if waiting else None


class _Tables:
    """The sources of config.toml."""

    def __init__(self, file: ConfigFile, environment: Mapping[str, str], *, hint: str) -> None:
        self.profiles = file.profiles
        self.top = table_source(FILE_NAME, file.settings, environment, hint=hint)
        self._environment = environment
        self._hint = hint

    def profile(self, name: str) -> SettingsSource:
        base_url = _first([self.top], "base_url")
        return table_source(
            profile_place(name),
            self.profiles[name],
            self._environment,
            outer_base_url=base_url.value if base_url else None,
            hint=self._hint,
        )


def _with_tables(
    tables: _Tables, above: Sequence[SettingsSource], changed: SettingsSource
) -> list[SettingsSource]:
    """Return the sources in their order, those of config.toml among them."""
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
    return Settings(
        **values,
        credential=credential,
        withheld=withheld,
        model_windows=model_windows,
        warnings=_warnings(sources, credential),
        origins={name: found.origin for name, found in settled.items()},
    )


def _settled(setting: Setting, sources: Sequence[SettingsSource]) -> FoundSetting:
    if setting.merges:
        return _merged([source.found[setting.name] for source in sources if setting.name in source.found])
    return _first(sources, setting.name) or FoundSetting(setting.default, "default")


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
