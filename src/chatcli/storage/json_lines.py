"""Append-only files with one JSON object a line, and the one policy for writing them.

Lines that belong together are one write at the end of the file, after a line feed if the last line is torn,
so that only that record is unreadable. A short write is continued. If that fails, as on a full disk, the
written part is removed again; it stays if another process has written behind it or if the process dies, and
the next writer terminates the torn line. Either way the caller gets the ``OSError``, and the next write
works.

A written line is with the operating system: it survives any end of its process. It is not forced to the disk
(fsync), which would cost milliseconds a line and guard only against a power cut.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chatcli.storage.file_lock import holding, lock
from chatcli.storage.private_files import (
    create,
    make_folder,
    open_existing,
    open_for_append,
    open_regular,
    replace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

LONGEST_LINE_BYTES: Final = 1 << 28
"""A longer line is not a record: memory is limited."""

_SKIPPED_BYTES: Final = 1 << 20
_READ_BYTES: Final = 1 << 20
_TOO_LONG: Final = b"\0"
"""Yielded in place of a line that is too long; not a valid record either."""
_COMPARED_BYTES: Final = 1_000
_PATIENCE_S: Final = 0.05
"""A process that only checks for a lock holds it for microseconds."""


class InUse(Exception):
    """Another process is writing to this file, or has written to it since it was read."""


def encode_line(fields: Mapping[str, Any]) -> bytes:
    """Return ``fields`` as a line with its line feed; a lone surrogate becomes its JSON escape."""
    line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return line.encode("utf-8", "backslashreplace") + b"\n"


def lines_of(file: BinaryIO, *, longest_bytes: int = LONGEST_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines of a file; of a line longer than ``longest_bytes``, only the fact that it is invalid."""
    while line := file.readline(longest_bytes + 1):
        if len(line) <= longest_bytes:
            yield line
            continue
        yield _TOO_LONG
        _skip_line(file, line)


def append_lines(descriptor: int, lines: bytes) -> None:
    """Append whole lines to a file open for appending: all of them, or none and an ``OSError``."""
    # A named pipe has no end to seek to, and nobody would read from it.
    size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
    content = b"\n" + lines if _ends_torn(descriptor, size_bytes) else lines
    left = memoryview(content)
    try:
        while left:
            left = left[_write(descriptor, left) :]
    except BaseException:
        with suppress(OSError):
            # If the file is larger, a process that ignores the lock has written behind it.
            if os.fstat(descriptor).st_size == size_bytes + len(content) - len(left):
                os.ftruncate(descriptor, size_bytes)
        raise


