"""The program's folders, private files in them, and the ``.env`` of a working folder."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.core.frozen import frozen
from chatcli.storage.file_lock import holding
from chatcli.storage.private_files import make_folder, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATH_VARIABLES: Mapping[str, str] = {
    "CHATCLI_CONFIG_DIR": "Folder of config.toml",
    "CHATCLI_DATA_DIR": "Folder of the sessions",
    "CHATCLI_CACHE_DIR": "Folder of caches",
    "CHATCLI_LOCAL_DIR": "Folder of the embedded model (default: local in the data folder)",
}

NO_LAZY_IMPORT: Final = "CHATCLI_NO_LAZY_IMPORT"
"""Set to 1, all of the openai package is imported at once; read before anything else is loaded."""

DOT_ENV: Final = ".env"
"""The name of the file, and of the origin of its values."""

_PRIVATE = 0o700
_LOCK: Final = ".lock"


@frozen
class Paths:
    """The program's folders; none of them needs to exist."""

    config: Path
    data: Path
    cache: Path
    local: Path


def find_paths(environment: Mapping[str, str]) -> Paths:
    """Return the folders of the environment, or else the platform's own (platformdirs).

    Raise ``ConfigurationError`` if there is neither, as for a user without a home.
    """
    data = _folder(environment, "CHATCLI_DATA_DIR", "user_data_path")
    local = environment.get("CHATCLI_LOCAL_DIR")
    return Paths(
        config=_folder(environment, "CHATCLI_CONFIG_DIR", "user_config_path"),
        data=data,
        cache=_folder(environment, "CHATCLI_CACHE_DIR", "user_cache_path"),
        local=Path(local) if local else data / "local",
    )


def env_file_of(folder: Path) -> Path | None:
    """Return the ``.env`` of a folder, ``None`` if it has none or it cannot be accessed.

    A folder of that name is a Python environment, and ignored.
    """
    path = folder / DOT_ENV
    with suppress(OSError):
        if path.exists() and not path.is_dir():
            return path
    return None


def obstacle(folder: Path) -> str | None:
    """Return why a folder, existing or not, cannot be written to; ``None`` if it can."""
    try:
        there = next(level for level in (folder, *folder.parents) if level.exists() or level.is_symlink())
        if not there.exists():
            return f"{there} is a link to a folder that does not exist"
        if not there.is_dir():
            return f"{there} is not a folder"
    except OSError as error:
        return error.strerror or str(error)
    return None if os.access(there, os.W_OK) else f"{there} cannot be written"


def ensure_private_folder(path: Path) -> Path:
    """Make the folder with mode 0700, along with missing parents; return it.

    On Windows the folder keeps the access rights of the user's profile. Raise ``LocalIOError``.
    """
    try:
        make_folder(path)
        _restrict(path)
    except OSError as error:
        raise LocalIOError(
            f"cannot make the folder {path}: {error.strerror or error}",
            hint=f"check the permissions there, or choose another folder with {_either(PATH_VARIABLES)}",
        ) from error
    return path


def write_private_file(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` atomically, with mode 0600.

    A missing folder is made with mode 0700. Links are followed, as they are the person's own choice. Raise
    ``LocalIOError``.
    """
    ensure_private_folder(path.parent)
    try:
        replace(path.resolve(), content, durably=True)
    except OSError as error:
        raise _not_written(path, error) from error


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep other chatclis from changing ``path`` between reading and replacing it, which both belong in here.

    A change that was made from an older content would undo another's. Raise ``LocalIOError``.
    """
    ensure_private_folder(path.parent)
    with ExitStack() as held:
        try:
            held.enter_context(holding(path.with_name(_LOCK)))
        except OSError as error:
            raise _not_written(path, error) from error
        yield


def _not_written(path: Path, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot write {path}: {error.strerror or error}",
        hint="check the permissions of the file and its folder, and the space on the disk",
    )


def _restrict(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(0, "a file is in its place")
    if mode & stat.S_ISVTX:
        # Making a shared place private would lock everyone else out.
        raise PermissionError(0, "it is shared with other users")
    if stat.S_IMODE(mode) != _PRIVATE:
        path.chmod(_PRIVATE)


def _folder(environment: Mapping[str, str], variable: str, function: str) -> Path:
    if named := environment.get(variable):
        return Path(named)
    import platformdirs  # noqa: PLC0415 -- 10 ms that a fully configured start does not need

    try:
        path: Path = getattr(platformdirs, function)("chatcli", appauthor=False)
    except (OSError, RuntimeError) as error:
        raise _homeless(variable) from error
    if not path.is_absolute():
        raise _homeless(variable)
    return path


def _homeless(variable: str) -> ConfigurationError:
    return ConfigurationError("there is no home folder", hint=f"set HOME, or {variable}")


def _either(names: Mapping[str, str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
