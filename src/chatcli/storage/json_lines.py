"""Append-only files with one JSON object a line, and the one policy for writing them.

Lines that belong together are one write at the end of the file, after the end of a torn last line, so that only that
record is unreadable. A short write is continued. If that fails, as on a full disk, what was written of it is taken back;
where others have written behind it meanwhile it stays, as it does when the process dies, and the next writer ends the
torn line. Either way the caller gets the ``OSError``, and the next write works.

A line is then with the operating system: it survives the end of its process however that comes. It is not forced to the
disk (fsync), which would cost milliseconds a line to guard against a power cut alone.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from chatcli.storage.file_lock import lock
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
"""A longer line is no record: memory is not endless."""

_SKIPPED_BYTES: Final = 1 << 20
_READ_BYTES: Final = 1 << 20
_TOO_LONG: Final = b"\0"
"""What stands for a line that is too long: no record either."""
_COMPARED_BYTES: Final = 1_000
_PATIENCE_S: Final = 0.05
"""Whoever only looks whether a file is locked holds its lock for microseconds."""


class InUse(Exception):
    """Another process writes to this file, or did since it was read here."""


def encode_line(fields: Mapping[str, Any]) -> bytes:
    """Return ``fields`` as a line, with its line feed; a lone surrogate becomes its JSON escape."""
    line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return line.encode("utf-8", "backslashreplace") + b"\n"


def lines_of(file: BinaryIO, *, longest_bytes: int = LONGEST_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines of a file, and of one that is longer than ``longest_bytes`` that it is none."""
    while line := file.readline(longest_bytes + 1):
        if len(line) <= longest_bytes:
            yield line
            continue
        yield _TOO_LONG
        _skip_line(file, line)


def append_lines(descriptor: int, lines: bytes) -> None:
    """Add whole lines at the end of a file that is open for appending: all of them, or none and an ``OSError``."""
    # A pipe with a name has no end to seek: nobody would ever read what is written to it.
    size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
    content = b"\n" + lines if _ends_torn(descriptor, size_bytes) else lines
    left = memoryview(content)
    try:
        while left:
            left = left[_write(descriptor, left) :]
    except BaseException:
        with suppress(OSError):
            # Where the file is larger, somebody wrote behind it who did not ask for the lock.
            if os.fstat(descriptor).st_size == size_bytes + len(content) - len(left):
                os.ftruncate(descriptor, size_bytes)
        raise


class SharedJsonLines:
    """A file that any process adds to.

    Whoever writes holds the lock beside it for that moment, so that nothing is lost when somebody puts fewer lines in
    its place. Readers need no lock: they see the old file or the new one. A link in its place is the person's own, as
    nobody else can write in this folder. Methods raise ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_suffix(".lock")

    def append(self, lines: bytes) -> None:
        """Add lines, each with its line feed; make the file and its folder if need be."""
        with self._locked():
            descriptor = open_for_append(self.path, follow_link=True)
            try:
                append_lines(descriptor, lines)
            finally:
                os.close(descriptor)

    def compact(self, fewer: Callable[[], Iterable[bytes] | None]) -> None:
        """Put the lines that ``fewer`` returns in place of all, unless it returns ``None``.

        It is called when nobody else can write, and reads the file. Where locks are not known and somebody did write,
        the file is left as it is.
        """
        with self._locked():
            size_bytes = self.path.stat().st_size
            lines = fewer()
            if lines is not None and self.path.stat().st_size == size_bytes:
                replace(self.path.resolve(), b"".join(lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = open_for_append(self._lock_path)
        try:
            lock(descriptor)
            yield
        finally:
            os.close(descriptor)


class LineFollower:
    """Reads what was added to a file since the last time, by whomever.

    ``start_over`` is called where what was read before does not count any more: the file is another one, was cut
    or is gone. Of a file with more than ``newest_bytes`` that are new only so much is read, from its end.
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
        """The last line, where it has no end yet: it is torn or on its way, and read again the next time."""

    def rewind(self) -> None:
        """Read the file from its start the next time."""
        self._identity, self._read_up_to, self._read_last, self.unfinished = None, 0, b"", b""
        self._start_over()

    def new_lines(self) -> Iterator[bytes]:
        """Yield the lines that have come, without line feeds; raise ``OSError`` where what is there cannot be read.

        Left before its end, it starts over the next time.
        """
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            self.rewind()
            return
        with file:
            status = os.fstat(file.fileno())
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity or not self._goes_on(file):
                self.rewind()
                self._identity = identity
            self._go_to_new(file, status.st_size)
            try:
                for lines in self._read(file):
                    yield from lines
            except BaseException:
                self.rewind()
                raise

    def _goes_on(self, file: BinaryIO) -> bool:
        # A file that was replaced twice may have its old number again.
        file.seek(self._read_up_to - len(self._read_last))
        return file.read(len(self._read_last)) == self._read_last

    def _go_to_new(self, file: BinaryIO, size_bytes: int) -> None:
        oldest = 0 if self._newest_bytes is None else size_bytes - self._newest_bytes
        start = max(self._read_up_to, oldest)
        file.seek(max(0, start - 1))
        if start:
            # From the end of the line before, so that a start inside a line loses that line alone.
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
        """Remember how far the file was read, but for its unfinished end; ``read`` is what was read last."""
        self._read_up_to = file.tell() - len(self.unfinished)
        self._read_last = read[-_COMPARED_BYTES:]


