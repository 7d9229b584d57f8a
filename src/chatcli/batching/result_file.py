"""The output file of a batch: one record for each row of the input, in a file that any crash leaves usable.

Rows are appended as they finish, so that no answer that was paid for waits in memory for a slow one before it, and the
file is put in the order of the input when the run ends. What is kept in memory of a row is 8 bytes: the digest of its input, by
which ``--resume`` finds the rows that are done, and refuses an input that is another one.

If somebody deletes or replaces the file meanwhile, its results are written anew from what is still open.
"""

from __future__ import annotations

import os
import stat
from array import array
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from chatcli.batching.results import JsonLines
from chatcli.core.errors import LocalIOError, UsageError
from chatcli.storage.file_lock import try_to_lock
from chatcli.storage.json_lines import append_lines
from chatcli.storage.private_files import check_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from chatcli.batching.results import BatchResult, ResultFormat


_MODE: Final = 0o666
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | _BINARY
_CHUNK_BYTES: Final = 1 << 20

SAME_INPUT: Final = (
    "name the same input, and ask with the same --prompt, -S and --schema, or name another --out"
)
"""What to do where rows are not those of the results."""


class DoneRows:
    """The rows that have a result, by index, with the digests of their input; 0 is none. None of them is at ``end`` or behind it."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self.count = 0
        self.end = 0
        self.failed = 0

    def count_within(self, total: int | None) -> int:
        """Return how many of the first ``total`` rows have a result, of all if nobody knows their number."""
        if total is None:
            return self.count
        within = self._digests[:total]
        return len(within) - within.count(0)

    def add(self, index: int, digest: int) -> None:
        if index >= len(self._digests):
            self._digests.frombytes(bytes(8 * (max(index + 1, 2 * len(self._digests)) - len(self._digests))))
        self.count += not self._digests[index]
        self._digests[index] = digest
        self.end = max(self.end, index + 1)

    def digest(self, index: int) -> int:
        """Return the digest of a row's input, 0 if it has no result."""
        return self._digests[index] if index < len(self._digests) else 0

    def is_done(self, index: int, digest: int) -> bool:
        """Return whether the row has a result. Raise ``UsageError`` if that is one of another input."""
        before = self.digest(index)
        if before not in (0, digest):
            raise other_input(index)
        return before != 0


def other_input(index: int) -> UsageError:
    """Return the error for a row that has changed since it was asked."""
    return UsageError(
        f"the results are of other rows: row {index:,} is another one, or is asked with something else",
        hint=f"{SAME_INPUT}; --force starts over",
        code="other_input",
    )


