"""Files only their owner can read, written in one step."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.config.paths import ensure_private_folder
from chatcli.core.errors import LocalIOError
from chatcli.safety import private_files

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE = 0o600
_OF_OTHERS = 0o077


def write_private_file(path: Path, content: bytes) -> None:
    """Put ``content`` in place of ``path``: a reader sees the old file or the new one, with mode 0600.

    The folder is made if need be, with mode 0700. A link is followed, as it is the person's own choice. Raises
    ``LocalIOError``.
    """
    ensure_private_folder(path.parent)
    try:
        private_files.replace(path.resolve(), content, durably=True)
    except OSError as error:
        raise LocalIOError(
            f"cannot write {path}: {error.strerror or error}",
            hint="check the permissions of the file and its folder, and the space on the disk",
        ) from error


def close_to_others(path: Path) -> None:
    """Take the rights of group and others away; where that is not allowed, or not known (Windows), do nothing."""
    if os.name != "posix":
        return
    with suppress(OSError):
        if path.stat().st_mode & _OF_OTHERS:
            path.chmod(_PRIVATE)
