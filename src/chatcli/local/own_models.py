"""The embedded models by name: those chatcli can fetch, and the person's own files, which stay where they are."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.core.frozen import frozen
from chatcli.core.typed_paths import typed_path
from chatcli.local.weights import LOCK_NAME, MODELS, SMOLLM2, Artifact, Weights, only_one
from chatcli.storage.private_files import read_regular, replace
from chatcli.text.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUFFIX: Final = ".gguf"
FILE_NAME: Final = "own-models.json"

_MOST_BYTES: Final = 1 << 20
_CONTEXT_TOKENS: Final = 8_192
_OVERHEAD_BYTES: Final = 150_000_000
"""The engine and its buffers; of the same order for all small models."""
_NO_LICENSE: Final = "not stated"
_LIKE_A_MODEL: Final = re.compile(r"(?=.*\d)[A-Za-z][\w.]*(?:-[\w.]+)+")
_LEAST_LIKE: Final = 4
_NOT_IN_NAMES: Final = re.compile(r"[^\w.+-]+")


@frozen
class OwnWeights(Weights):
    """A GGUF file of the person's own, at ``path``. Without a template its model was not trained to answer."""

    path: Path
    has_template: bool

    @property
    def setup_command(self) -> str:
        return f"chatcli local setup {shlex.quote(str(self.path))}"

    @property
    def repair_hint(self) -> str:
        return f"llama.cpp cannot run {self.path}, or it is damaged"

    def path_in(self, folder: Path) -> Path:  # noqa: ARG002 - it is elsewhere
        return self.path


def is_path(name: str) -> bool:
    """Return whether ``name`` is the path of a GGUF file rather than the name of a model."""
    return name.strip().lower().endswith(SUFFIX)


def find_model(name: str | None, folder: Path) -> Weights:
    """Return the model of that name, id or path; without a name, the built-in one.

    ``folder`` is that of the embedded models.

    :raises UsageError: there is none, or it is a file that cannot be used
    :raises LocalIOError: the file, or the list of own files, cannot be read
    """
    if name is None:
        return SMOLLM2
    if is_path(name):
        return _known_at(name, folder) or inspect_file(name)
    if (weights := _named(name, MODELS)) is not None:
        return weights
    own = own_models(folder)
    if (weights := _named(name, own)) is not None:
        return weights
    names = [each.name for each in (*MODELS, *own)]
    nearest = did_you_mean(name.strip().lower(), names, "use one of")
    raise UsageError(
        f"there is no embedded model {name}",
        hint=f"{nearest}; chatcli local models lists them",
        code="no_such_model",
    )


def expected_model_id(name: str | None) -> str:
    """Return the id that a model of this name will have, as far as that is known without looking into files."""
    if name is None:
        return SMOLLM2.model
    if is_path(name):
        return _id_of(Path(name))
    weights = _named(name, MODELS)
    return name.strip().lower() if weights is None else weights.model


def is_model(word: str, folder: Path) -> bool:
    """Return whether ``word`` is the name of a model, or the path of a GGUF file whether that is there or not.

    :raises LocalIOError: the list of own files cannot be read
    """
    return is_path(word) or _named(word, MODELS) is not None or _named(word, own_models(folder)) is not None


def resembles_model(word: str) -> bool:
    """Return whether ``word`` looks like the name of a model, with numbers and hyphens, or begins one that can be fetched."""
    return bool(_LIKE_A_MODEL.fullmatch(word)) or any(
        len(word) >= _LEAST_LIKE and each.name.startswith(word.lower()) for each in MODELS
    )


def _named(name: str, models: Iterable[Weights]) -> Weights | None:
    wanted = name.strip().lower()
    return next((each for each in models if wanted in {each.name.lower(), each.model.lower()}), None)


def _known_at(name: str, folder: Path) -> OwnWeights | None:
    """Return the own model at this path if its file has not changed since it was set up."""
    path = _whole_path(name)
    for weights in own_models(folder):
        if weights.path == path and path.is_file() and path.stat().st_size == weights.file.size_bytes:
            return weights
    return None


