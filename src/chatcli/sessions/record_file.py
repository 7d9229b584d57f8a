"""An append-only file of records, written by one process at a time."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, find_header, not_a_session
from chatcli.sessions.records import HeaderRecord, encode
from chatcli.storage.file_lock import lock
from chatcli.storage.private_files import create, make_folder, open_existing, open_for_append

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatcli.sessions.records import Record


_PATIENCE_S: Final = 0.05


class InUse(Exception):
    """Another process writes to this file, or did since it was read here."""


class RecordFile:
    """Appends records to a session file, which is made with the first one.

    A record is one write and is then with the operating system: it survives the end of this process however it
    comes. It is not forced to the disk (fsync), which would cost milliseconds a record to guard against a power cut
    alone; a line torn by one is skipped by every reader.

    While it is open the file is locked, so that no other process writes between the records of this one.
    ``follow_link`` says that the path is the person's own and may be a link.

    Methods that write raise ``LocalIOError``, ``ConfigurationError`` when the file turns out to be no session, and
    ``InUse``.
    """

    def __init__(self, path: Path, *, follow_link: bool = False) -> None:
        self.path = path
        self._follow_link = follow_link
        self._descriptor: int | None = None
        self._seen_bytes: int | None = None
        self._has_header = False
        self._torn = False

    def hold(self) -> bool:
        """Keep others from writing from now on; return whether they do not do so already.

        A file that is not there yet is not made, but will be taken for another's if somebody makes it meanwhile. One
        that cannot be written is found out when it is.
        """
        try:
            self._descriptor = self._locked(open_existing(self.path, follow_link=self._follow_link))
        except FileNotFoundError:
            self._seen_bytes = 0
        except InUse:
            return False
        except (OSError, ConfigurationError):
            pass
        return True

    def append(self, record: Record) -> None:
        """Write ``record`` at the end; a header only where the file has none."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            if isinstance(record, HeaderRecord) and self._has_header:
                return
            self._write(self._descriptor, encode(record))
        except OSError as error:
            raise _not_written(self.path, error) from error

    def begin(self, records: Iterable[Record]) -> None:
        """Make the file with ``records``, a header first; raise ``UsageError`` where there is one already."""
        content = b"".join(map(encode, records))
        try:
            make_folder(self.path.parent)
            create(self.path, content)
        except FileExistsError as error:
            raise UsageError(
                f"{self.path} already exists",
                hint="use another name or path; nothing is ever overwritten",
                code="session_exists",
            ) from error
        except OSError as error:
            raise _not_written(self.path, error) from error
        self._seen_bytes = len(content)

    def close(self) -> None:
        """Let go of the file; the next record opens it again."""
        if self._descriptor is not None:
            self._seen_bytes = os.fstat(self._descriptor).st_size
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        make_folder(self.path.parent)
        return self._locked(open_for_append(self.path, follow_link=self._follow_link))

    def _locked(self, descriptor: int) -> int:
        """Lock an open file and return it. Closed again, it is as it was."""
        try:
            self._refuse_what_is_no_file(descriptor)
            self._refuse_anothers(descriptor)
            # Checked on the open file, whatever was checked on the path before: only a session is written to.
            header = find_header(os.read(descriptor, HEADER_SEARCH_BYTES), self.path)
            self._has_header = header is not None
            self._torn = _ends_torn(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse_what_is_no_file(self, descriptor: int) -> None:
        # A pipe with a name would be read for ever.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise not_a_session(self.path)

    def _refuse_anothers(self, descriptor: int) -> None:
        has_changed = self._seen_bytes not in (None, os.fstat(descriptor).st_size)
        if not _lock_in_time(descriptor) or has_changed:
            raise InUse

    def _write(self, descriptor: int, line: bytes) -> None:
        if os.fstat(descriptor).st_nlink == 0:
            raise FileNotFoundError(None, "it was removed")
        # A torn line gets its end first, so that it stays alone in being unreadable.
        left = memoryview(b"\n" + line if self._torn else line)
        while left:
            written = os.write(descriptor, left)
            self._torn = True
            left = left[written:]
        self._torn = False


def _lock_in_time(descriptor: int) -> bool:
    try:
        # Whoever only looks whether it is locked holds it for microseconds.
        lock(descriptor, patience_s=_PATIENCE_S)
    except OSError:
        return False
    return True


def _ends_torn(descriptor: int) -> bool:
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return False
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) != b"\n"


def _not_written(path: Path, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot write the session {path}: {error.strerror or error}",
        hint="fix that, use another -s path, or --no-save",
        code="session_not_written",
    )
