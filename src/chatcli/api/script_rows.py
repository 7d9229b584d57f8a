"""The rows of a batch as scripts have them: what they may be, what stands for their content, and what they ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from chatcli.api.script_chat import question_of
from chatcli.batching.input_rows import Record, content_digest
from chatcli.batching.row_requests import BatchRow, RowReader
from chatcli.core.errors import UsageError
from chatcli.core.messages import Message, TextPart
from chatcli.core.request import Request
from chatcli.templates.template import INPUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from chatcli.batching.result_file import DoneRows
    from chatcli.batching.row_requests import RequestDefaults, RowTemplate

RowForScript: TypeAlias = str | Message | Mapping[str, Any]
"""A prompt, a message of the user, or a mapping with the keys of a JSON row of ``chatcli batch``."""

_ROWS_AT_ONCE: Final = 1_000
"""After so many rows that are only looked at, others of the event loop have their turn."""
_NO_JSON: Final = "\0"


class ScriptRows:
    """The ``rows`` of a call, which fill in ``template``; ``words`` are what all of them are asked with.

    Raise ``UsageError`` if they are no rows.
    """

    def __init__(self, rows: object, template: RowTemplate | None, words: str) -> None:
        if isinstance(rows, str | bytes | Mapping | Message) or not isinstance(
            rows, Iterable | AsyncIterable
        ):
            raise UsageError(
                "rows are several prompts, messages or mappings", hint='as in batch(["Hi", "Bye"])'
            )
        self._rows: Iterable[object] | AsyncIterable[object] = rows
        self._template = template
        self._salt = words.encode("utf-8", "surrogatepass")

    @property
    def can_be_read_again(self) -> bool:
        return not isinstance(self._rows, AsyncIterable | Iterator)

    def read(self, defaults: RequestDefaults) -> Iterator[BatchRow] | AsyncIterator[BatchRow]:
        """Return all rows, with what they leave open from ``defaults``."""
        if isinstance(self._rows, AsyncIterable):
            return self.left(defaults, lambda _: True)
        # Each as late as can be: a script may make the next row of the results so far.
        return self.read_again(defaults)

    async def left(
        self, defaults: RequestDefaults, is_left: Callable[[BatchRow], bool]
    ) -> AsyncGenerator[BatchRow]:
        """Yield the rows that are left to be asked. However many are passed over, others run meanwhile."""
        reader = RowReader(defaults, self._template, place="row")
        async with aclosing(_numbered(self._rows)) as rows:
            async for index, row in rows:
                if is_left(made := self._row(index, row, reader, defaults)):
                    yield made

    def read_again(self, defaults: RequestDefaults) -> Iterator[BatchRow]:
        """Return all rows, once more if they ``can_be_read_again``."""
        assert isinstance(self._rows, Iterable)  # noqa: S101 - asynchronous rows are read once
        reader = RowReader(defaults, self._template, place="row")
        return (self._row(index, row, reader, defaults) for index, row in enumerate(self._rows))

    async def refuse_changed(self, done: DoneRows) -> None:
        """Raise ``UsageError`` if a row that is ``done`` is another one by now, as far as that can be known before rows are asked."""
        if isinstance(self._rows, AsyncIterable) or not self.can_be_read_again:
            return
        async with aclosing(_numbered(islice(self._rows, done.end))) as rows:
            async for index, row in rows:
                done.is_done(index, self._digest(row))

    def _row(self, index: int, row: object, reader: RowReader, defaults: RequestDefaults) -> BatchRow:
        digest = self._digest(row)
        if isinstance(row, str):
            row = {"prompt" if self._template is None else INPUT: row}
        if isinstance(row, Mapping):
            return reader.row(Record(index, index, row, digest))
        try:
            message = question_of(row)
        except UsageError as error:
            return BatchRow(index, None, digest, error=error)
        if self._template is not None:
            return reader.row(Record(index, index, {INPUT: message.text}, digest))
        request = Request(defaults.model, (*defaults.before, message), defaults.parameters, is_cacheable=True)
        return BatchRow(index, None, digest, defaults.completed(request))

    def _digest(self, row: object) -> int:
        return content_digest(_content(row).encode("utf-8", "surrogatepass").strip(), self._salt)


async def _numbered(rows: Iterable[object] | AsyncIterable[object]) -> AsyncGenerator[tuple[int, object]]:
    """Yield the rows by index, and let others run between some of them: those that are done are passed over at once."""
    if isinstance(rows, AsyncIterable):
        index = 0
        async for row in rows:
            yield index, row
            index += 1
        return
    for index, row in enumerate(rows):
        if index % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
        yield index, row


def _content(row: object) -> str:
    """Return what stands for a row: the line of an input of the command that asks the same, where there is one."""
    if isinstance(row, Message) and isinstance(row.parts, tuple):
        texts = [(part.origin, part.text) for part in row.parts if isinstance(part, TextPart)]
        row = texts[0][1] if len(texts) == 1 and texts[0][0] == "person" else texts
    if isinstance(row, str):
        return row
    try:
        return json.dumps(dict(row) if isinstance(row, Mapping) else row, default=_words)
    except Exception:  # noqa: BLE001 - it holds itself, has keys that are no text, or a class of the script fails
        return _NO_JSON


def _words(value: object) -> str:
    """Return what stands for a value that is no JSON; that of a plain object would be another one in each process."""
    has_words = type(value).__repr__ is not object.__repr__ or type(value).__str__ is not object.__str__
    return str(value) if has_words else type(value).__name__
