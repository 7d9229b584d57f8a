from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from chatcli.config.endpoints import origin_of
from chatcli.config.env_files import TrustedFolders, read_env_file
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from fake_keyring import FakeKeyring

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from chatcli.config.settings import Settings, TemplateSettings


@dataclass(frozen=True)
class Machine:
    """A folder with every source of settings; each call writes the given files."""

    root: Path
    keyring: FakeKeyring = field(default_factory=FakeKeyring)

    @property
    def paths(self) -> Paths:
        return Paths(self.root / "config", self.root / "data", self.root / "cache", self.root / "local")

    @property
    def keys_file(self) -> Path:
        return self.root / "config" / "keys.json"

    @property
    def config_file(self) -> Path:
        return self.root / "config" / "config.toml"

    @property
    def dotenv(self) -> Path:
        return self.root / "work" / ".env"

    @property
    def env_file(self) -> Path:
        return self.root / "given.env"

    def resolve(
        self,
        *,
        flags: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        env_file: str | None = None,
        dotenv: str | None = None,
        trusted_dotenv: str | None = None,
        config: str | None = None,
        keys: Mapping[str, str | None] | None = None,
        template: TemplateSettings | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> Settings:
        """Resolve the settings; ``keys`` are stored keys by URL, ``None`` for one in the keyring.

        ``dotenv`` is an untrusted ``.env`` of the working folder, ``trusted_dotenv`` a trusted one.
        """
        contents = {
            self.env_file: env_file,
            self.dotenv: dotenv if trusted_dotenv is None else trusted_dotenv,
            self.config_file: config,
            self.keys_file: None if keys is None else _key_file(keys),
        }
        for path, content in contents.items():
            path.unlink(missing_ok=True)
            path.parent.mkdir(exist_ok=True)
            if content is not None:
                path.write_text(content, encoding="utf-8")
        if trusted_dotenv is not None:
            TrustedFolders.of(self.paths).trust(self.dotenv.parent, read_env_file(self.dotenv).sha256)
        return resolve(
            flags or {},
            environment or {},
            self.paths,
            self.root / "work",
            None if env_file is None else self.env_file,
            template=template,
            changes=changes,
            find_keyring=lambda: self.keyring,
        )


def _key_file(keys: Mapping[str, str | None]) -> str:
    entries = {
        str(origin_of(url)): {"place": "keyring"} if key is None else {"place": "file", "key": key}
        for url, key in keys.items()
    }
    return json.dumps({"format": 1, "keys": entries})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.keyring.keys["https://api.openai.com"] = "k"
    return made
