r"""The results of a batch: one JSON line for each row of the input, in a file that any crash leaves usable.

Rows are appended as they finish, so that no answer that was paid for waits in memory for a slow one before it, and the
file is put in the order of the input when the run ends. What is kept in memory of a row is 8 bytes: the digest of its input, by
which ``--resume`` finds the rows that are done, and refuses an input that is another one.
"""

from __future__ import annotations

import json
import os
from array import array
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from chatcli.batching.row_requests import RowId  # noqa: TC001 - found by whoever reads the annotations
from chatcli.core.codec import tool_call_fields, usage_fields
from chatcli.core.errors import ChatcliError, EndpointError, LocalIOError, UsageError
from chatcli.core.events import Usage
from chatcli.core.messages import ToolCallPart  # noqa: TC001 - as above
from chatcli.storage.file_lock import try_to_lock
from chatcli.storage.json_lines import append_lines, lines_of
from chatcli.text.sanitizer import json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


_NO_USAGE: Final = Usage()
_MODE: Final = 0o666
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | _BINARY
_CHUNK_BYTES: Final = 1 << 20
_BEGINNING: Final = b'{"id": '


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one row: an answer, or an ``error`` with the part of the answer received in ``text``.

    ``index`` is the row's number in the input, from 0, ``id`` its own. ``latency_s`` includes retries and waits for rate
    limits. ``digest`` stands for the content of the row.
    """

    id: RowId
    index: int
    text: str = ""
    error: ChatcliError | None = None
    finish_reason: str | None = None
    usage: Usage = _NO_USAGE
    latency_s: float | None = None
    attempts: int = 1
    cost_usd: float | None = None
    model: str | None = None
    cached: bool = False
    refusal: str | None = None
    tool_calls: tuple[ToolCallPart, ...] = ()
    digest: int = 0


def result_fields(result: BatchResult, redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the keys of a line of the output, whose order is part of the public surface.

    ``redact`` removes keys from everything but the answer.
    """
    error = result.error
    return {
        "id": result.id,
        "index": result.index,
        "text": result.text,
        "error": None if error is None else _error_fields(error, redact),
        "finish_reason": result.finish_reason,
        "usage": usage_fields(result.usage),
        "latency_s": None if result.latency_s is None else round(result.latency_s, 3),
        "attempts": result.attempts,
        "cost_usd": result.cost_usd,
        "model": result.model,
        "cached": result.cached,
        "refusal": result.refusal,
        "tool_calls": [tool_call_fields(call) for call in result.tool_calls],
        "input_digest": f"{result.digest:016x}",
    }


def _error_fields(error: ChatcliError, redact: Callable[[str], str]) -> dict[str, Any]:
    endpoints = error if isinstance(error, EndpointError) else None
    return {
        "code": error.code,
        "message": redact(error.message),
        "hint": error.hint and redact(error.hint),
        "status": endpoints and endpoints.status,
        "request_id": endpoints and endpoints.request_id and redact(endpoints.request_id),
    }


class DoneRows:
    """The rows that have a result, by index, with the digests of their input; 0 is none."""

    def __init__(self) -> None:
        self._digests = array("Q")
        self.count = 0
        self.failed = 0

    def add(self, index: int, digest: int) -> None:
        if index >= len(self._digests):
            self._digests.frombytes(bytes(8 * (max(index + 1, 2 * len(self._digests)) - len(self._digests))))
        self.count += not self._digests[index]
        self._digests[index] = digest

    def digest(self, index: int) -> int:
        """Return the digest of a row's input, 0 if it has no result."""
        return self._digests[index] if index < len(self._digests) else 0

    def is_done(self, index: int, digest: int) -> bool:
        """Return whether the row has a result. Raise ``UsageError`` if that is one of another input."""
        before = self.digest(index)
        if before not in (0, digest):
            raise UsageError(
                f"this is not the input of the results: row {index:,} is another one",
                hint="name the same input and --prompt, or another --out; --force starts over",
                code="other_input",
            )
        return before != 0


