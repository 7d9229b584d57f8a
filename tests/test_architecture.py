"""Rules that import-linter cannot express: when a library is loaded, and how a stream is read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import chatcli

SOURCE = Path(chatcli.__file__).parent

SLOW_TO_IMPORT = {
    "asyncio",
    "dotenv",
    "httpx2",
    "keyring",
    "openai",
    "platformdirs",
    "prompt_toolkit",
    "pydantic",
    "rich",
    "tenacity",
    "tiktoken",
    "tomlkit",
}

NOT_GENERATORS = {"self._attempts(wait)"}
"""Iterables without anything to close: tenacity's AsyncRetrying."""


def imported_by(*arguments: str) -> set[str]:
    """Return the top-level packages that ``python ARGUMENTS`` imports."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    names = (line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if "|" in line)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_nobody_waits_for_a_library_to_see_the_version_or_the_help(flag):
    imported = imported_by("-m", "chatcli", flag)
    assert "chatcli" in imported
    assert not imported & SLOW_TO_IMPORT


def test_the_wiring_loads_no_library_before_it_needs_one():
    imported = imported_by("-c", "import chatcli.app.wiring")
    assert "chatcli" in imported
    assert not imported & SLOW_TO_IMPORT - {"asyncio"}


def unclosed_streams(path: Path) -> list[str]:
    """Return every ``async for`` over a generator without another owner, which nobody closes."""
    loops = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.AsyncFor))
    return [
        f"{path.relative_to(SOURCE).as_posix()}:{loop.lineno}"
        for loop in loops
        if isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter) not in NOT_GENERATORS
    ]


def test_whoever_reads_a_stream_closes_it():
    # Left to the garbage collector, the server sees no close while a reference to the generator lives.
    assert [found for path in sorted(SOURCE.rglob("*.py")) for found in unclosed_streams(path)] == []


WHERE_ERRORS_ARE_MADE = {"core/errors.py", "client/openai_errors.py"}
PARTS_OF_ERRORS = {"args", "code", "hint", "message", "retryable", "retry_after_s", "status"}


def changed_errors(path: Path) -> list[str]:
    """Return every assignment to an attribute of a caught exception, or of a variable named like an error."""
    tree = ast.parse(path.read_text("utf-8"))
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)} | {
        "error",
        "failure",
    }
    targets = [
        target
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for each in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for target in ast.walk(each)
    ]
    return [
        f"{path.relative_to(SOURCE).as_posix()}:{target.lineno}"
        for target in targets
        if isinstance(target, ast.Attribute)
        and target.attr in PARTS_OF_ERRORS
        and isinstance(target.value, ast.Name)
        and target.value.id in caught
    ]


def test_an_error_is_not_changed_once_it_is_raised():
    paths = [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).as_posix() not in WHERE_ERRORS_ARE_MADE
    ]
    assert [found for path in paths for found in changed_errors(path)] == []
