"""config.toml: settings, ``[profiles.NAME]`` tables of settings, and ``[models."NAME"]`` windows.

Reads the whole file or its profiles, and changes single settings without touching comments and order.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from chatcli.config.endpoints import validated_url
from chatcli.config.parsers import NO_PROFILE
from chatcli.config.paths import changing, write_private_file
from chatcli.config.settings import SETTINGS, SETTINGS_BY_NAME
from chatcli.core.errors import ConfigurationError
from chatcli.core.frozen import frozen
from chatcli.core.json_values import as_text
from chatcli.storage.private_files import read_regular
from chatcli.text.hints import did_you_mean, toml_hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tomlkit import TOMLDocument

    from chatcli.config.paths import Paths

FILE_NAME = "config.toml"

_KEY_SETTINGS = ("api_key", "api_key_env", "key_command")
_TABLES = ("profiles", "models")
_MOST_BYTES = 10_000_000
_LONGEST_BEGINNING: Final = 60
_HEADER = re.compile(r"\A(?:[ \t]*#[^\n]*\n)+\s*\n")


@frozen
class ConfigFile:
    """The file's tables, with known keys and unvalidated values.

    ``model_windows`` are context windows in tokens, by model.
    """

    settings: Mapping[str, object] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    model_windows: Mapping[str, int] = field(default_factory=dict)

    @property
    def key_places(self) -> tuple[str, ...]:
        """Every table of the file, in use or not, that contains or refers to a key."""
        tables = [(FILE_NAME, self.settings)]
        tables += [(profile_place(name), table) for name, table in self.profiles.items()]
        return tuple(place for place, table in tables if any(name in table for name in _KEY_SETTINGS))


def profile_place(name: str) -> str:
    return f"{FILE_NAME} [profiles.{name}]"


def read_config_file(path: Path) -> ConfigFile:
    """Read the file; a missing one is empty. Raise ``ConfigurationError``."""
    content = file_text(path)
    if content is None:
        return ConfigFile()
    document = _parsed(path, content)
    profiles = _tables(path, document, "profiles")
    models = _tables(path, document, "models")
    _check_names(path, "", document, (*SETTINGS_BY_NAME, *_TABLES))
    if NO_PROFILE in profiles:
        raise ConfigurationError(
            f"{path} [profiles.{NO_PROFILE}]: that name is reserved", hint="rename the profile"
        )
    for name, table in profiles.items():
        _check_profile(path, name, table)
    for name, table in models.items():
        _check_names(path, f" [models.{name}]", table, ["context_window"])
    return ConfigFile(
        settings={name: value for name, value in document.items() if name not in _TABLES},
        profiles=profiles,
        model_windows={
            name: _window(path, name, table["context_window"])
            for name, table in models.items()
            if "context_window" in table
        },
    )


def file_text(path: Path) -> str | None:
    """Return the file's text, ``None`` if it does not exist. Raise ``ConfigurationError``."""
    try:
        # Windows editors write a byte order mark, which TOML does not allow.
        return read_regular(path, most_bytes=_MOST_BYTES).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror or error}",
            hint="check its permissions, or move its folder with CHATCLI_CONFIG_DIR",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8", hint="save it as UTF-8") from error


def not_toml(path: Path, text: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not valid TOML: {error}",
        hint=toml_hint(text, error) or "Texts stand in quotes; true and false in lower case.",
    )


def _parsed(path: Path, content: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 -- 5 ms that a start without a config.toml does not need

    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise not_toml(path, content, error) from error


def _tables(path: Path, document: Mapping[str, Any], name: str) -> Mapping[str, Mapping[str, Any]]:
    tables = document.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{path}: {name} must hold tables", hint=f"write it as [{name}.NAME]")
    return tables


def _check_names(path: Path, table_name: str, table: Iterable[str], known: Iterable[str]) -> None:
    known = tuple(known)
    for name in table:
        if name not in known:
            raise ConfigurationError(
                f"{path}{table_name}: unknown setting {name!r}", hint=did_you_mean(name, known)
            )


def _check_profile(path: Path, name: str, table: Iterable[str]) -> None:
    place = f" [profiles.{name}]"
    for setting in SETTINGS:
        if setting.name in table and not setting.in_profile:
            raise ConfigurationError(
                f"{path}{place}: unknown setting {setting.name!r}",
                hint=f"set {setting.name} outside of profiles, for all of them",
            )
    _check_names(path, place, table, [setting.name for setting in SETTINGS if setting.in_profile])


def _window(path: Path, model: str, value: object) -> int:
    try:
        window = SETTINGS_BY_NAME["context_window"].parse(value)
    except ValueError as error:
        raise ConfigurationError(f"{path} [models.{model}] context_window {error}") from error
    assert isinstance(window, int)  # noqa: S101 -- narrows what the parser of this setting returns
    return window


@frozen
class Profile:
    """A table ``[profiles.NAME]`` with its own values only."""

    name: str
    table: Mapping[str, object]

    @property
    def model(self) -> str:
        return self._text("model")

    @property
    def base_url(self) -> str:
        return self._text("base_url")

    @property
    def host(self) -> str:
        """The endpoint's host with its port, empty for an invalid address (an error once it is used)."""
        try:
            return urlsplit(validated_url(self.base_url)).netloc
        except ValueError:
            return ""

    @property
    def system(self) -> str:
        return self._text("system")

    @property
    def system_beginning(self) -> str:
        """The first words of the system prompt, on one line."""
        return beginning(self.system)

    def _text(self, name: str) -> str:
        # Values of unused profiles are not validated: they may be for another version.
        return as_text(self.table.get(name))


def beginning(text: str) -> str:
    """Return the first words of a text, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_BEGINNING else f"{words[: _LONGEST_BEGINNING - 1].rstrip()}…"


def read_profiles(paths: Paths) -> dict[str, Profile]:
    """Return the profiles by name, in file order. Raise ``ConfigurationError``."""
    tables = read_config_file(paths.config / FILE_NAME).profiles
    return {name: Profile(name, table) for name, table in tables.items()}


def set_setting(path: Path, name: str, value: str | float | bool) -> None:
    """Set a top-level setting, creating the file if needed.

    Raise ``ConfigurationError`` if the file is not TOML, ``LocalIOError`` if it cannot be written.
    """
    with changing(path):
        text = file_text(path) or ""
        document = _document(path, text)
        if name in document:
            document[name] = value
            text = document.as_string()
        else:
            text = _with_new_setting(text, name, value)
        write_private_file(path, text.encode())


def unset_setting(path: Path, name: str) -> bool:
    """Remove a top-level setting; return whether it was set. Raise like ``set_setting``."""
    if name not in _document(path, file_text(path) or ""):
        return False
    with changing(path):
        document = _document(path, file_text(path) or "")
        document.pop(name, None)
        write_private_file(path, document.as_string().encode())
    return True


def _document(path: Path, text: str) -> TOMLDocument:
    # Imported late: it takes 30 ms and only changes need it.
    import tomlkit  # noqa: PLC0415
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise not_toml(path, text, error) from error


def _with_new_setting(text: str, name: str, value: str | float | bool) -> str:
    import tomlkit  # noqa: PLC0415 -- as above

    # tomlkit would put it between the first table and the comment above that table.
    header = _HEADER.match(text)
    at = header.end() if header else 0
    return text[:at] + tomlkit.dumps({name: value}) + text[at:]
