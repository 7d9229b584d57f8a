"""The bytes of an answer: read ahead, timed out, limited in size, and parsed as events.

Bytes that arrive meanwhile are passed on together, and many deltas as one. The format of server-sent events:
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Comments, ids
and keep-alive events are ignored; other event names repeat the data. Two deviations of servers are supported:
``error: {…}`` lines, as llama.cpp wrote them, and one JSON object a line without blank lines between them.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Final, Self

from jiter import from_json

from chatcli.client.network_faults import stalled, timed_out
from chatcli.core.errors import AnswerTooLarge, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
    from typing import TypeAlias

    from chatcli.client.endpoint import Endpoint
    from chatcli.core.events import ReasoningDelta, TextDelta

    Delta: TypeAlias = TextDelta | ReasoningDelta


_OVERHEAD_BYTES: Final = 64 * 1024
"""How many bytes of comments and empty events may arrive before their sender is throttled."""

_OVERHEAD_SHARE: Final = 9
"""Parsing comments and empty events takes at most a tenth of the time."""

_AFTER_END_S: Final = 5.0
_LEFTOVER_S: Final = 0.05
BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_STARTS_OF_EVENTS: Final = (b"data", b"event", b"id", b"retry", b":")
_STARTS_OF_DOCUMENTS: Final = (b"{", b"[", b"<")


class IdleTimeout:
    """The limits for waiting without receiving any of the answer.

    ``endpoint.timeout_s`` until the answer begins, ``endpoint.idle_timeout_s`` from then on. Only chunks of
    the answer count, not the comments and empty events that keep a connection alive; and only time spent
    waiting for or parsing those counts, not time in which a slow reader kept the server waiting.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._limit_s = self._left_s = endpoint.timeout_s
        self._began = False
        self._is_over = False
        self._was_broken = False
        self._useless_bytes = 0
        self._rest_s = 0.0

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Count the time spent in the body; raise ``TimedOut`` at the limit."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                yield
        except TimeoutError as error:
            raise self._too_long(error) from error
        self._left_s = max(0.0, self._left_s - (loop.time() - began_s))

    async def throttle(self) -> None:
        """Throttle a server that sends many comments or empty events."""
        if self._rest_s:
            await asyncio.sleep(self._rest_s)

    def read(self, length: int, took_s: float) -> None:
        """Count the bytes and seconds of a read; raise ``TimedOut`` at the limit."""
        was_broken, self._was_broken = self._was_broken, False
        if was_broken:
            self._useless_bytes, self._rest_s = 0, 0.0
            return
        self._useless_bytes += length
        if self._useless_bytes > _OVERHEAD_BYTES:
            self._rest_s = max(TOGETHER_S, _OVERHEAD_SHARE * took_s)
        self._left_s -= took_s
        if self._left_s <= 0:
            raise self._too_long(TimeoutError())

    def broken(self) -> None:
        """Reset the timer: a chunk of the answer was received."""
        self._began = True
        if not self._is_over:
            self._was_broken = True
            self._allow(min(self._endpoint.idle_timeout_s, self._endpoint.timeout_s))

    def answer_is_complete(self) -> None:
        """Shorten the limit: after the end of the answer only its usage may follow."""
        if not self._is_over:
            self._is_over = True
            self._allow(min(_AFTER_END_S, self._limit_s))

    def _too_long(self, error: TimeoutError) -> TimedOut:
        if self._began:
            return stalled(self._endpoint.host, self._limit_s)
        return timed_out(self._endpoint, error)

    def _allow(self, limit_s: float) -> None:
        self._limit_s = self._left_s = limit_s


async def watched(chunks: AsyncGenerator[bytes], idle: IdleTimeout) -> AsyncGenerator[bytes]:
    """Yield ``chunks``, joined if they arrive together; raise ``TimedOut`` at the limit."""
    loop = asyncio.get_running_loop()
    async with ReadAhead(chunks) as reading:
        while True:
            async with idle.bounded():
                await idle.throttle()
                data = await reading.next()
            if data is None:
                return
            began_s = loop.time()
            yield data
            idle.read(len(data), loop.time() - began_s)


async def beginning(chunks: AsyncGenerator[bytes]) -> bytes:
    """Take chunks until there is a character other than blanks, and return them without leading blanks."""
    async for chunk in chunks:
        if taken := chunk.lstrip(BLANK):
            return taken
    return b""


def are_events(start: bytes, content_type: str) -> bool:
    """Return whether a body that begins with ``start`` is a stream of events.

    The content type decides if ``start`` cannot.
    """
    text = start.lstrip(BLANK)
    if not text or text.startswith(_STARTS_OF_DOCUMENTS):
        return False
    if content_type.startswith("text/event-stream"):
        return True
    # Some proxies send any content type; a first chunk may hold only a part of the first word.
    return any(text.startswith(word) or word.startswith(text) for word in _STARTS_OF_EVENTS)