class SharedJsonLines:
    """A file that any process appends to.

    A writer holds the lock beside the file while it writes, so that nothing is lost when another process
    compacts it. Readers need no lock: they see the old file or the new one. A link in its place belongs to
    the person, as nobody else can write to this folder. Methods raise ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_suffix(".lock")

    def append(self, lines: bytes) -> None:
        """Append lines, each with its line feed; create the file and its folder if necessary."""
        with holding(self._lock_path):
            descriptor = open_for_append(self.path, follow_link=True)
            try:
                append_lines(descriptor, lines)
            finally:
                os.close(descriptor)

    def compact(self, fewer: Callable[[], Iterable[bytes] | None]) -> None:
        """Replace all lines by those that ``fewer`` returns, unless it returns ``None``.

        ``fewer`` reads the file while other writers are locked out. On file systems without locks the file is
        left alone if it was written to meanwhile.
        """
        with holding(self._lock_path):
            size_bytes = self.path.stat().st_size
            lines = fewer()
            if lines is not None and self.path.stat().st_size == size_bytes:
                replace(self.path.resolve(), b"".join(lines))


class LineFollower:
    """Reads the lines added to a file since the last call, by any process.

    ``start_over`` is called if the lines read before no longer count: the file was replaced, truncated or
    deleted. If more than ``newest_bytes`` are new, only the last ``newest_bytes`` are read.
    """

    def __init__(
        self,
        path: Path,
        start_over: Callable[[], None] = lambda: None,
        *,
        newest_bytes: int | None = None,
        longest_line_bytes: int = LONGEST_LINE_BYTES,
    ) -> None:
        self._path = path
        self._start_over = start_over
        self._newest_bytes = newest_bytes
        self._longest_line_bytes = longest_line_bytes
        self._identity: tuple[int, int] | None = None
        self._read_up_to = 0
        self._read_last = b""
        self.unfinished = b""
        """The last line if it has no end yet: torn or incomplete, it is read again next time."""

    def rewind(self) -> None:
        """Read the file from its start next time."""
        self._identity, self._read_up_to, self._read_last, self.unfinished = None, 0, b"", b""
        self._start_over()

    def new_lines(self) -> Iterator[bytes]:
        """Yield the new lines without line feeds; raise ``OSError`` if they cannot be read.

        If the caller stops early, the next call starts over.
        """
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            self.rewind()
            return
        with file:
            status = os.fstat(file.fileno())
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity or not self._is_same_file(file):
                self.rewind()
                self._identity = identity
            self._go_to_new(file, status.st_size)
            try:
                for lines in self._read(file):
                    yield from lines
            except BaseException:
                self.rewind()
                raise

    def _is_same_file(self, file: BinaryIO) -> bool:
        # A file that was replaced twice may have its old inode number again.
        file.seek(self._read_up_to - len(self._read_last))
        return file.read(len(self._read_last)) == self._read_last

    def _go_to_new(self, file: BinaryIO, size_bytes: int) -> None:
        oldest = 0 if self._newest_bytes is None else size_bytes - self._newest_bytes
        start = max(self._read_up_to, oldest)
        file.seek(max(0, start - 1))
        if start:
            # Start at the end of the line before, so that a start inside a line loses only that line.
            file.readline()

    def _read(self, file: BinaryIO) -> Iterator[list[bytes]]:
        self.unfinished = b""
        while not self.unfinished and (content := file.read(_READ_BYTES)):
            if not content.endswith(b"\n"):
                content += file.readline(self._longest_line_bytes)
            whole, newline, end = content.rpartition(b"\n")
            lines = whole.split(b"\n") if newline else []
            if len(end) >= self._longest_line_bytes:
                lines.append(_TOO_LONG)
                self._note(file, _skip_line(file, end))
            else:
                self.unfinished = end
                if newline:
                    self._note(file, whole + newline)
            yield lines

    def _note(self, file: BinaryIO, read: bytes) -> None:
        """Store the position up to which whole lines were read; ``read`` are the bytes read last."""
        self._read_up_to = file.tell() - len(self.unfinished)
        self._read_last = read[-_COMPARED_BYTES:]


class ExclusiveJsonLines:
    """A file that one process appends to: it is locked while open, and created with its first line.

    ``check`` receives the descriptor once the lock is held and raises if the file must not be written to.
    ``follow_link``: the person chose the path, which may be a link. ``is_new``: the file should not exist
    yet; content found in it belongs to another process. Methods raise ``OSError`` and, except ``hold``,
    ``InUse``.
    """

    def __init__(
        self, path: Path, check: Callable[[int], None], *, follow_link: bool = False, is_new: bool = False
    ) -> None:
        self.path = path
        self._check = check
        self._follow_link = follow_link
        self._descriptor: int | None = None
        self._read_before_bytes: int | None = 0 if is_new else None

    def hold(self) -> bool:
        """Lock out other writers from now on; return ``False`` if one of them already holds the lock.

        A missing file is not created; if another process creates it meanwhile, it counts as that process's
        file.
        """
        try:
            self._descriptor = self._locked(open_existing(self.path, follow_link=self._follow_link))
        except FileNotFoundError:
            self._read_before_bytes = 0
        except InUse:
            return False
        return True

    def open(self) -> None:
        """Create the file if necessary, and lock out other writers."""
        if self._descriptor is None:
            self._descriptor = self._locked(open_for_append(self.path, follow_link=self._follow_link))

    def append(self, lines: bytes) -> None:
        """Append lines, each with its line feed; open the file if necessary."""
        self.open()
        assert self._descriptor is not None  # noqa: S101 - opened above
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(None, "it was removed")
        append_lines(self._descriptor, lines)

    def create(self, lines: bytes) -> None:
        """Create the file with ``lines``; raise ``FileExistsError`` if it exists."""
        make_folder(self.path.parent)
        create(self.path, lines)
        self._read_before_bytes = len(lines)

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        if self._descriptor is not None:
            self._read_before_bytes = os.fstat(self._descriptor).st_size
            os.close(self._descriptor)
            self._descriptor = None

    def _locked(self, descriptor: int) -> int:
        """Lock an open file and return it; close it if that fails."""
        try:
            self._refuse_foreign(descriptor)
            # The open file is checked, whatever was true of the path before.
            self._check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse_foreign(self, descriptor: int) -> None:
        has_changed = self._read_before_bytes not in (None, os.fstat(descriptor).st_size)
        if not _lock_soon(descriptor) or has_changed:
            raise InUse


def _lock_soon(descriptor: int) -> bool:
    try:
        lock(descriptor, patience_s=_PATIENCE_S)
    except OSError:
        return False
    return True


def _write(descriptor: int, content: memoryview) -> int:
    written = os.write(descriptor, content)
    if not written:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return written


def _ends_torn(descriptor: int, size_bytes: int) -> bool:
    if not size_bytes:
        return False
    os.lseek(descriptor, size_bytes - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"


def _skip_line(file: BinaryIO, beginning: bytes) -> bytes:
    """Skip to the end of a line whose ``beginning`` was read; return its last bytes, or nothing if it has no end."""
    end = beginning
    while end and not end.endswith(b"\n"):
        end = file.readline(_SKIPPED_BYTES)
    return end
