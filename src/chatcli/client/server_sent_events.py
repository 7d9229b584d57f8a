"""Server-sent events: the data of each event in a stream of bytes.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Comments, event
names and ids are passed over; chat completions use none of them.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

LONGEST_LINE_BYTES = 64 * 1024 * 1024
"""A line without an end is an attack or not an event stream, and so is an event."""


class StreamTooLong(ValueError):
    """A single line, or all of one event, grew past ``LONGEST_LINE_BYTES``."""


async def event_data(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the ``data`` of each event, its lines joined by a newline, as soon as the event is complete.

    An event that the end of the stream cuts off is yielded too: some servers leave out the last blank line.
    """
    data: list[bytes] = []
    data_bytes = 0
    async with aclosing(_lines(chunks)) as lines:
        async for line in lines:
            if line.startswith(b"data:"):
                data.append(line[6:] if line[5:6] == b" " else line[5:])
                data_bytes += len(line)
                if data_bytes > LONGEST_LINE_BYTES:
                    raise StreamTooLong(f"an event of more than {LONGEST_LINE_BYTES:,} bytes")
            elif line == b"data":
                data.append(b"")
                data_bytes += len(line)
            elif not line and data:
                yield data[0] if len(data) == 1 else b"\n".join(data)
                data.clear()
                data_bytes = 0
    if data:
        yield b"\n".join(data)


async def _lines(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield lines without their ends, which are LF, CRLF or CR wherever the chunks are cut."""
    splitter = _LineSplitter()
    async with aclosing(chunks):
        async for chunk in chunks:
            for line in splitter.feed(chunk):
                yield line
    for line in splitter.finish():
        yield line


class _LineSplitter:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._pending_bytes = 0
        self._after_cr = False
        self._at_start = True
        self._held = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if self._at_start:
            chunk = self._without_mark(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *rest = chunk.split(b"\n")
        self._pieces.append(first)
        self._pending_bytes += len(first)
        if self._pending_bytes > LONGEST_LINE_BYTES:
            raise StreamTooLong(f"a line of more than {LONGEST_LINE_BYTES:,} bytes")
        for piece in rest:
            yield b"".join(self._pieces)
            self._pieces = [piece]
            self._pending_bytes = len(piece)

    def _without_mark(self, chunk: bytes) -> bytes:
        """Take away the byte order mark, of which the first chunks may hold a part each."""
        start, self._held = self._held + chunk, b""
        if start != _BYTE_ORDER_MARK and _BYTE_ORDER_MARK.startswith(start):
            self._held = start
            return b""
        self._at_start = False
        return start.removeprefix(_BYTE_ORDER_MARK)

    def finish(self) -> Iterator[bytes]:
        if self._pending_bytes:
            yield b"".join(self._pieces)
