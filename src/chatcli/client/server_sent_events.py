"""Server-sent events: the data of each event in a stream of bytes.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Comments and ids are
passed over, and so is an event that by its name only keeps the connection alive; other names repeat what the data says.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

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

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for line in self._splitter.feed(chunk):
            if not line:
                yield from self._event()
            elif line.startswith(b"data:"):
                self._add(line[6:] if line[5:6] == b" " else line[5:])
            elif line.startswith(b"event:"):
                self._is_sign_of_life = line[6:].strip().lower() in _SIGNS_OF_LIFE
            elif line == b"data":
                self._add(b"")

    def finish(self) -> Iterator[bytes]:
        # Two ends of a line: of the last line, and the blank one.
        yield from self.feed(b"\n\n")

    def _add(self, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(data) + 1
        if self._data_bytes > self._longest_bytes:
            raise StreamTooLong("event")

    def _event(self) -> Iterator[bytes]:
        if self._data:
            if not self._is_sign_of_life:
                yield b"\n".join(self._data)
            self._data.clear()
            self._data_bytes = 0
        self._is_sign_of_life = False


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
