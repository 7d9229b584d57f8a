"""config.toml: settings, ``[profiles.NAME]`` tables of settings, and ``[models."NAME"]`` windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatcli.config.parsers import NO_PROFILE
from chatcli.config.specs import SETTINGS, SETTINGS_BY_NAME
from chatcli.config.suggestions import did_you_mean
from chatcli.core.errors import ConfigurationError
from chatcli.core.toml_mistakes import toml_hint
from chatcli.storage.private_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE_NAME = "config.toml"

_KEY_SETTINGS = ("api_key", "api_key_env")
_TABLES = ("profiles", "models")
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file's tables, their keys known and their values not yet checked.

    ``model_windows`` are context windows in tokens, by model.
    """

    settings: Mapping[str, object] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    model_windows: Mapping[str, int] = field(default_factory=dict)

    @property
    def key_places(self) -> tuple[str, ...]:
        """Every place of the file, in use or not, that holds a key or says where one is."""
        tables = [(FILE_NAME, self.settings)]
        tables += [(profile_place(name), table) for name, table in self.profiles.items()]
        return tuple(place for place, table in tables if any(name in table for name in _KEY_SETTINGS))


def profile_place(name: str) -> str:
    return f"{FILE_NAME} [profiles.{name}]"


def read_config_file(path: Path) -> ConfigFile:
    """Read the file; one that does not exist says nothing. Raises ``ConfigurationError``."""
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
        _check_names(path, f" [profiles.{name}]", table, [s.name for s in SETTINGS if s.in_profile])
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
    """Return the file's text, ``None`` for one that does not exist. Raises ``ConfigurationError``."""
    try:
        # Windows editors put a byte order mark first, which TOML does not know.
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


def _window(path: Path, model: str, value: object) -> int:
    try:
        window = SETTINGS_BY_NAME["context_window"].parse(value)
    except ValueError as error:
        raise ConfigurationError(f"{path} [models.{model}] context_window {error}") from error
    assert isinstance(window, int)  # noqa: S101 -- narrows what the parser of this setting returns
    return window
