"""The profiles of config.toml, as a person chooses among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chatcli.config.config_file import FILE_NAME, read_config_file
from chatcli.config.endpoints import validated_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.config.paths import Paths

_LONGEST_BEGINNING: Final = 60


@dataclass(frozen=True, slots=True)
class Profile:
    """A table ``[profiles.NAME]``: what it says itself, nothing where the rest of the configuration decides."""

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
        """The endpoint's host with its port, nothing for an address that is none: in use, it is an error."""
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
        # The values of a profile that is not in use are not checked: they may be meant for another version.
        value = self.table.get(name)
        return value if isinstance(value, str) else ""


def beginning(text: str) -> str:
    """Return the first words of a text, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_BEGINNING else f"{words[: _LONGEST_BEGINNING - 1].rstrip()}…"


def read_profiles(paths: Paths) -> dict[str, Profile]:
    """Return the profiles by name, in the order of the file. Raises ``ConfigurationError``."""
    tables = read_config_file(paths.config / FILE_NAME).profiles
    return {name: Profile(name, table) for name, table in tables.items()}
