"""The results of a batch, and how they are written: as JSON lines, or as a table with the columns of the input.

A table is CSV (RFC 4180) or TSV with a header, in UTF-8, with line feeds, and no cell is a formula. JSON lines keep every character.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from chatcli.batching.row_requests import RowId  # noqa: TC001 - found by whoever reads the annotations
from chatcli.core.codec import source_fields, tool_call_fields, usage_fields
from chatcli.core.errors import ChatcliError, EndpointError
from chatcli.core.events import CitedSource, Usage
from chatcli.core.messages import ToolCallPart  # noqa: TC001 - as above
from chatcli.storage.json_lines import LONGEST_LINE_BYTES
from chatcli.text.sanitizer import json_line, table_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import BinaryIO


_NO_USAGE: Final = Usage()
_BEGINNING: Final = b'{"id": '


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one row: an answer, or an ``error`` with the part of the answer received in ``text``.

    ``index`` is the row's number in the input, from 0, ``id`` its own. ``latency_s`` includes retries and waits for rate
    limits. ``digest`` stands for the content of the row, ``values`` are those of its columns where results have them, too. ``data`` is the
    value of an answer that fits its schema.
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
    values: tuple[str, ...] = ()
    data: Any = None
    sources: tuple[CitedSource, ...] = ()


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
        "data": result.data,
        **({"sources": [source_fields(source) for source in result.sources]} if result.sources else {}),
    }


def _error_fields(error: ChatcliError, redact: Callable[[str], str]) -> dict[str, Any]:
    endpoints = error if isinstance(error, EndpointError) else None
    return {
        "code": error.code,
        "message": redact(error.message),
        "hint": error.hint and redact(error.hint),
        "status": endpoints and endpoints.status,
        "request_id": endpoints and endpoints.request_id and redact(endpoints.request_id),
        "call_id": (endpoints and endpoints.call_id) or None,
    }


class StoredResult(NamedTuple):
    """A result as far as the next run needs it: of the row at ``position``."""

    position: int
    digest: int
    has_failed: bool


class ResultFormat(Protocol):
    """How results are written, one record each, below a ``header``."""

    header: bytes

    def record(self, result: BatchResult, redact: Callable[[str], str]) -> bytes: ...

    def read(self, file: BinaryIO) -> bytes:
        """Return the next record of a file, of which the last one may be torn; nothing at the end."""
        ...

    def stored(self, record: bytes) -> StoredResult | None:
        """Return what a record holds, ``None`` if it is none."""
        ...

    def is_torn(self, record: bytes) -> bool:
        """Return whether the last record of a file is the beginning of a result, and not of somebody's other file."""
        ...


