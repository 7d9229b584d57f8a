"""The real program, in a process and folders of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from e2e.fork_server import KEPT_VARIABLES, can_be_forked, fork_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.fork_server import ForkedProcess
    from scripted_server import ScriptedServer

    Process = subprocess.Popen[bytes] | ForkedProcess

MODEL = "small"
WINDOW_TOKENS = 4096

NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""For a process that may write no more than so much: Python would leave modules cut short for all after it."""

_TIMEOUT_S = 240
PATIENT = {"CHATCLI_CACHE_PATIENCE_MS": "10000"}
"""The cache of answers is waited for, however busy the machine is."""


@dataclass(frozen=True, slots=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str


class Program:
    """chatcli with a home of its own: nothing of the person running the tests is read or written."""

    def __init__(self, folder: Path) -> None:
        self.working_folder = folder / "work"
        self.config_folder = folder / "config"
        self.data_folder = folder / "data"
        self.cache_folder = folder / "cache"
        self.local_folder = folder / "local"
        for made in (self.working_folder, self.config_folder):
            made.mkdir()

    @property
    def session_paths(self) -> list[Path]:
        return sorted((self.data_folder / "sessions").glob("*.jsonl"))

    @property
    def saved(self) -> list[tuple[str, str]]:
        """The roles and texts of the only session."""
        (path,) = self.session_paths
        return messages_of(path)

    def environment(self, server: ScriptedServer | None = None, **changes: str) -> dict[str, str]:
        pointed = (
            {}
            if server is None
            else {
                "CHATCLI_BASE_URL": server.base_url,
                "CHATCLI_MODEL": MODEL,
                "CHATCLI_CONTEXT_WINDOW": str(WINDOW_TOKENS),
            }
        )
        return {
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            "HOME": str(self.working_folder.parent),
            "CHATCLI_CONFIG_DIR": str(self.config_folder),
            "CHATCLI_DATA_DIR": str(self.data_folder),
            "CHATCLI_CACHE_DIR": str(self.cache_folder),
            "CHATCLI_LOCAL_DIR": str(self.local_folder),
            # The keys of the person running the tests are out of reach.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **pointed,
            **changes,
        }

    def run(
        self,
        *arguments: str,
        server: ScriptedServer | None = None,
        stdin: str | bytes = b"",
        stdout: int | IO[bytes] = subprocess.PIPE,
        **environment: str,
    ) -> Ended:
        """Run to the end; ``server`` is the configured endpoint."""
        content = stdin.encode() if isinstance(stdin, str) else stdin
        if stdout == subprocess.PIPE:
            started = self.started(*arguments, server=server, stdin=subprocess.PIPE, **environment)
            with started as process:
                out, err = process.communicate(content, timeout=_TIMEOUT_S)
                return Ended(process.returncode, out.decode(), err.decode())
        done = subprocess.run(
            command(*arguments),
            input=content,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=self.environment(server, **environment),
            cwd=self.working_folder,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return Ended(done.returncode, "", done.stderr.decode())

    @contextmanager
    def started(
        self,
        *arguments: str,
        server: ScriptedServer | None = None,
        stdin: int = subprocess.DEVNULL,
        is_forked: bool = True,
        **environment: str,
    ) -> Iterator[Process]:
        """Start the program; it is killed at the end of the test if it is still running.

        Where the test is about the start itself, it must not be ``is_forked``.
        """
        variables = self.environment(server, **environment)
        process: Process
        if is_forked and can_be_forked(variables):
            process = fork_server().popen(arguments, variables, self.working_folder, stdin=stdin)
        else:
            process = subprocess.Popen(
                command(*arguments),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables,
                cwd=self.working_folder,
            )
        with process:
            try:
                yield process
            finally:
                process.kill()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "chatcli", *arguments]


def ended(process: Process, already_read: bytes = b"") -> Ended:
    """Return how a started program ended, with the output read before."""
    stdout, stderr = process.communicate(timeout=_TIMEOUT_S)
    return Ended(process.returncode, (already_read + stdout).decode(), stderr.decode())


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def messages_of(path: Path) -> list[tuple[str, str]]:
    """Return the roles and texts of the whole messages of a session file."""
    messages = [record["message"] for record in records_of(path) if record["type"] == "message"]
    return [
        (message["role"], "\n".join(part.get("text", "") for part in message["parts"]))
        for message in messages
    ]


def asked(server: ScriptedServer, number: int = -1) -> list[tuple[str, str]]:
    """Return the roles and texts sent to the server in one of the requests."""
    posted = [request for request in server.requests if request.method == "POST"]
    return [(message["role"], message["content"]) for message in posted[number].json["messages"]]
