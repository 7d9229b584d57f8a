"""The journal of one conversation: it makes records, writes them to their file, and replays them."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.events import Notice
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, damage, find_header, not_a_session
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    encode,
    new_id,
    utc_now,
)
from chatcli.sessions.session import Session
from chatcli.storage.json_lines import ExclusiveJsonLines, InUse
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from chatcli.core.errors import ChatcliError
    from chatcli.core.events import TurnResult
    from chatcli.core.messages import Message
    from chatcli.sessions.records import Clock, IdSource, Record
    from chatcli.sessions.store import SessionFile

    Cancel: TypeAlias = Callable[[], None]
    Timer: TypeAlias = Callable[[float, Callable[[], None]], Cancel]
    """Calls back after a number of seconds, unless cancelled."""

KEEP_WITHIN_S: Final = 0.5
"""The longest time the text of a reply waits in memory: half the port's limit, which leaves room for a busy loop."""

_WRITTEN_AT_ONCE: Final = 50


def running_loop_timer(delay_s: float, callback: Callable[[], None]) -> Cancel:
    """Call back on the running event loop; without one there is no idle time to wake up from."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _nothing_to_cancel
    return loop.call_later(delay_s, callback).cancel


class SessionLog:
    """Stores a conversation in a file (``core.ports.Journal``), or only in memory without one.

    ``session`` is the conversation so far; every record is applied to it, so that it always equals a replay
    of the file. A conversation without messages leaves no file: marks set before the first question are
    written with it.

    The conversation never stops for its file. Records that cannot be written, as on a full disk, are kept in
    memory and written with a later one. If another process writes to the file, the conversation continues in
    a copy. Both are reported once, by ``notices``.

    Without ``session`` the file must not exist yet. ``app`` is the program and version for the header,
    ``folder`` the working directory.
    """

    def __init__(
        self,
        file: SessionFile | None,
        *,
        app: str,
        folder: str | None = None,
        session: Session | None = None,
        records: RecordFile | None = None,
        clock: Clock = utc_now,
        ids: IdSource = new_id,
        monotonic_s: Callable[[], float] = time.monotonic,
        timer: Timer = running_loop_timer,
    ) -> None:
        self.file = file
        self.session = session or Session()
        self.name = file.name if file else None
        """The name to pass to ``-s``.

        ``None`` if nothing is saved, or not everything is with the operating system.
        """
        self.notices: list[Notice] = []
        """Notices the person has not seen; whoever shows one removes it."""
        self._records = records or (record_file(file, is_new=session is None) if file else None)
        self._app = app
        self._folder = folder
        self._clock = clock
        self._ids = ids
        self._monotonic_s = monotonic_s
        self._timer = timer
        self._begun = self.session.header is not None
        self._unwritten: list[Record] = []
        self._copies: Iterator[SessionFile] | None = None
        self.answered_elsewhere: str | None = None
        """The message another process was writing when this one resumed the session: a question, or a part."""
        self._open_replies: dict[str, SessionReply] = {}

    @classmethod
    def resume(
        cls,
        file: SessionFile,
        load: Callable[[SessionFile], Session],
        *,
        app: str,
        folder: str | None = None,
    ) -> SessionLog:
        """Resume or begin the session of ``file``, and lock out other writers.

        Raise the errors of ``load`` for a file that is not a session.
        """
        records = record_file(file)
        is_ours = records.hold()
        try:
            log = cls(file, app=app, folder=folder, session=load(file), records=records)
        except BaseException:
            records.close()
            raise
        if count := log.session.damaged_records:
            message = f"{file.name} has {damage(count)}; damaged records are skipped and stay in the file"
            log.notices.append(Notice("session_damaged", message))
        if not is_ours:
            log.answered_elsewhere = log.session.head if log.session.is_unfinished else None
            log._go_on_in_a_copy()
        return log

    def message(self, message: Message, *, parent: str | None) -> str:
        """Store a message of the person or the system and return its id."""
        record = MessageRecord(self._ids(), parent, self._now(), message)
        self._keep(record, has_messages=message.role != "system")
        return record.id

    def mark(self, kind: str, value: Any = None, *, parent: str | None, endpoint: str | None = None) -> str:
        """Store a mark after message ``parent`` and return its id; ``MarkRecord`` lists kinds and values."""
        record = MarkRecord(self._ids(), parent, self._now(), kind, value, endpoint)
        self._keep(record, has_messages=False)
        return record.id

    def begin_reply(self, *, parent: str | None) -> SessionReply:
        """Open the reply to message ``parent``; nothing is written before it has text."""
        reply = SessionReply(self, self._ids(), parent, self._monotonic_s, self._timer)
        self._open_replies[reply.id] = reply
        return reply

    def refused(self, message_id: str, reason: str) -> None:
        """Record that the endpoint refused a question itself."""
        self.mark("refused", {"message": message_id, "reason": reason}, parent=self.session.head)

    def save_as(self, file: SessionFile) -> None:
        """Copy the whole conversation to a new file and continue there.

        Raise ``UsageError`` if the file exists, and ``LocalIOError`` if it cannot be created; the
        conversation then stays in its file.
        """
        self._flush_replies()
        copy, records = self._copied_records(), record_file(file)
        records.begin(copy)
        self._release()
        self.session.become(copy)
        self.file, self.name, self._records = file, file.name, records
        self._begun = True
        self._copies = None
        self._unwritten.clear()

    def close(self) -> None:
        """Write the pending text of open replies and close the file."""
        try:
            self._flush_replies()
        finally:
            self._open_replies.clear()
            self._release()

    def keep_partial(
        self, reply_id: str, parent: str | None, text: str, *, begins_again: bool = False
    ) -> None:
        """Store the new text of an incomplete reply."""
        self._keep(PartialRecord(reply_id, parent, self._now(), text, begins_again))

    def keep_reply(self, reply_id: str, parent: str | None, message: Message, result: TurnResult) -> None:
        """Store a complete reply in place of its parts."""
        metadata = ReplyMetadata(
            result.model,
            result.usage,
            result.finish_reason,
            result.latency_s,
            result.cost_usd,
            result.sources,
            None if result.requested_model in {"", result.model} else result.requested_model,
        )
        self._keep(MessageRecord(reply_id, parent, self._now(), message, metadata))
        self._open_replies.pop(reply_id, None)

    def _keep(self, record: MessageRecord | MarkRecord | PartialRecord, *, has_messages: bool = True) -> None:
        new = (record,) if self.session.header else (self._header(record.at), record)
        self._unwritten += new
        self.session.apply(*new)
        if self._begun or has_messages:
            self._begun = True
            self._write_all()

    def _write_all(self) -> None:
        """Write the pending records, to this file or, if another process has it, to a copy."""
        try:
            try:
                self._write()
            except InUse:
                self._go_on_in_a_copy()
                self._write()
        except (LocalIOError, ConfigurationError) as error:
            self._fail(error)
        else:
            self._succeed()

    def _write(self) -> None:
        if self._copies is not None:
            self._make_copy(self._copies)
        while self._unwritten:
            # In batches, so that a long backlog on a full disk is not encoded anew with every attempt.
            if self._records is not None:
                self._records.append_records(self._unwritten[:_WRITTEN_AT_ONCE])
            del self._unwritten[:_WRITTEN_AT_ONCE]

    def _go_on_in_a_copy(self) -> None:
        """Leave the file to the other process. The copy is created with the next record."""
        assert self.file is not None  # noqa: S101 - only a file can be in use
        name = self.file.name
        self._copies = self.file.copies()
        self.session.become(self._copied_records())
        fork = {"session": name, "message": self.session.head}
        self.session.apply(MarkRecord(self._ids(), self.session.head, self._now(), "fork", fork))
        self._take_next(self._copies)
        forked = f"{name} is open in another chatcli; continuing in a copy, {self.file.name}"
        self.notices.append(Notice("session_forked", forked))

    def _make_copy(self, copies: Iterator[SessionFile]) -> None:
        assert self._records is not None  # noqa: S101 - taken together with the copies
        while True:
            try:
                self._records.begin(self.session.records)
            except UsageError:
                self._take_next(copies)
            else:
                break
        self._copies = None
        self._unwritten.clear()

    def _take_next(self, copies: Iterator[SessionFile]) -> None:
        self.file = next(file for file in copies if not file.path.exists())
        self._records = record_file(self.file)
        if self.name is not None:
            self.name = self.file.name

    def _fail(self, error: ChatcliError) -> None:
        if self.name is not None:
            failure = f"{error.clause}; continuing in memory; /save NAME saves it elsewhere"
            self.notices.append(Notice(error.code, failure))
        self.name = None

    def _succeed(self) -> None:
        if self.name is None and self.file is not None:
            self.notices.append(Notice("session_written", f"saving again, to {self.file.path}"))
            self.name = self.file.name

    def _copied_records(self) -> list[Record]:
        kept = (record for record in self.session.records if not isinstance(record, HeaderRecord))
        return [self._header(self._now()), *kept]

    def _header(self, at: str) -> HeaderRecord:
        return HeaderRecord(self._ids(), at, self._app, folder=self._folder)

    def _now(self) -> str:
        return timestamp(self._clock())

    def _flush_replies(self) -> None:
        for reply in self._open_replies.values():
            reply.flush()

    def _release(self) -> None:
        if self._records is not None:
            self._records.close()


def record_file(file: SessionFile, *, is_new: bool = False) -> RecordFile:
    """Return the writer of ``file``; only a path given by the person may be a link."""
    return RecordFile(file.path, follow_link=file.is_named_by_path, is_new=is_new)


class RecordFile(ExclusiveJsonLines):
    """Appends records to a session file, which is created with the first one.

    Writing methods raise ``LocalIOError``, ``ConfigurationError`` if the file is not a session, and
    ``InUse``.
    """

    def __init__(self, path: Path, *, follow_link: bool = False, is_new: bool = False) -> None:
        super().__init__(path, self._check_header, follow_link=follow_link, is_new=is_new)
        self._has_header = False

    def hold(self) -> bool:
        """Lock out other writers from now on; return ``False`` if one of them already holds the lock.

        A missing file is not created; if another process creates it meanwhile, it counts as that process's
        file. An unwritable file is noticed with the first write.
        """
        try:
            return super().hold()
        except (OSError, ConfigurationError):
            return True

    def append_records(self, records: Sequence[Record]) -> None:
        """Append ``records``, all of them or none; a header at their beginning only if the file has none."""
        try:
            if isinstance(records[0], HeaderRecord):
                self.open()
                records = records[self._has_header :]
            self.append(encode(*records))
        except OSError as error:
            raise _not_written(self.path, error) from error

    def begin(self, records: Sequence[Record]) -> None:
        """Create the file with ``records``, a header first; raise ``UsageError`` if it exists."""
        try:
            self.create(encode(*records))
        except FileExistsError as error:
            raise UsageError(
                f"{self.path} already exists",
                hint="use another name or path; nothing is ever overwritten",
                code="session_exists",
            ) from error
        except OSError as error:
            raise _not_written(self.path, error) from error

    def _check_header(self, descriptor: int) -> None:
        # A named pipe would be read for ever.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise not_a_session(self.path)
        beginning = os.read(descriptor, HEADER_SEARCH_BYTES)
        self._has_header = bool(beginning) and find_header(beginning, self.path) is not None


class SessionReply:
    """An incomplete reply (``core.ports.Reply``); made by ``SessionLog.begin_reply``.

    Text is buffered for at most ``KEEP_WITHIN_S`` and then written: by the next ``extend``, or by the timer
    if none follows.
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
        self._is_partly_kept = False
        self._cancel_timer: Cancel = _nothing_to_cancel

    @property
    def id(self) -> str:
        return self._id

    def extend(self, text: str) -> None:
        """Add text to the reply; it is in the file within a second."""
        if not text:
            return
        if not self._waiting:
            self._waiting_since_s = self._monotonic_s()
            self._cancel_timer = self._timer(KEEP_WITHIN_S, self.flush)
        self._waiting.append(text)
        if self._monotonic_s() - self._waiting_since_s >= KEEP_WITHIN_S:
            self.flush()

    def begin_again(self, text: str) -> None:
        """Replace the text of the reply so far by ``text``."""
        self._forget_waiting()
        if self._is_partly_kept:
            self._log.keep_partial(self._id, self._parent, text, begins_again=True)
        else:
            self.extend(text)

    def finish(self, message: Message, result: TurnResult) -> None:
        """Store the complete reply in place of its parts."""
        self._log.keep_reply(self._id, self._parent, message, result)
        self._forget_waiting()

    def flush(self) -> None:
        """Write the buffered text, if any."""
        if self._waiting:
            self._log.keep_partial(self._id, self._parent, "".join(self._waiting))
            self._is_partly_kept = True
            self._forget_waiting()

    def _forget_waiting(self) -> None:
        self._cancel_timer()
        self._waiting.clear()


def _not_written(path: Path, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot write the session {path}: {error.strerror or error}",
        hint="fix that, use another -s path, or --no-save",
        code="session_not_written",
    )


def _nothing_to_cancel() -> None:
    return
