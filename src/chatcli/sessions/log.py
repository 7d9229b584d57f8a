"""The append-only file of one conversation."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import LocalIOError
from chatcli.sessions.private_files import make_folder, open_for_append
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, find_header
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    encode,
    local_now,
    new_id,
    timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.core.events import TurnResult
    from chatcli.core.messages import Message
    from chatcli.sessions.records import Clock, IdSource, Record

    Cancel: TypeAlias = Callable[[], None]
    Timer: TypeAlias = Callable[[float, Callable[[], None]], Cancel]
    """Calls back once after so many seconds, unless it is cancelled."""

KEEP_WITHIN_S: Final = 0.5
"""How long the text of a reply may wait in memory: half of what the port allows, so a busy loop keeps it too."""


def running_loop_timer(delay_s: float, callback: Callable[[], None]) -> Cancel:
    """Call back on the running event loop; where none runs there is no silence to wake up from."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _nothing_to_cancel
    return loop.call_later(delay_s, callback).cancel


class SessionLog:
    """Keeps a conversation in a file (``core.ports.Journal``).

    The file is made with the first record, so a conversation in which nothing is said leaves none. A record is one
    write and is then with the operating system: it survives the end of this process however it comes. It is not
    forced to the disk (fsync), which would cost milliseconds a record to guard against a power cut alone; a line torn
    by one is skipped by every reader.

    ``name`` is what ``-s`` takes to resume, ``app`` names the program and version in the header. Methods that write
    raise ``LocalIOError``, and ``ConfigurationError`` when the file turns out to be no session.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        app: str,
        clock: Clock = local_now,
        ids: IdSource = new_id,
        monotonic_s: Callable[[], float] = time.monotonic,
        timer: Timer = running_loop_timer,
    ) -> None:
        self.path = path
        self._name = name
        self._app = app
        self._clock = clock
        self._ids = ids
        self._monotonic_s = monotonic_s
        self._timer = timer
        self._descriptor: int | None = None
        self._torn = False
        self._open_replies: dict[str, SessionReply] = {}

    @property
    def name(self) -> str:
        return self._name

    def message(self, message: Message, *, parent: str | None) -> str:
        """Keep a message of the person or the system and return its id."""
        record = MessageRecord(self._ids(), parent, self._now(), message)
        self._append(record)
        return record.id

    def mark(self, kind: str, value: Any = None, *, parent: str | None) -> str:
        """Keep a mark set after message ``parent`` and return its id; ``MarkRecord`` lists kinds and values."""
        record = MarkRecord(self._ids(), parent, self._now(), kind, value)
        self._append(record)
        return record.id

    def begin_reply(self, *, parent: str | None) -> SessionReply:
        """Open the reply to message ``parent``; nothing is written before it has text."""
        reply = SessionReply(self, self._ids(), parent, self._monotonic_s, self._timer)
        self._open_replies[reply.id] = reply
        return reply

    def close(self) -> None:
        """Write what open replies still hold and let go of the file."""
        try:
            for reply in self._open_replies.values():
                reply.flush()
        finally:
            self._open_replies.clear()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def keep_partial(self, reply_id: str, parent: str | None, text: str) -> None:
        """Keep the new text of a reply that is still arriving."""
        self._append(PartialRecord(reply_id, parent, self._now(), text))

    def keep_reply(self, reply_id: str, parent: str | None, message: Message, result: TurnResult) -> None:
        """Keep a whole reply in place of its parts."""
        metadata = ReplyMetadata(
            result.model, result.usage, result.finish_reason, result.latency_s, result.cost_usd
        )
        self._append(MessageRecord(reply_id, parent, self._now(), message, metadata))
        self._open_replies.pop(reply_id, None)

    def _now(self) -> str:
        return timestamp(self._clock())

    def _append(self, record: Record) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            self._write(self._descriptor, encode(record))
        except OSError as error:
            raise LocalIOError(
                f"cannot write the session {self.path}: {error.strerror or error}",
                hint="free the way or give -s another path, or use --no-save to go on without saving",
                code="session_not_written",
            ) from error

    def _open(self) -> int:
        make_folder(self.path.parent)
        descriptor = open_for_append(self.path)
        try:
            self._begin(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _begin(self, descriptor: int) -> None:
        # Checked on the open file, whatever was checked on the path before: nothing but a session is written to.
        header = find_header(os.read(descriptor, HEADER_SEARCH_BYTES), self.path)
        self._torn = _ends_torn(descriptor)
        if header is None:
            self._write(descriptor, encode(HeaderRecord(self._ids(), timestamp(self._clock()), self._app)))

    def _write(self, descriptor: int, line: bytes) -> None:
        # A torn line gets its end first, so that it stays alone in being unreadable.
        left = memoryview(b"\n" + line if self._torn else line)
        while left:
            written = os.write(descriptor, left)
            self._torn = True
            left = left[written:]
        self._torn = False


class SessionReply:
    """A reply while it arrives (``core.ports.Reply``); made by ``SessionLog.begin_reply``.

    Text is gathered for at most ``KEEP_WITHIN_S`` and then written: by the ``extend`` that finds it waiting so
    long, or by the timer when silence follows it.
    """

    def __init__(
        self,
        log: SessionLog,
        reply_id: str,
        parent: str | None,
        monotonic_s: Callable[[], float],
        timer: Timer,
    ) -> None:
        self._log = log
        self._id = reply_id
        self._parent = parent
        self._monotonic_s = monotonic_s
        self._timer = timer
        self._waiting: list[str] = []
        self._waiting_since_s = 0.0
        self._cancel_timer: Cancel = _nothing_to_cancel

    @property
    def id(self) -> str:
        return self._id

    def extend(self, text: str) -> None:
        """Take the new text of the reply; it is in the file at the latest a second after it came."""
        if not text:
            return
        if not self._waiting:
            self._waiting_since_s = self._monotonic_s()
            self._cancel_timer = self._timer(KEEP_WITHIN_S, self._flush_in_silence)
        self._waiting.append(text)
        if self._monotonic_s() - self._waiting_since_s >= KEEP_WITHIN_S:
            self.flush()

    def finish(self, message: Message, result: TurnResult) -> None:
        """Keep the whole reply in place of its parts."""
        self._log.keep_reply(self._id, self._parent, message, result)
        self._forget_waiting()

    def flush(self) -> None:
        """Write the text that waits, if any."""
        if self._waiting:
            self._log.keep_partial(self._id, self._parent, "".join(self._waiting))
            self._forget_waiting()

    def _flush_in_silence(self) -> None:
        try:
            self.flush()
        except LocalIOError:
            # Nobody called who could be told. The text still waits, so the next call tries again and tells.
            return

    def _forget_waiting(self) -> None:
        self._cancel_timer()
        self._waiting.clear()


def _ends_torn(descriptor: int) -> bool:
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return False
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) != b"\n"


def _nothing_to_cancel() -> None:
    return
