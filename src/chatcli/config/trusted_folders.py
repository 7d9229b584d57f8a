"""The folders whose ``.env`` the person trusts: ``trusted-folders.json`` in the configuration folder.

Format 1; the content is that of the ``.env``, so that a changed one has to be trusted anew::

    {"format": 1, "folders": {"/home/ada/project": {"sha256": "…"}}}

A file of the same format in the cache folder remembers what was mentioned already.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chatcli.config.paths import write_private_file
from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.storage.private_files import close_to_others, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from chatcli.config.env_file_trust import Untrusted
    from chatcli.config.paths import Paths

_MOST_BYTES: Final = 10_000_000
_MOST_MENTIONED: Final = 500


class TrustedFolders:
    """SHA-256 sums by the real path of their folder, the ``most`` newest of them.

    Every method raises ``ConfigurationError`` for a file that cannot be read.
    """

    def __init__(self, path: Path, *, most: int | None = None) -> None:
        self._path = path
        self._most = most

    @classmethod
    def of(cls, paths: Paths) -> TrustedFolders:
        return cls(paths.config / "trusted-folders.json")

    def trusts(self, folder: Path, sha256: str) -> bool:
        return self.all().get(_real(folder)) == sha256

    def trust(self, folder: Path, sha256: str) -> None:
        """Trust this content in this folder, in place of another one. Raises ``LocalIOError``."""
        folders = self.all()
        folders.pop(_real(folder), None)
        newest = {**folders, _real(folder): sha256}
        self._write(newest if self._most is None else dict(list(newest.items())[-self._most :]))

    def remove(self, folder: Path) -> bool:
        """Trust the folder no longer; tell whether it was. Raises ``LocalIOError``."""
        folders = self.all()
        if folders.pop(_real(folder), None) is None:
            return False
        self._write(folders)
        return True

    def all(self) -> dict[str, str]:
        """Return the sums by folder, the one trusted last at the end."""
        try:
            content = read_regular(self._path, most_bytes=_MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {self._path}: {error.strerror or error}", hint="check its permissions"
            ) from error
        close_to_others(self._path)
        try:
            return _sums(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{self._path} is not a file of trusted folders: {error}",
                hint="remove it and trust the folders again: chatcli trust FOLDER",
            ) from error

    def _write(self, folders: dict[str, str]) -> None:
        document = {
            "format": 1,
            "folders": {folder: {"sha256": sha256} for folder, sha256 in folders.items()},
        }
        write_private_file(self._path, json.dumps(document, indent=2).encode() + b"\n")


def mention_once(untrusted: Untrusted, paths: Paths, *, remember: bool) -> bool:
    """Tell whether this content of this folder has still to be mentioned, and ``remember`` that it was.

    What cannot be remembered is mentioned again.
    """
    mentioned = TrustedFolders(paths.cache / "mentioned-folders.json", most=_MOST_MENTIONED)
    with suppress(ConfigurationError, LocalIOError):
        if mentioned.trusts(untrusted.folder, untrusted.sha256):
            return False
        if remember:
            mentioned.trust(untrusted.folder, untrusted.sha256)
    return True


def _sums(document: Any) -> dict[str, str]:
    """Return what a document of format 1 holds; ``ValueError`` for any other."""
    match document:
        case {"format": 1, "folders": dict(entries)}:
            return {folder: _sum(entry) for folder, entry in entries.items()}
        case {"format": int(number)} if number > 1:
            raise ValueError("it was written by a newer chatcli")
        case _:
            raise ValueError("it is not of format 1")


def _sum(entry: Any) -> str:
    match entry:
        case {"sha256": str(sha256)}:
            return sha256
        case _:
            raise ValueError("an entry has no sum")


def _real(folder: Path) -> str:
    return str(folder.resolve())