class ResultFile:
    """The output file of one run, locked while it is open. Methods raise ``LocalIOError``."""

    def __init__(self, path: Path, *, redact: Callable[[str], str] = str) -> None:
        self.path = path
        self.done = DoneRows()
        self._redact = redact
        self._descriptor = -1

    def open(self, *, resumes: bool = False, replaces: bool = False, retries_failed: bool = False) -> None:
        """Open the file; read which rows are done if it ``resumes``, without the failed ones if it ``retries_failed``.

        An existing file is refused otherwise, unless it ``replaces`` it. Raise ``UsageError`` for that, and for a file
        that holds something else.
        """
        try:
            self._open()
            if replaces:
                os.ftruncate(self._descriptor, 0)
            elif resumes:
                self._read(drops_failed=retries_failed)
            else:
                self._refuse_content()
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        except BaseException:
            self.close()
            raise

    def append(self, results: Iterable[BatchResult]) -> None:
        """Append the results; they are with the operating system when this returns."""
        lines = []
        for result in results:
            lines.append(json_line(result_fields(result, self._redact)))
            self.done.add(result.index, result.digest)
            self.done.failed += result.error is not None
        if not lines:
            return
        content = ("\n".join(lines) + "\n").encode()
        try:
            append_lines(self._descriptor, content)
        except OSError as error:
            raise self._failed(error) from error

    def finish(self, *, in_order: bool) -> None:
        """Write everything to the disk, ``in_order`` of the input."""
        try:
            if in_order:
                self._sort()
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self._descriptor = os.open(self.path, _APPEND, _MODE)
        if not try_to_lock(self._descriptor):
            raise UsageError(
                f"another batch is writing {self.path}",
                hint="wait for it, or name another --out",
                code="output_in_use",
            )

    def _refuse_content(self) -> None:
        if os.fstat(self._descriptor).st_size:
            raise UsageError(
                f"{self.path} exists",
                hint="--resume continues it, --force starts over, or name another --out",
                code="output_exists",
            )

    def _read(self, *, drops_failed: bool) -> None:
        """Note the rows that are done. Cut off a last line that is torn; the failed rows, if they are to be dropped."""
        end_bytes, failed = 0, 0
        with self._reader() as file:
            for number, line in enumerate(lines_of(file), 1):
                row = _stored_row(line)
                if row is None and not line.endswith(b"\n") and _is_begun(line):
                    break  # torn when the run was killed
                if row is None:
                    raise UsageError(
                        f"{self.path}, line {number:,}: not a result of chatcli batch",
                        hint="--force writes a new file in its place",
                        code="not_results",
                    )
                end_bytes += len(line)
                index, digest, has_failed = row
                failed += has_failed
                if not (has_failed and drops_failed):
                    self.done.add(index, digest)
        os.ftruncate(self._descriptor, end_bytes)
        if drops_failed and failed:
            # In one step: whenever the run is killed, the file has the old results or those that are kept.
            self._replace(line for line in self._lines() if not _has_failed(line))
        else:
            self.done.failed = failed

    def _sort(self) -> None:
        starts, at_bytes, order = array("Q"), 0, array("Q")
        for line in self._lines():
            row = _stored_row(line)
            if row is not None:
                order.append(row[0])
                starts.append(at_bytes)
            at_bytes += len(line)
        if all(before < after for before, after in pairwise(order)):
            return
        with self._reader() as file:
            self._replace(self._placed(file, order, starts))

    @staticmethod
    def _placed(file: Any, order: array[int], starts: array[int]) -> Iterator[bytes]:
        for position in sorted(range(len(order)), key=order.__getitem__):
            file.seek(starts[position])
            yield file.readline()

    def _lines(self) -> Iterator[bytes]:
        with self._reader() as file:
            yield from lines_of(file)

    def _reader(self) -> Any:
        return self.path.open("rb")

    def _replace(self, lines: Iterable[bytes]) -> None:
        """Replace the content in one step, whenever the run is killed."""
        target = self.path.resolve()  # a link stays one
        temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
        try:
            with temporary.open("xb", buffering=_CHUNK_BYTES) as file:
                file.writelines(line if line.endswith(b"\n") else line + b"\n" for line in lines)
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

    def _failed(self, error: OSError) -> LocalIOError:
        return LocalIOError(
            f"cannot write {self.path}: {error.strerror or error}",
            hint="check the path, its permissions and the disk",
        )


def _stored_row(line: bytes) -> tuple[int, int, bool] | None:
    """Return index, digest and whether it failed of a stored result, ``None`` for anything else."""
    try:
        fields = json.loads(line)
        index, digest, error = fields["index"], int(fields["input_digest"], 16), fields["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    is_sound = type(index) is int and 0 <= index < 1 << 40 and 0 < digest < 1 << 64
    return (index, digest, error is not None) if is_sound else None


def _is_begun(line: bytes) -> bool:
    """Return whether ``line`` is the beginning of a result, and not of somebody's other file."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)


def _has_failed(line: bytes) -> bool:
    row = _stored_row(line)
    return row is not None and row[2]
