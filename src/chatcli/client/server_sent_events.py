"""Server-sent events: the data of each event in a stream of bytes.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Comments and ids are
passed over, and so is an event that by its name only keeps the connection alive; other names repeat what the data says.
Two habits of servers are no part of it: ``error: {…}`` lines, as llama.cpp wrote them, and one JSON object a line without
blank lines between them.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

from jiter import from_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_SIGNS_OF_LIFE = {b"ping", b"heartbeat", b"keepalive", b"keep-alive"}


class StreamTooLong(ValueError):
    """A single line, or all of one event, grew past what an answer may have."""


async def event_data(chunks: AsyncGenerator[bytes], longest_bytes: int) -> AsyncGenerator[Iterator[bytes]]:
    """Yield, for each chunk, the ``data`` of the events it completes, their lines joined by a newline.

    A line, or an event, of more than ``longest_bytes`` raises ``StreamTooLong``.
    An event that the end of the stream cuts off is told too: some servers leave out the last blank line.
    """
    reader = _EventReader(longest_bytes)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield reader.feed(chunk)
    yield reader.finish()


class _EventReader:
    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._splitter = _LineSplitter(longest_bytes)
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._is_sign_of_life = False
        self._is_error = False
        self._has_event_each_line = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for line in self._splitter.feed(chunk):
            if not line:
                yield from self._event()
            elif line.startswith(b"data:") or line == b"data":
                if self._data and self._is_whole():
                    self._has_event_each_line = True
                    yield from self._event()
                self._add(line[6:] if line[5:6] == b" " else line[5:])
                if self._has_event_each_line and (self._data == [b"[DONE]"] or self._is_whole()):
                    yield from self._event()
            elif line.startswith(b"event:"):
                name = line[6:].strip().lower()
                self._is_sign_of_life, self._is_error = name in _SIGNS_OF_LIFE, name == b"error"
            elif line.startswith(b"error:"):
                yield from self._event()
                self._is_error = True
                self._add(line[6:].lstrip())
                yield from self._event()

    def finish(self) -> Iterator[bytes]:
        # Two ends of a line: of the last line, and the blank one.
        yield from self.feed(b"\n\n")

    def _add(self, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(data) + 1
        if self._data_bytes > self._longest_bytes:
            raise StreamTooLong("event")

    def _is_whole(self) -> bool:
        """Tell whether the only line of data is a JSON object: what is joined with another would be no JSON any more."""
        (line, *more) = self._data
        if more or not line.startswith(b"{") or not line.rstrip().endswith(b"}"):
            return False
        try:
            from_json(line)
        except ValueError:
            return False
        return True

    def _event(self) -> Iterator[bytes]:
        if self._data:
            if not self._is_sign_of_life:
                data = b"\n".join(self._data)
                yield _error_object(data) if self._is_error else data
            self._data.clear()
            self._data_bytes = 0
        self._is_sign_of_life = self._is_error = False


def _error_object(data: bytes) -> bytes:
    """Return the data of an error as a JSON object: servers also write plain text there."""
    try:
        value = from_json(data)
    except ValueError:
        value = data.decode("utf-8", "replace").strip()
    return data if isinstance(value, dict) else json.dumps({"error": value or "an error"}).encode()


class _LineSplitter:
    """Splits chunks into lines without their ends, which are LF, CRLF or CR wherever the chunks are cut."""

    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._pieces: list[bytes] = []
        self._pending_bytes = 0
        self._after_cr = False
        self._at_start = True
        self._held = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._at_start:
            chunk = self._without_mark(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *lines = chunk.split(b"\n")
        self._pieces.append(first)
        self._pending_bytes += len(first)
        if self._pending_bytes > self._longest_bytes:
            raise StreamTooLong("line")
        if not lines:
            return []
        lines.insert(0, b"".join(self._pieces))
        self._pieces = [lines.pop()]
        self._pending_bytes = len(self._pieces[0])
        return lines

    def _without_mark(self, chunk: bytes) -> bytes:
        """Take away the byte order mark, of which the first chunks may hold a part each."""
        start, self._held = self._held + chunk, b""
        if start != _BYTE_ORDER_MARK and _BYTE_ORDER_MARK.startswith(start):
            self._held = start
            return b""
        self._at_start = False
        return start.removeprefix(_BYTE_ORDER_MARK)