class JsonLines:
    """One JSON object a line."""

    header = b""

    def record(self, result: BatchResult, redact: Callable[[str], str]) -> bytes:
        return json_line(result_fields(result, redact)).encode() + b"\n"

    def read(self, file: BinaryIO) -> bytes:
        return file.readline(LONGEST_LINE_BYTES)

    def stored(self, record: bytes) -> StoredResult | None:
        try:
            fields = json.loads(record)
            index, digest, error = fields["index"], int(fields["input_digest"], 16), fields["error"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return _sound(index, digest, has_failed=error is not None)

    def is_torn(self, record: bytes) -> bool:
        # A power cut leaves zeros where the file had grown.
        begun = record.rstrip(b"\0")
        is_begun = begun.startswith(_BEGINNING) or _BEGINNING.startswith(begun)
        return is_begun and not record.endswith(b"\n") and len(record) < LONGEST_LINE_BYTES


_COLUMNS: Final[dict[str, Callable[[BatchResult], object]]] = {
    "id": lambda result: result.id,
    "text": lambda result: result.text,
    "error": lambda result: result.error and result.error.message,
    "error_code": lambda result: result.error and result.error.code,
    "finish_reason": lambda result: result.finish_reason,
    "input_tokens": lambda result: result.usage.input_tokens,
    "output_tokens": lambda result: result.usage.output_tokens,
    "cached_tokens": lambda result: result.usage.cached_tokens,
    "reasoning_tokens": lambda result: result.usage.reasoning_tokens,
    "latency_s": lambda result: None if result.latency_s is None else round(result.latency_s, 3),
    "attempts": lambda result: result.attempts,
    "cost_usd": lambda result: result.cost_usd,
    "model": lambda result: result.model,
    "cached": lambda result: result.cached,
    "refusal": lambda result: result.refusal,
    "tool_calls": lambda result: (
        json.dumps([tool_call_fields(call) for call in result.tool_calls], ensure_ascii=False)
        if result.tool_calls
        else None
    ),
    "data": lambda result: None if result.data is None else json.dumps(result.data, ensure_ascii=False),
    "sources": lambda result: (
        json.dumps([source_fields(source) for source in result.sources], ensure_ascii=False)
        if result.sources
        else None
    ),
    "index": lambda result: result.index,
    "input_digest": lambda result: f"{result.digest:016x}",
}
"""The columns of a table behind those of the input, and their values."""
_WHERE_ASKED_FOR: Final = {"data", "sources"}
_OF_ERRORS: Final = {"error"}


class ResultTable:
    """A table: the ``columns`` of the input, then those of the result; ``asked_for`` are those of ``data`` and ``sources`` it has, too.

    A column of the result whose name the input has is called ``result_NAME``; the ``id`` is there once.
    """

    def __init__(
        self, columns: Sequence[str] = (), *, delimiter: str = ",", asked_for: Collection[str] = ()
    ) -> None:
        self._delimiter = delimiter
        self._empty = ("",) * len(columns)
        left_out = {*_WHERE_ASKED_FOR.difference(asked_for), *({"id"} & {*columns})}
        self._own = [name for name in _COLUMNS if name not in left_out]
        names = [*columns]
        for name in self._own:
            while name in names:
                name = f"result_{name}"  # noqa: PLW2901 - the same column by another name
            names.append(name)
        self.header = self._line(names)
        self._count = len(names)
        self._error_code = len(columns) + self._own.index("error_code")
        # A quoted field, or one without quotes, and what ends it.
        self._fields = re.compile(
            rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{delimiter}\n]*))([{delimiter}\n])'.encode()
        )

    def record(self, result: BatchResult, redact: Callable[[str], str]) -> bytes:
        values: list[object] = [*(result.values or self._empty)]
        for name in self._own:
            value = _COLUMNS[name](result)
            values.append(redact(value) if name in _OF_ERRORS and isinstance(value, str) else value)
        return self._line(values)

    def read(self, file: BinaryIO) -> bytes:
        lines: list[bytes] = []
        quotes = size_bytes = 0
        while size_bytes < LONGEST_LINE_BYTES and (line := file.readline(LONGEST_LINE_BYTES)):
            lines.append(line)
            quotes += line.count(b'"')
            size_bytes += len(line)
            if quotes % 2 == 0 and line.endswith(b"\n"):
                break
        return b"".join(lines)

    def stored(self, record: bytes) -> StoredResult | None:
        fields = list(self._read_fields(record))
        if len(fields) != self._count:
            return None
        try:
            index, digest = int(fields[-2]), int(fields[-1], 16)
        except ValueError:
            return None
        return _sound(index, digest, has_failed=fields[self._error_code] != b"")

    def is_torn(self, record: bytes) -> bool:
        return record.count(b'"') % 2 == 1 or not record.endswith(b"\n")

    def _read_fields(self, record: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(record) and (match := self._fields.match(record, at)) is not None:
            yield match[2] if match[1] is None else match[1]
            at = match.end()

    def _line(self, values: Sequence[object]) -> bytes:
        cells = [table_cell(value) for value in values]
        return self._delimiter.join(cells).encode("utf-8", "backslashreplace") + b"\n"


def _sound(index: object, digest: int, *, has_failed: bool) -> StoredResult | None:
    if type(index) is not int or not (0 <= index < 1 << 40 and 0 < digest < 1 << 64):
        return None
    return StoredResult(index, digest, has_failed)
