"""A lock between processes, let go by the operating system when its holder dies."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatcli.core.errors import LocalIOError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``.

    :raises LocalIOError: another process, or another part of this one, holds it
    """
    with path.open("ab") as file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            raise LocalIOError(
                f"another chatcli is at work in {path.parent}",
                hint="wait until it is done, then try again",
                code="busy",
            ) from error
        yield


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