async def rejoined(start: bytes, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield ``start`` and then ``chunks``."""
    async with aclosing(chunks):
        yield start
        async for chunk in chunks:
            yield chunk


async def whole(chunks: AsyncGenerator[bytes], idle: IdleTimeout, endpoint: Endpoint) -> bytes:
    """Return all of ``chunks``; raise ``AnswerTooLarge`` if they exceed the limit."""
    parts: list[bytes] = []
    length = 0
    async for chunk in chunks:
        parts.append(chunk)
        length += len(chunk)
        if length > endpoint.largest_answer_bytes:
            raise too_large(endpoint)
        if chunk.strip(BLANK):
            idle.broken()
    return b"".join(parts)


def too_large(endpoint: Endpoint) -> AnswerTooLarge:
    return AnswerTooLarge(
        f"{endpoint.host}: the answer is larger than {endpoint.largest_answer_mb:,} MB, the rest was left out",
        hint="allow more with largest_answer_mb; if this is no answer, check base_url",
    )


async def drained(chunks: AsyncGenerator[object]) -> None:
    """Read the bytes after the end of an answer if they arrive at once: only then can the connection be reused."""
    with suppress(TimeoutError, TimedOut):
        async with asyncio.timeout(_LEFTOVER_S):
            async for _ in chunks:
                pass


_AHEAD_BYTES: Final = 64 * 1024
"""The chunk size of httpx2. A server faster than its reader is throttled."""

_WAITED_S: Final = 0.001
_FEW_BYTES: Final = 4 * 1024
TOGETHER_S: Final = 1 / 30
"""The pause between reads while tokens arrive slowly: it is invisible, and each read costs as much as a large one."""

_MANY: Final = 16
"""So many deltas at once are merged: nobody sees them one by one, but every layer and observer would handle each."""


class ReadAhead:
    """Reads ``chunks`` ahead while their consumer is busy, within an ``async with``.

    HTTP makes a chunk of every token, and one read from the network may bring hundreds. ``chunks`` runs in
    its own task, which has read everything available when it waits for the network. If little arrived since
    the last wait, it pauses for ``TOGETHER_S``, and reads what arrived meanwhile at once.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._chunks = chunks
        self._clock = clock
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._bytes_since_wait = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        # The generator runs in the task until the task ends.
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # nobody handles it any more

    async def next(self) -> bytes | None:
        """Return the available bytes once there are some, ``None`` at the end. Raise the error of reading."""
        await self._news.wait()
        if not self._received:
            self._task.result()
            return None
        data = b"".join(self._received)
        self._received.clear()
        self._received_bytes = 0
        self._room.set()
        if not self._task.done():
            self._news.clear()
        return data

    async def _read(self) -> None:
        try:
            async with aclosing(self._chunks):
                sent_s = self._clock()
                async for chunk in self._chunks:
                    has_waited = self._clock() - sent_s > _WAITED_S
                    if not chunk:
                        continue
                    trickles = has_waited and self._bytes_since_wait < _FEW_BYTES
                    self._bytes_since_wait = len(chunk) + (0 if has_waited else self._bytes_since_wait)
                    self._received.append(chunk)
                    self._received_bytes += len(chunk)
                    self._news.set()
                    if self._received_bytes >= _AHEAD_BYTES:
                        self._room.clear()
                        await self._room.wait()
                    elif trickles:
                        await asyncio.sleep(TOGETHER_S)
                    sent_s = self._clock()
        finally:
            self._news.set()


def coalesced(deltas: Iterable[Delta]) -> Iterator[Delta]:
    """Yield ``deltas`` unchanged or, if they are many, adjacent deltas of one kind merged.

    If ``deltas`` raises, the deltas before are yielded first.
    """
    read: list[Delta] = []
    try:
        read.extend(deltas)  # keeps the deltas received before a failure
    except Exception:
        yield from _runs(read)
        raise
    yield from _runs(read)


def _runs(read: list[Delta]) -> Iterator[Delta]:
    if len(read) < _MANY:
        yield from read
        return
    for kind, run in groupby(read, type):
        yield kind("".join(delta.text for delta in run))


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_SIGNS_OF_LIFE = {b"ping", b"heartbeat", b"keepalive", b"keep-alive"}


class StreamTooLong(ValueError):
    """A line or an event is longer than an answer may be."""


async def event_data(chunks: AsyncGenerator[bytes], longest_bytes: int) -> AsyncGenerator[Iterator[bytes]]:
    """Yield, for each chunk, the ``data`` of the events it completes, their lines joined by a newline.

    A line or an event of more than ``longest_bytes`` raises ``StreamTooLong``. An event cut off by the end of
    the stream is included, since some servers omit the last blank line.
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
        # Two line ends: of the last line, and of the blank one.
        yield from self.feed(b"\n\n")

    def _add(self, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(data) + 1
        if self._data_bytes > self._longest_bytes:
            raise StreamTooLong("event")

    def _is_whole(self) -> bool:
        """Return whether the only data line is a complete JSON object, which must not be joined with another."""
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
    """Return the data of an error as a JSON object: some servers send plain text."""
    try:
        value = from_json(data)
    except ValueError:
        value = data.decode("utf-8", "replace").strip()
    return data if isinstance(value, dict) else json.dumps({"error": value or "an error"}).encode()


class _LineSplitter:
    """Splits chunks into lines without their ends (LF, CRLF or CR), wherever the chunks are cut."""

    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._parts: list[bytes] = []
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
        self._parts.append(first)
        self._pending_bytes += len(first)
        if self._pending_bytes > self._longest_bytes:
            raise StreamTooLong("line")
        if not lines:
            return []
        lines.insert(0, b"".join(self._parts))
        self._parts = [lines.pop()]
        self._pending_bytes = len(self._parts[0])
        return lines

    def _without_mark(self, chunk: bytes) -> bytes:
        """Remove the byte order mark, which may span the first chunks."""
        start, self._held = self._held + chunk, b""
        if start != _BYTE_ORDER_MARK and _BYTE_ORDER_MARK.startswith(start):
            self._held = start
            return b""
        self._at_start = False
        return start.removeprefix(_BYTE_ORDER_MARK)
