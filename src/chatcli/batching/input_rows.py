"""The rows of a batch's input: JSON lines, CSV, or text lines, read one at a time.

Every line that is not blank is exactly one record (in CSV, every row, which may span lines), whatever its bytes: what
cannot be read becomes a record with a ``problem``. A byte order mark and CRLF line ends are no part of a record. Input in
another encoding than UTF-8 is recoded while it is read.
"""

from __future__ import annotations

import codecs
import csv
from hashlib import blake2b
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from chatcli.core.errors import UsageError
from chatcli.core.strict_json import STRICT_JSON
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

InputFormat: TypeAlias = Literal["jsonl", "csv", "tsv", "text"]
FORMATS: Final[tuple[InputFormat, ...]] = ("jsonl", "csv", "tsv", "text")

LONGEST_LINE_BYTES: Final = 64 * 1024 * 1024
TEXT_COLUMN: Final = "text"
"""The name by which a template takes a line of text."""

_EXTENSIONS: Final[Mapping[str, InputFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
}
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_FIELD: Final = 16 * 1024 * 1024
_READ_BYTES: Final = 1 << 20
_DIGEST_BYTES: Final = 8
_NO_UTF_8: Final = "chatcli.no_utf_8"
"""A handler of decoding errors, and of the characters it puts in their place."""


class Record(NamedTuple):
    """One record as it stands in the input: number ``position`` from 0, beginning in line ``line`` from 1.

    ``fields`` are the values by column or key. ``problem`` says why there are none. ``digest`` stands for the content
    of the record and is never 0.
    """

    position: int
    line: int
    fields: Mapping[str, Any]
    digest: int
    problem: str | None = None


class InputRecords:
    """The records of a binary ``file``, in order; iterate once.

    ``name`` is the path of the file, from whose extension the format is known, unless ``format_`` says it. Without
    either, a first line that is a JSON object means JSON lines, and anything else lines of text. ``encoding`` is Python's name of
    one; by default it is UTF-8, or UTF-16 after its byte order mark. ``salt`` goes into every digest. Raise ``UsageError`` for
    a CSV header without columns, or with two columns of one name.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        *,
        format_: InputFormat | None = None,
        encoding: str | None = None,
        salt: str = "",
    ) -> None:
        self._encoding = encoding
        self._lines = self._input_lines(file)
        # A blank line inside a quoted field of CSV belongs to the field.
        self._written: Iterator[_InputLine] = (
            line for line in self._lines if line.content is None or line.content.strip()
        )
        self._salt = salt.encode("utf-8", "surrogatepass")
        self.format = format_ or _EXTENSIONS.get(PurePath(name).suffix.lower()) or self._guessed()
        self.columns: tuple[str, ...] | None = None
        """The names of the columns, ``None`` for JSON lines, which have keys of their own."""
        if self.format == "text":
            self.columns = (TEXT_COLUMN,)
        elif self.format in ("csv", "tsv"):
            self._table = _Table(self._lines, "," if self.format == "csv" else "\t")
            self.columns = self._table.columns

    def _input_lines(self, file: BinaryIO) -> Iterator[_InputLine]:
        begun = file.readline(LONGEST_LINE_BYTES + 1)
        if self._encoding is None and begun.startswith(_UTF_16):
            self._encoding = "utf_16"
        if self._encoding is None:
            return (yield from _numbered_lines(_Begun(file, begun)))
        return (yield from _numbered_lines(_Recoded(file, begun, self._encoding)))

    @property
    def _no_text(self) -> str:
        return f"is not {(self._encoding or 'utf_8').replace('_', '-').upper()}"

    def __iter__(self) -> Iterator[Record]:
        match self.format:
            case "jsonl":
                return self._json_lines()
            case "text":
                return self._text_lines()
            case _:
                return self._table_rows()

    def _guessed(self) -> InputFormat:
        first = next(self._written, None)
        if first is None:
            return "jsonl"
        self._written = chain([first], self._written)
        content = first.content
        return "jsonl" if content is not None and isinstance(_json(content), dict) else "text"

    def _digest(self, content: bytes) -> int:
        return content_digest(content, self._salt)

    def _json_lines(self) -> Iterator[Record]:
        for index, (number, content) in enumerate(self._written):
            if content is None:
                yield self._too_long(index, number)
                continue
            digest, value = self._digest(content.strip()), _json(content)
            if isinstance(value, dict):
                yield Record(index, number, value, digest)
            else:
                problem = "is not JSON" if value is _NO_JSON else "is not a JSON object"
                yield Record(index, number, {}, digest, f"line {number:,} {problem}")

    def _text_lines(self) -> Iterator[Record]:
        for index, (number, content) in enumerate(self._written):
            if content is None:
                yield self._too_long(index, number)
                continue
            digest = self._digest(content.strip())
            try:
                yield Record(index, number, {TEXT_COLUMN: content.strip().decode()}, digest)
            except UnicodeDecodeError:
                yield Record(index, number, {}, digest, f"line {number:,} {self._no_text}")

    def _table_rows(self) -> Iterator[Record]:
        columns = self._table.columns
        for index, row in enumerate(self._table):
            digest = self._digest("\x1f".join(row.values).encode("utf-8", "surrogateescape"))
            problem = row.problem
            if problem is None and len(row.values) != len(columns):
                problem = f"has {counted(len(row.values), 'field')}, the header {len(columns)}"
            if problem is None and any(
                "\udc80" <= letter <= "\udcff" for value in row.values for letter in value
            ):
                problem = self._no_text
            fields = {} if problem else dict(zip(columns, row.values, strict=True))
            yield Record(index, row.line, fields, digest, problem and f"line {row.line:,} {problem}")

    def _too_long(self, index: int, number: int) -> Record:
        problem = f"line {number:,} is longer than {LONGEST_LINE_BYTES:,} bytes"
        return Record(index, number, {}, self._digest(b"\0too long"), problem)


def content_digest(content: bytes, salt: bytes) -> int:
    """Return what stands for the content of a record, and for what it is asked with, which is the ``salt``; never 0."""
    return int.from_bytes(blake2b(salt + content, digest_size=_DIGEST_BYTES).digest()) or 1


class _InputLine(NamedTuple):
    """A line and its number, from 1; ``None`` in place of one that is too long."""

    number: int
    content: bytes | None


class _LineSource(Protocol):
    def readline(self, limit: int, /) -> bytes: ...


class _Begun:
    """A ``file`` whose first line was read: it is returned first."""

    def __init__(self, file: BinaryIO, first: bytes) -> None:
        self._file = file
        self._first = first

    def readline(self, limit: int) -> bytes:
        first, self._first = self._first, b""
        return first or self._file.readline(limit)


class _Recoded:
    """The lines of a ``file``, of which ``begun`` was read, in UTF-8; what its ``encoding`` does not allow becomes no UTF-8."""

    def __init__(self, file: BinaryIO, begun: bytes, encoding: str) -> None:
        codecs.register_error(_NO_UTF_8, _broken)
        self._decoder = codecs.getincrementaldecoder(encoding)(_NO_UTF_8)
        self._read = getattr(file, "read1", file.read)
        self._is_over = False
        self._text = bytearray()
        self._decode(begun)

    def readline(self, limit: int) -> bytes:
        searched = 0
        while (end := self._text.find(b"\n", searched) + 1) == 0:
            searched = len(self._text)
            if self._is_over or searched >= limit:
                end = searched
                break
            content = self._read(_READ_BYTES)
            self._is_over = not content
            self._decode(content)
        end = min(end, limit)
        line = bytes(self._text[:end])
        del self._text[:end]
        return line

    def _decode(self, content: bytes) -> None:
        self._text += self._decoder.decode(content, self._is_over).encode("utf-8", _NO_UTF_8)


def _broken(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return a character that is no text, and when that is encoded, a byte that is no UTF-8."""
    assert isinstance(error, UnicodeDecodeError | UnicodeEncodeError)  # noqa: S101 - for typing
    return "\udcff" if isinstance(error, UnicodeDecodeError) else b"\xff", error.end


def _numbered_lines(file: _LineSource) -> Iterator[_InputLine]:
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > LONGEST_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(_READ_BYTES)
            yield _InputLine(number, None)
        else:
            yield _InputLine(number, line)


class _TableRow(NamedTuple):
    line: int
    values: Sequence[str]
    problem: str | None = None


class _Table:
    """The rows of CSV or TSV below the header."""

    def __init__(self, lines: Iterable[_InputLine], delimiter: str) -> None:
        self._number = 0
        self._is_over = False
        csv.field_size_limit(_LONGEST_FIELD)
        self._reader = csv.reader(self._texts(lines), delimiter=delimiter)
        try:
            header = next(self._reader, [])
        except csv.Error as error:
            raise UsageError(
                f"the header cannot be read: {error}", hint="is this CSV? --format says it"
            ) from error
        self.columns = tuple(name.strip() for name in header)
        if not any(self.columns):
            raise UsageError(
                "the input has no header", hint="name the columns in its first line, or use --format text"
            )
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise UsageError(f"two columns are called {twice!r}", hint="give each its own name")

    def __iter__(self) -> Iterator[_TableRow]:
        while True:
            begins = self._number + 1
            try:
                values = next(self._reader, None)
            except csv.Error as error:
                yield _TableRow(begins, (), f"cannot be read: {error}")
                continue
            if values is None:
                return
            if self._is_over:
                # A row that is whole needs no further line to end.
                more = f", and takes in the {counted(self._number - begins, 'line')} after it"
                problem = f"has a quote that is not closed{more if self._number > begins else ''}"
                yield _TableRow(begins, values, problem)
            elif len(values) > 1 or "".join(values).strip():
                yield _TableRow(begins, values)

    def _texts(self, lines: Iterable[_InputLine]) -> Iterator[str]:
        """Yield the lines as text; in place of a line that is too long, a field that csv refuses."""
        for self._number, content in lines:
            yield (
                "x" * (_LONGEST_FIELD + 1) if content is None else content.decode("utf-8", "surrogateescape")
            )
        self._is_over = True


_NO_JSON: Final = object()


def _json(content: bytes) -> object:
    """Return the JSON value in ``content``, ``_NO_JSON`` if there is none."""
    try:
        return STRICT_JSON.decode(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return _NO_JSON
