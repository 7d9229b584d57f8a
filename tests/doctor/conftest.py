from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from chatcli.app.run_context import RunContext
from chatcli.config.paths import Paths
from chatcli.config.resolve import resolve
from chatcli.doctor.checks import examine
from chatcli.doctor.examination import Examination, TerminalFacts
from network_servers import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.doctor.examination import Finding

PLAIN = TerminalFacts(
    stdin_is_terminal=True,
    stdout_is_terminal=True,
    term="xterm",
    colors="256",
    encoding="utf-8",
    columns=80,
)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(
        config=tmp_path / "config",
        data=tmp_path / "data",
        cache=tmp_path / "cache",
        local=tmp_path / "local",
    )


@pytest.fixture
def examination(paths, tmp_path) -> Callable[..., Examination]:
    """Return a function that makes an examination from variables and other fields."""

    def make(environment=None, terminal=PLAIN, folder=None, **fields):
        variables = {"CHATCLI_CONNECT_TIMEOUT_S": "5", "CHATCLI_TIMEOUT_S": "5", **(environment or {})}
        settings = resolve({}, variables, paths, tmp_path)
        return Examination(RunContext(variables, paths, folder), terminal, settings, **fields)

    return make


@pytest.fixture
def found(examination) -> Callable[..., dict[str, list[Finding]]]:
    """Return a function that runs the whole examination and returns its findings by check."""

    async def find(environment=None, **fields):
        findings: dict[str, list[Finding]] = {}
        async with aclosing(examine(examination(environment, **fields))) as stream:
            async for finding in stream:
                findings.setdefault(finding.name, []).append(finding)
        return findings

    return find
