"""The journal of one conversation: it makes the records, writes them to their file, and shows what they come to."""

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
    timestamp,
    utc_now,
)
from chatcli.sessions.session import Session
from chatcli.storage.json_lines import ExclusiveJsonLines, InUse

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
    """Calls back once after so many seconds, unless it is cancelled."""

KEEP_WITHIN_S: Final = 0.5
"""How long the text of a reply may wait in memory: half of what the port allows, so a busy loop keeps it too."""

_WRITTEN_AT_ONCE: Final = 50


def running_loop_timer(delay_s: float, callback: Callable[[], None]) -> Cancel:
    """Call back on the running event loop; where none runs there is no silence to wake up from."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _nothing_to_cancel
    return loop.call_later(delay_s, callback).cancel


class SessionLog:
    """Keeps a conversation in a file (``core.ports.Journal``), without one only for as long as this object lives.

    ``session`` is what was said before; every record is applied to it, so it always is what a replay of the file
    would be. A conversation in which nothing is said leaves no file: what is set before the first question waits in
    memory and is written with it.

    The conversation never stops for its file. What cannot be written, as on a full disk, waits in memory and is
    tried again with each record. A file that another process writes to is left to it, and the conversation goes on
    in a copy. Both are told once, by ``notices``.

    Without ``session`` there is no such file yet. ``app`` names the program and version in the header, ``folder`` where
    the person is.
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
        """What ``-s`` takes to resume; ``None`` when nothing is kept, or not all of it is with the operating system."""
        self.notices: list[Notice] = []
        """What the person should know and was not told yet; whoever tells it takes it out."""
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
        """The message another process was at work on when this one resumed the session: a question, or a part."""
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
        """Go on with the session of ``file``, or begin it, and keep other processes from writing to it.

        Raise what ``load`` raises where there is a file that is no session.
        """
        records = record_file(file)
        is_ours = records.hold()
        try:
            log = cls(file, app=app, folder=folder, session=load(file), records=records)
        except BaseException:
            records.close()
            raise
        if count := log.session.damaged_records:
            told = f"{file.name} has {damage(count)}; damaged records are skipped and stay in the file"
            log.notices.append(Notice("session_damaged", told))
        if not is_ours:
            log.answered_elsewhere = log.session.head if log.session.is_unfinished else None
            log._go_on_in_a_copy()
        return log

    def message(self, message: Message, *, parent: str | None) -> str:
        """Keep a message of the person or the system and return its id."""
        record = MessageRecord(self._ids(), parent, self._now(), message)
        self._keep(record, is_said=message.role != "system")
        return record.id

    def mark(self, kind: str, value: Any = None, *, parent: str | None, endpoint: str | None = None) -> str:
        """Keep a mark set after message ``parent`` and return its id; ``MarkRecord`` lists kinds and values."""
        record = MarkRecord(self._ids(), parent, self._now(), kind, value, endpoint)
        self._keep(record, is_said=False)
        return record.id

    def begin_reply(self, *, parent: str | None) -> SessionReply:
        """Open the reply to message ``parent``; nothing is written before it has text."""
        reply = SessionReply(self, self._ids(), parent, self._monotonic_s, self._timer)
        self._open_replies[reply.id] = reply
        return reply

    def refused(self, message_id: str, reason: str) -> None:
        """Keep that the endpoint refused a question for what it is."""
        self.mark("refused", {"message": message_id, "reason": reason}, parent=self.session.head)

    def save_as(self, file: SessionFile) -> None:
        """Copy the whole conversation to a new file and go on there.

        Raise ``UsageError`` where there is a file already, and ``LocalIOError`` where none can be made; the
        conversation then stays where it is.
        """
        self._flush_replies()
        copy, records = self._copied_records(), record_file(file)
        records.begin(copy)
        self._let_go()
        self.session.become(copy)
        self.file, self.name, self._records = file, file.name, records
        self._begun = True
        self._copies = None
        self._unwritten.clear()

    def close(self) -> None:
        """Write what open replies still hold and let go of the file."""
        try:
            self._flush_replies()
        finally:
            self._open_replies.clear()
            self._let_go()

    def keep_partial(
        self, reply_id: str, parent: str | None, text: str, *, begins_again: bool = False
    ) -> None:
        """Keep the new text of a reply that is still arriving."""
        self._keep(PartialRecord(reply_id, parent, self._now(), text, begins_again))

    def keep_reply(self, reply_id: str, parent: str | None, message: Message, result: TurnResult) -> None:
        """Keep a whole reply in place of its parts."""
        metadata = ReplyMetadata(
            result.model,
            result.usage,
            result.finish_reason,
            result.latency_s,
            result.cost_usd,
            result.sources,
        )
        self._keep(MessageRecord(reply_id, parent, self._now(), message, metadata))
        self._open_replies.pop(reply_id, None)

    def _keep(self, record: MessageRecord | MarkRecord | PartialRecord, *, is_said: bool = True) -> None:
        new = (record,) if self.session.header else (self._header(record.at), record)
        self._unwritten += new
        self.session.apply(*new)
        if self._begun or is_said:
            self._begun = True
            self._write_all()

    def _write_all(self) -> None:
        """Write what waits, in this file or, where that is another's, in a copy."""
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
            # Not all at once: of what a full disk keeps waiting, no more is encoded with every attempt.
            if self._records is not None:
                self._records.append_records(self._unwritten[:_WRITTEN_AT_ONCE])
            del self._unwritten[:_WRITTEN_AT_ONCE]

    def _go_on_in_a_copy(self) -> None:
        """Leave the file to the process that has it. The copy is made when there is something to add to it."""
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

    def _let_go(self) -> None:
        if self._records is not None:
            self._records.close()


