"""An append-only file of records, written by one process at a time."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, find_header, not_a_session
from chatcli.sessions.records import HeaderRecord, encode
from chatcli.storage.json_lines import ExclusiveJsonLines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.sessions.records import Record


class RecordFile(ExclusiveJsonLines):
    """Appends records to a session file, which is made with the first one.

    While it is open the file is locked, so that no other process writes between the records of this one.
    ``follow_link`` says that the path is the person's own and may be a link.

    Methods that write raise ``LocalIOError``, ``ConfigurationError`` when the file turns out to be no session, and
    ``InUse``.
    """

    def __init__(self, path: Path, *, follow_link: bool = False) -> None:
        super().__init__(path, self._check_header, follow_link=follow_link)
        self._has_header = False

    def hold(self) -> bool:
        """Keep others from writing from now on; return whether they do not do so already.

        A file that is not there yet is not made, but will be taken for another's if somebody makes it meanwhile. One
        that cannot be written is found out when it is.
        """
        try:
            return super().hold()
        except (OSError, ConfigurationError):
            return True

    def append_record(self, record: Record) -> None:
        """Write ``record`` at the end; a header only where the file has none."""
        try:
            if isinstance(record, HeaderRecord):
                self.open()
                if self._has_header:
                    return
            self.append(encode(record))
        except OSError as error:
            raise _not_written(self.path, error) from error

    def begin(self, records: Iterable[Record]) -> None:
        """Make the file with ``records``, a header first; raise ``UsageError`` where there is one already."""
        try:
            self.create(b"".join(map(encode, records)))
        except FileExistsError as error:
            raise UsageError(
                f"{self.path} already exists",
                hint="use another name or path; nothing is ever overwritten",
                code="session_exists",
            ) from error
        except OSError as error:
            raise _not_written(self.path, error) from error

    def _check_header(self, descriptor: int) -> None:
        # A pipe with a name would be read for ever.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise not_a_session(self.path)
        self._has_header = find_header(os.read(descriptor, HEADER_SEARCH_BYTES), self.path) is not None


def _not_written(path: Path, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot write the session {path}: {error.strerror or error}",
        hint="fix that, use another -s path, or --no-save",
        code="session_not_written",
    )