class ResultFile:
    """The output file of one run, locked while it is open. Methods raise ``LocalIOError``.

    ``notify`` gets a line if the file is not where it was. ``path`` is another one then.
    """

    def __init__(
        self,
        path: Path,
        format_: ResultFormat | None = None,
        *,
        redact: Callable[[str], str] = str,
        notify: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.path = path
        self.done = DoneRows()
        self._format: ResultFormat = format_ or JsonLines()
        self._notify = notify
        self._redact = redact
        self._descriptor = -1
        self._is_to_drop = False

    def open(self, *, resumes: bool = False, replaces: bool = False, retries_failed: bool = False) -> None:
        """Open the file; read which rows are done if it ``resumes``, without the failed ones if it ``retries_failed``.

        They leave the file with ``drop_failed``, so that it stays as it is if the run is refused.

        An existing file is refused otherwise, unless it ``replaces`` it. Raise ``UsageError`` for that, and for a file
        that holds something else.
        """
        try:
            self._open()
            if replaces:
                os.ftruncate(self._descriptor, 0)
            elif resumes:
                self._read(retries_failed=retries_failed)
            else:
                self._refuse_content()
            if self._format.header and not os.fstat(self._descriptor).st_size:
                append_lines(self._descriptor, self._format.header)
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        except BaseException:
            self.close()
            raise

    def drop_failed(self) -> None:
        """Remove the failed rows that are to be asked again, all in one step."""
        if self._is_to_drop:
            self._is_to_drop = False
            try:
                self._replace(record for record in self._stored_records() if not self._has_failed(record))
            except OSError as error:
                raise self._failed(error) from error

    def append(self, results: Iterable[BatchResult]) -> None:
        """Append the results; they are with the operating system when this returns."""
        records = []
        for result in results:
            records.append(self._format.record(result, self._redact))
            self.done.add(result.index, result.digest)
            self.done.failed += result.error is not None
        if not records:
            return
        try:
            append_lines(self._descriptor, b"".join(records))
            self._check_place()
        except OSError as error:
            raise self._failed(error) from error

    def finish(self, *, in_order: bool) -> None:
        """Write everything to the disk, ``in_order`` of the input."""
        try:
            self._check_place()
            if in_order:
                self._sort()
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.fsync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self._descriptor = os.open(self.path, _APPEND, _MODE)
        check_regular(os.fstat(self._descriptor))
        if not try_to_lock(self._descriptor):
            raise UsageError(
                f"another batch is writing {self.path}",
                hint="wait for it, or name another --out",
                code="output_in_use",
            )

    def _refuse_content(self) -> None:
        if not self._has_no_rows():
            raise UsageError(
                f"{self.path} exists",
                hint="--resume continues it, --force starts over, or name another --out",
                code="output_exists",
            )

    def _read(self, *, retries_failed: bool) -> None:
        """Note the rows that are done, and cut off a last record that is torn."""
        header = self._format.header
        if self._has_no_rows():
            return
        if self._beginning() != header:
            raise UsageError(
                f"{self.path} does not have the columns of these results",
                hint="name the same input, --schema and --web-search, or another --out; --force starts over",
                code="not_results",
            )
        end_bytes, failed, lines = len(header), 0, header.count(b"\n")
        with self._reader() as file:
            file.seek(end_bytes)
            for record in self._records(file):
                row = self._format.stored(record)
                if row is None and self._format.is_torn(record) and file.read(1) == b"":
                    break  # torn when the run was killed
                if row is None:
                    raise UsageError(
                        f"{self.path}, line {lines + 1:,}: not a result of chatcli batch",
                        hint="remove that line, and its row is asked again; --force starts over and drops all results"
                        if self.done.count
                        else "name another --out; --force writes a new file in its place",
                        code="not_results",
                    )
                end_bytes += len(record)
                lines += record.count(b"\n")
                failed += row.has_failed
                if not (row.has_failed and retries_failed):
                    self.done.add(row.position, row.digest)
        os.ftruncate(self._descriptor, end_bytes)
        self._is_to_drop = retries_failed and failed > 0
        self.done.failed = 0 if retries_failed else failed

    def _has_no_rows(self) -> bool:
        """Return whether there is at most the header, which may be torn: it is written anew."""
        header = self._format.header
        size_bytes = os.fstat(self._descriptor).st_size
        if size_bytes > len(header) or not header.startswith(self._beginning()):
            return False
        if size_bytes:
            os.ftruncate(self._descriptor, 0)
        return True

    def _beginning(self) -> bytes:
        with self._reader() as file:
            begun: bytes = file.read(len(self._format.header))
            return begun

    def _has_failed(self, record: bytes) -> bool:
        row = self._format.stored(record)
        return row is not None and row.has_failed

    def _sort(self) -> None:
        starts, at_bytes, order = array("Q"), len(self._format.header), array("Q")
        for record in self._stored_records():
            row = self._format.stored(record)
            if row is not None:
                order.append(row.position)
                starts.append(at_bytes)
            at_bytes += len(record)
        if all(before < after for before, after in pairwise(order)):
            return
        with self._reader() as file:
            self._replace(self._placed(file, order, starts))

    def _placed(self, file: Any, order: array[int], starts: array[int]) -> Iterator[bytes]:
        for position in sorted(range(len(order)), key=order.__getitem__):
            file.seek(starts[position])
            yield self._format.read(file)

    def _stored_records(self) -> Iterator[bytes]:
        with self._reader() as file:
            file.seek(len(self._format.header))
            yield from self._records(file)

    def _records(self, file: Any) -> Iterator[bytes]:
        while record := self._format.read(file):
            yield record

    def _reader(self) -> Any:
        return self.path.open("rb")

    def _replace(self, records: Iterable[bytes]) -> None:
        """Replace the content in one step, whenever the run is killed."""
        target = self.path.resolve()  # a link stays one
        temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
        try:
            with temporary.open("xb", buffering=_CHUNK_BYTES) as file:
                file.write(self._format.header)
                file.writelines(record if record.endswith(b"\n") else record + b"\n" for record in records)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(os.fstat(self._descriptor).st_mode & 0o777)
            if os.name == "nt":
                self.close()  # Windows replaces no open file
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self.close()
        self._open()

    def _check_place(self) -> None:
        """Write the results anew if the file is no longer at its path."""
        try:
            if os.path.samestat(self.path.stat(), os.fstat(self._descriptor)):
                return
            is_vacant = False
        except (FileNotFoundError, NotADirectoryError):
            is_vacant = True
        lost, place = self._descriptor, self.path
        if is_vacant:
            place.parent.mkdir(parents=True, exist_ok=True)
        else:
            place = place.with_name(f"{place.stem}.{os.urandom(2).hex()}{place.suffix}")
        copy = os.open(place, _APPEND | os.O_EXCL, os.fstat(lost).st_mode & 0o777)
        try:
            os.lseek(lost, 0, os.SEEK_SET)
            while chunk := os.read(lost, _CHUNK_BYTES):
                left = memoryview(chunk)
                while left:
                    left = left[os.write(copy, left) :]
            os.fsync(copy)
        except BaseException:
            os.close(copy)
            with suppress(OSError):
                place.unlink()
            raise
        try_to_lock(copy)
        os.close(lost)
        what = "was deleted or moved" if is_vacant else "is another file now"
        self._notify(f"{self.path} {what}; the results are in {'it again' if is_vacant else place}")
        self._descriptor, self.path = copy, place

    def _failed(self, error: OSError) -> LocalIOError:
        return LocalIOError(
            f"cannot write {self.path}: {error.strerror or error}",
            hint="check the path, its permissions and the disk",
        )