def record_file(file: SessionFile, *, is_new: bool = False) -> RecordFile:
    """Return what writes ``file``; only a path the person gave may be a link."""
    return RecordFile(file.path, follow_link=file.is_named_by_path, is_new=is_new)


class RecordFile(ExclusiveJsonLines):
    """Appends records to a session file, which is made with the first one.

    Methods that write raise ``LocalIOError``, ``ConfigurationError`` when the file turns out to be no session, and
    ``InUse``.
    """

    def __init__(self, path: Path, *, follow_link: bool = False, is_new: bool = False) -> None:
        super().__init__(path, self._check_header, follow_link=follow_link, is_new=is_new)
        self._has_header = False

    def hold(self) -> bool:
        """Keep others from writing from now on; return whether they do not do so already.

        A file that is not there yet is not made, but will be taken for another's if somebody makes it meanwhile. One
        that cannot be written is found out when it is.
        """
        try:
            return super().hold()
        except (OSError, ConfigurationError):
            return True

    def append_records(self, records: Sequence[Record]) -> None:
        """Write ``records`` at the end, all of them or none; a header at their beginning only where the file has none."""
        try:
            if isinstance(records[0], HeaderRecord):
                self.open()
                records = records[self._has_header :]
            self.append(encode(*records))
        except OSError as error:
            raise _not_written(self.path, error) from error

    def begin(self, records: Sequence[Record]) -> None:
        """Make the file with ``records``, a header first; raise ``UsageError`` where there is one already."""
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
        # A pipe with a name would be read for ever.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise not_a_session(self.path)
        beginning = os.read(descriptor, HEADER_SEARCH_BYTES)
        self._has_header = bool(beginning) and find_header(beginning, self.path) is not None


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
        self._is_partly_kept = False
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
            self._cancel_timer = self._timer(KEEP_WITHIN_S, self.flush)
        self._waiting.append(text)
        if self._monotonic_s() - self._waiting_since_s >= KEEP_WITHIN_S:
            self.flush()

    def begin_again(self, text: str) -> None:
        """Let ``text`` be all there is of the reply so far."""
        self._forget_waiting()
        if self._is_partly_kept:
            self._log.keep_partial(self._id, self._parent, text, begins_again=True)
        else:
            self.extend(text)

    def finish(self, message: Message, result: TurnResult) -> None:
        """Keep the whole reply in place of its parts."""
        self._log.keep_reply(self._id, self._parent, message, result)
        self._forget_waiting()

    def flush(self) -> None:
        """Write the text that waits, if any."""
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
