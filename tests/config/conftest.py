from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from chatcli.config.settings import Settings


@dataclass(frozen=True)
class Machine:
    """A folder with everything settings can come from; each call writes the files it is given."""

    root: Path

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
        config: str | None = None,
    ) -> Settings:
        for path, content in ((self.env_file, env_file), (self.dotenv, dotenv), (self.config_file, config)):
            path.unlink(missing_ok=True)
            path.parent.mkdir(exist_ok=True)
            if content is not None:
                path.write_text(content, encoding="utf-8")
        return resolve(
            flags or {},
            environment or {},
            Paths(self.root / "config", self.root / "data", self.root / "cache", self.root / "local"),
            self.root / "work",
            None if env_file is None else self.env_file,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
