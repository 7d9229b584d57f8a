"""A lock between processes, let go by the operating system when its holder dies."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatcli.core.errors import LocalIOError
from chatcli.storage.file_lock import try_to_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