def inspect_file(name: str) -> OwnWeights:
    """Return the model in a GGUF file.

    :raises UsageError: there is no such file, or not one of a model to chat with
    :raises LocalIOError: it cannot be read
    """
    # A name needs no reader.
    from chatcli.local.gguf import NotUsable, read_gguf  # noqa: PLC0415

    path = _whole_path(name)
    if not path.is_file():
        raise UsageError(
            f"there is no file {path}", hint="check the path; chatcli local models lists what can be fetched"
        )
    try:
        found, size_bytes = read_gguf(path), path.stat().st_size
    except NotUsable as error:
        raise UsageError(
            f"{path} {error}", hint="name the GGUF file of a chat model", code="not_usable"
        ) from error
    except OSError as error:
        raise LocalIOError(
            f"cannot read {path}: {error.strerror or error}", hint="check the permissions of the file"
        ) from error
    longest_tokens = found.context_tokens or _CONTEXT_TOKENS
    context_tokens = min(longest_tokens, _CONTEXT_TOKENS)
    cache_bytes = context_tokens * found.cache_bytes_per_token
    return OwnWeights(
        model=_id_of(path),
        title=path.name,
        license=found.license or _NO_LICENSE,
        context_tokens=context_tokens,
        longest_context_tokens=longest_tokens,
        memory_bytes=size_bytes + cache_bytes + _OVERHEAD_BYTES,
        file=Artifact(path.name, size_bytes, ""),
        path=path,
        has_template=found.has_template,
    )


def own_models(folder: Path) -> tuple[OwnWeights, ...]:
    """Return the own models that were set up.

    :raises LocalIOError: the list cannot be read
    """
    try:
        listed = json.loads(read_regular(folder / FILE_NAME, most_bytes=_MOST_BYTES))
        return tuple(_from_json(each) for each in listed)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise LocalIOError(
            f"cannot read {folder / FILE_NAME}: {error.strerror or error}", hint="check its permissions"
        ) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise LocalIOError(
            f"{folder / FILE_NAME} is damaged",
            hint="delete it, then set your own models up again with chatcli local setup PATH.gguf",
        ) from error


def keep(weights: OwnWeights, folder: Path) -> None:
    """Remember an own model under its name, in place of another one of that name.

    :raises UsageError: a model that chatcli can fetch has the name
    :raises LocalIOError: the list cannot be written
    """
    if _named(weights.name, MODELS) is not None:
        raise UsageError(f"{weights.name} is the name of another model", hint="rename the file")
    with _changing(folder):
        _write([*(each for each in own_models(folder) if each.name != weights.name), weights], folder)


def forget(weights: OwnWeights, folder: Path) -> bool:
    """Forget an own model, whose file stays; return whether it was known.

    :raises LocalIOError: the list cannot be written
    """
    with _changing(folder):
        known = own_models(folder)
        kept = [each for each in known if each.name != weights.name]
        _write(kept, folder)
        return len(kept) < len(known)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(folder / LOCK_NAME):
            yield
    except OSError as error:
        raise LocalIOError(
            f"cannot write {folder / FILE_NAME}: {error.strerror or error}",
            hint="check the permissions of the folder, and the space on the disk",
        ) from error


def _write(models: Iterable[OwnWeights], folder: Path) -> None:
    # ASCII holds every path, even one that is not UTF-8.
    content = json.dumps([_as_json(each) for each in models], indent=2) + "\n"
    replace(folder / FILE_NAME, content.encode("ascii"), durably=True)


_NUMBERS: Final = ("context_tokens", "longest_context_tokens", "memory_bytes")
_TEXTS: Final = ("model", "title", "license")


def _as_json(weights: OwnWeights) -> dict[str, object]:
    fields = {name: getattr(weights, name) for name in (*_TEXTS, *_NUMBERS)}
    size_bytes, has_template = weights.file.size_bytes, weights.has_template
    return {"path": str(weights.path), "size_bytes": size_bytes, "has_template": has_template, **fields}


def _from_json(found: Any) -> OwnWeights:
    path = Path(_of(str, found["path"]))
    return OwnWeights(
        **{name: _of(str, found[name]) for name in _TEXTS},
        **{name: _of(int, found[name]) for name in _NUMBERS},
        file=Artifact(path.name, _of(int, found["size_bytes"]), ""),
        path=path,
        has_template=_of(bool, found["has_template"]),
    )


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def _whole_path(name: str) -> Path:
    return typed_path(name.strip()).absolute()


def _id_of(path: Path) -> str:
    return _NOT_IN_NAMES.sub("-", path.stem.lower()).strip("-.") or "model"
