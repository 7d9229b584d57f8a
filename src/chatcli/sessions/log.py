"""The journal of one conversation: it makes the records, keeps them, and shows what they come to."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.events import Notice
from chatcli.sessions.reading import damage
from chatcli.sessions.record_file import RecordFile
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    local_now,
    new_id,
    timestamp,
)
from chatcli.sessions.session import Session
from chatcli.storage.json_lines import InUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
    in a copy. Both are told once: ``untold`` gives the notices nobody was told of yet.

    ``app`` names the program and version in the header, ``folder`` where the person is.
    """

    def __init__(
        self,
        file: SessionFile | None,
        *,
        app: str,
        folder: str | None = None,
        session: Session | None = None,
        records: RecordFile | None = None,
        clock: Clock = local_now,
        ids: IdSource = new_id,
        monotonic_s: Callable[[], float] = time.monotonic,
        timer: Timer = running_loop_timer,
    ) -> None:
        self.file = file
        self.session = session or Session()
        self._records = records or (record_file(file) if file else None)
        self._app = app
        self._folder = folder
        self._clock = clock
        self._ids = ids
        self._monotonic_s = monotonic_s
        self._timer = timer
        self._begun = self.session.header is not None
        self._unwritten: deque[Record] = deque()
        self._copies: Iterator[SessionFile] | None = None
        self._is_failing = False
        self._untold: list[Notice] = []
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
            log._untold.append(Notice("session_damaged", told))
        if not is_ours:
            log.answered_elsewhere = log.session.head if log.session.is_unfinished else None
            log._go_on_in_a_copy()
        return log

    @property
    def name(self) -> str | None:
        """What ``-s`` takes to resume; ``None`` when nothing is kept, or not all of it."""
        return self.file.name if self.file and not self._is_failing else None

    @property
    def is_kept(self) -> bool:
        """Whether all that was said is with the operating system."""
        return self.file is not None and not self._is_failing

    def untold(self) -> list[Notice]:
        """Return what the person should know and was not told yet."""
        told, self._untold = self._untold, []
        return told

    def message(self, message: Message, *, parent: str | None) -> str:
        """Keep a message of the person or the system and return its id."""
        record = MessageRecord(self._ids(), parent, self._now(), message)
        self._keep(record)
        return record.id

    def mark(self, kind: str, value: Any = None, *, parent: str | None, endpoint: str | None = None) -> str:
        """Keep a mark set after message ``parent`` and return its id; ``MarkRecord`` lists kinds and values."""
        record = MarkRecord(self._ids(), parent, self._now(), kind, value, endpoint)
        self._keep(record)
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
        session = self._with_new_identity()
        records = record_file(file)
        records.begin(session.records)
        self._let_go()
        self.file, self.session, self._records = file, session, records
        self._begun = True
        self._is_failing = False
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

    def _keep(self, record: Record) -> None:
        if self.session.header is None:
            self._wait(self._header())
        self._wait(record)
        if self._begun or _is_said(record):
            self._begun = True
            self._write_all()

    def _wait(self, record: Record) -> None:
        self._unwritten.append(record)
        self.session.apply(record)

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
            if self._records is not None:
                self._records.append_record(self._unwritten[0])
            self._unwritten.popleft()

    def _go_on_in_a_copy(self) -> None:
        """Leave the file to the process that has it. The copy is made when there is something to add to it."""
        assert self.file is not None  # noqa: S101 - only a file can be in use
        name = self.file.name
        self._copies = self.file.copies()
        self.session = self._with_new_identity()
        fork = {"session": name, "message": self.session.head}
        self.session.apply(MarkRecord(self._ids(), self.session.head, self._now(), "fork", fork))
        self._take_next(self._copies)
        self._untold.append(
            Notice(
                "session_forked",
                f"{name} is open in another chatcli; continuing in a copy, {self.file.name}",
            )
        )

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

    def _fail(self, error: ChatcliError) -> None:
        if not self._is_failing:
            told = f"{error.clause}; continuing in memory; /save NAME saves it elsewhere"
            self._untold.append(Notice(error.code, told))
        self._is_failing = True

    def _succeed(self) -> None:
        if self._is_failing and self.file is not None:
            self._untold.append(Notice("session_written", f"saving again, to {self.file.path}"))
        self._is_failing = False

    def _with_new_identity(self) -> Session:
        said = (record for record in self.session.records if not isinstance(record, HeaderRecord))
        return Session.replay([self._header(), *said])

    def _header(self) -> HeaderRecord:
        return HeaderRecord(self._ids(), self._now(), self._app, folder=self._folder)

    def _now(self) -> str:
        return timestamp(self._clock())

    def _flush_replies(self) -> None:
        for reply in self._open_replies.values():
            reply.flush()

    def _let_go(self) -> None:
        if self._records is not None:
            self._records.close()


def record_file(file: SessionFile) -> RecordFile:
    """Return what writes ``file``; only a path the person gave may be a link."""
    return RecordFile(file.path, follow_link=file.is_named_by_path)


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


def _is_said(record: Record) -> bool:
    if isinstance(record, MessageRecord):
        return record.role != "system"
    return isinstance(record, PartialRecord)


def _nothing_to_cancel() -> None:
    return
