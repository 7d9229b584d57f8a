"""The output file of ``--out``."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.core.typed_paths import typed_path

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    """Raise ``UsageError`` if a file is there already, unless it may be overwritten; devices and pipes may."""
    existing = [] if force else [path for path in paths if path.is_file()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise UsageError(
            f"{existing[0]}{more} already exists",
            hint="choose another --out, or --force to overwrite",
            code="file_exists",
        )


class OutputFile:
    """A file that gets its name only once something was written: a failure preserves an earlier answer.

    Devices and pipes are written to directly: there is no earlier answer, and a rename would replace them.
    """

    has_room: Final = True

    def __init__(self, name: str) -> None:
        self._path = typed_path(name)
        try:
            if self._path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            if self._path.exists() and not self._path.is_file():
                handle, self._temporary = os.open(self._path, os.O_WRONLY), None
            else:
                handle, self._temporary = self._placeholder()
        except OSError as error:
            raise self._not_written(error) from error
        self._file = os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="")
        self._is_worth_a_name = False

    def close(self) -> None:
        try:
            self._file.close()
            if self._temporary is not None and self._is_worth_a_name:
                self._temporary.chmod(self._mode())
                self._temporary.replace(self._path.resolve())
            elif self._temporary is not None:
                self._temporary.unlink()
        except OSError as error:
            with suppress(OSError):
                if self._temporary is not None:
                    self._temporary.unlink()
            raise self._not_written(error) from error

    def _placeholder(self) -> tuple[int, Path]:
        """Open the temporary file beside the target; links are followed."""
        meant = self._path.resolve()
        handle, temporary = tempfile.mkstemp(prefix=f".{meant.name}.", dir=meant.parent)
        return handle, Path(temporary)

    def write(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._is_worth_a_name = False
            raise self._not_written(error) from error
        self._is_worth_a_name = True

    def _mode(self) -> int:
        """Return the permissions of the replaced file, or the default ones under the person's umask."""
        try:
            return self._path.stat().st_mode & 0o777
        except OSError:
            mask = os.umask(0o077)
            os.umask(mask)
            return 0o666 & ~mask

    def _not_written(self, error: OSError | RuntimeError) -> LocalIOError:
        reason = getattr(error, "strerror", None) or error  # a link to itself has none
        return LocalIOError(
            f"cannot write {self._path}: {reason}", hint="check the path, its permissions and the disk"
        )
