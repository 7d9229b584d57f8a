"""The input of a batch: a file, or stdin."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatcli.cli.standard_streams import Terminal

STDIN: Final = "-"


def opened_input(name: str, terminal: Terminal) -> Any:
    """Return the input of that ``name`` as a context. Raise ``UsageError`` or ``LocalIOError`` if there is none."""
    if name == STDIN:
        if terminal.stdin is None or terminal.stdin_is_terminal:
            raise UsageError("there is nothing on stdin", hint="name a file, or pipe the rows in")
        return _unshared(terminal.stdin)
    path = typed_path(name)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        return path.open("rb")
    except OSError as error:
        raise LocalIOError(
            f"cannot read {name}: {error.strerror or error}", hint="check the path and its permissions"
        ) from error


def is_at(path: Path, file: BinaryIO) -> bool:
    """Return whether ``path`` is the ``file`` that is open."""
    with suppress(OSError, ValueError):
        status = os.fstat(file.fileno())
        return stat.S_ISREG(status.st_mode) and os.path.samestat(path.stat(), status)
    return False


@contextmanager
def _unshared(stdin: BinaryIO) -> Iterator[BinaryIO]:
    """Yield a reader of the same input that nobody closes.

    A thread may still wait in it at the end, and Python aborts if it then has to close its own ``sys.stdin``.
    """
    try:
        descriptor = stdin.fileno()
    except (OSError, ValueError):  # not a file of the system
        yield stdin
        return
    yield open(descriptor, "rb", closefd=False)  # noqa: SIM115 - a descriptor has no path