class ExclusiveJsonLines:
    """A file that one process adds to: it is locked while it is open, and made with the first line.

    ``check`` is given the descriptor once the lock is taken, reads what it wants and raises what keeps the file from
    being written to. ``follow_link`` says that the path is the person's own and may be a link, ``is_new`` that nobody has
    made the file: what is in it all the same is another's. Methods raise ``OSError`` and, but for ``hold``, ``InUse``.
    """

    def __init__(
        self, path: Path, check: Callable[[int], None], *, follow_link: bool = False, is_new: bool = False
    ) -> None:
        self.path = path
        self._check = check
        self._follow_link = follow_link
        self._descriptor: int | None = None
        self._seen_bytes: int | None = 0 if is_new else None

    def hold(self) -> bool:
        """Keep others from writing from now on; return whether they do not do so already.

        A file that is not there yet is not made, but will be taken for another's if somebody makes it meanwhile.
        """
        try:
            self._descriptor = self._locked(open_existing(self.path, follow_link=self._follow_link))
        except FileNotFoundError:
            self._seen_bytes = 0
        except InUse:
            return False
        return True

    def open(self) -> None:
        """Make the file if need be, and keep others from writing to it."""
        if self._descriptor is None:
            self._descriptor = self._locked(open_for_append(self.path, follow_link=self._follow_link))

    def append(self, lines: bytes) -> None:
        """Add lines, each with its line feed, at the end of the file, which is opened if need be."""
        self.open()
        assert self._descriptor is not None  # noqa: S101 - opened above
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(None, "it was removed")
        append_lines(self._descriptor, lines)

    def create(self, lines: bytes) -> None:
        """Make the file with ``lines``; raise ``FileExistsError`` where there is one."""
        make_folder(self.path.parent)
        create(self.path, lines)
        self._seen_bytes = len(lines)

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        if self._descriptor is not None:
            self._seen_bytes = os.fstat(self._descriptor).st_size
            os.close(self._descriptor)
            self._descriptor = None

    def _locked(self, descriptor: int) -> int:
        """Lock an open file and return it. Closed again, it is as it was."""
        try:
            self._refuse_anothers(descriptor)
            # Checked on the open file, whatever was checked on the path before.
            self._check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse_anothers(self, descriptor: int) -> None:
        has_changed = self._seen_bytes not in (None, os.fstat(descriptor).st_size)
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
    """Go to the end of a line of which ``beginning`` was read; return the last of it, nothing where it has no end."""
    end = beginning
    while end and not end.endswith(b"\n"):
        end = file.readline(_SKIPPED_BYTES)
    return end
