"""The log file: one JSON object a line, through Python's ``logging``, written by a thread of its own.

No caller waits for the disk, and none fails with it: where a line cannot be written it is lost, and the next one that can
says how many were. Several processes write to one file. Each opens it anew for the lines of a moment and holds its lock
meanwhile, so that none of them is in the way when another moves it aside.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from chatcli.storage.file_lock import lock
from chatcli.storage.json_lines import append_lines, encode_line
from chatcli.storage.private_files import check_regular, close_to_others, open_for_append
from chatcli.text.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import TypeAlias

    from chatcli.core.event_log import EventSink

    Redact: TypeAlias = Callable[[str], str]

LARGEST_BYTES: Final = 5_000_000
"""Of a file, before it is moved aside."""
OLDER_FILES: Final = 3
"""How many of those are kept."""

_MOST_WAITING: Final = 10_000
_MOST_WAITING_CHARACTERS: Final = 64_000_000
_MOST_TOGETHER: Final = 500
_MOST_TOGETHER_BYTES: Final = 1_000_000
_LOCK_S: Final = 0.5
_PATIENCE_S: Final = 2.0
"""How long the end of a run waits for the last lines."""
_PATIENCE_TO_COUNT_S: Final = 0.5
"""How long it waits, after that, until those that are lost are counted in the log."""
_REDACTIONS: Final = 3
_MOST_FRAMES: Final = 40
_MOST_CAUSES: Final = 6
_IS_WINDOWS: Final = sys.platform == "win32"


def open_log_file(path: Path, redact: Redact) -> EventSink:
    """Return what writes events to ``path``, without the keys that ``redact`` knows. Nothing is opened yet."""
    handler = LogFileHandler(path)
    handler.setFormatter(JsonLineFormatter(redact))
    # Not in the tree of loggers: what else the process logs is none of this file's, and this is none of theirs.
    logger = logging.Logger("chatcli")  # noqa: LOG001 - so
    logger.addHandler(handler)
    return LoggedEvents(logger, handler)


def open_logger(redact: Redact) -> EventSink:
    """Return what passes events on to Python's logger ``chatcli``, as a program that uses chatcli has set it up."""
    logger = logging.getLogger("chatcli")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # otherwise warnings would go to stderr
    return LoggedEvents(logger, redact=redact)


def older_file(path: Path, number: int) -> Path:
    """Return the path of the file that was ``path`` ``number`` moves ago."""
    return Path(f"{path}.{number}") if number else path


def log_files(path: Path) -> list[Path]:
    """Return the files of a log that are there, the oldest first."""
    place = _place(path)
    files = [older_file(place, number) for number in range(OLDER_FILES, -1, -1)]
    return [file for file in files if file.exists()]


class LoggedEvents:
    """An ``EventSink`` that passes events on to ``logger``, in words without keys; ``handler`` is closed with it."""

    def __init__(
        self, logger: logging.Logger, handler: logging.Handler | None = None, *, redact: Redact = str
    ) -> None:
        self._logger = logger
        self._handler = handler
        self._redact = redact

    def write(self, level: int, event: str, facts: Mapping[str, Any]) -> None:
        self._logger.log(
            level, "%s%s", event, _Words(facts, self._redact), extra={"event": event, "facts": facts}
        )

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()


class _Words:
    """Facts as a program that uses chatcli logs them, put into words only if it does."""

    def __init__(self, facts: Mapping[str, Any], redact: Redact) -> None:
        self._facts = facts
        self._redact = redact

    def __str__(self) -> str:
        facts = (f" {name}={value}" for name, value in self._facts.items() if value is not None)
        return self._redact("".join(facts))


class JsonLineFormatter(logging.Formatter):
    """Formats an event as a JSON object on one line, with the keys ``at``, ``level``, ``event``, ``pid`` and its facts."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        facts: Mapping[str, Any] = getattr(record, "facts", {})
        fields = {
            "at": timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", record.msg),
            "pid": record.process,
            **{name: value for name, value in facts.items() if value is not None},
        }
        line = encode_line(fields).decode("utf-8", "replace")
        if self._redact(line) == line:
            return line
        # One by one, so that the line stays JSON whatever the key is.
        return encode_line({name: self._without_keys(value) for name, value in fields.items()}).decode()

    def _without_keys(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, list | tuple):
            return [self._without_keys(each) for each in value]
        return value


class LogFileHandler(logging.Handler):
    """Appends lines to ``path`` in a thread that begins with the first; see the module. ``lost`` counts those lost since the last one written."""

    def __init__(
        self, path: Path, *, largest_bytes: int = LARGEST_BYTES, patience_s: float = _PATIENCE_S
    ) -> None:
        super().__init__()
        self.path = path
        self.lost = 0
        self._largest_bytes = largest_bytes
        self._patience_s = patience_s
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._is_late = False
        # Each is changed by one thread only.
        self._taken_characters = self._done_characters = 0

    def emit(self, record: logging.LogRecord) -> None:
        waiting_characters = self._taken_characters - self._done_characters
        if self._queue.qsize() >= _MOST_WAITING or waiting_characters >= _MOST_WAITING_CHARACTERS:
            self.lost += 1
            return
        self._taken_characters += _characters(record)
        self._queue.put(record)
        if self._thread is None:
            self._is_late = False
            self._thread = Thread(target=self._run, name="log", daemon=True)
            # Python 3.12 and later start no thread once they shut down.
            with suppress(RuntimeError):
                self._thread.start()

    def close(self) -> None:
        if (thread := self._thread) is not None:
            self._thread = None
            self._queue.put(None)
            with suppress(RuntimeError):
                thread.join(self._patience_s)
                self._is_late = True
                thread.join(_PATIENCE_TO_COUNT_S)
        super().close()

    def _run(self) -> None:
        is_over = False
        while not is_over:
            records, is_over = _next(self._queue)
            if records:
                self._write(records)
        if self._is_late and self.lost:
            self._append([])

    def _write(self, records: list[logging.LogRecord]) -> None:
        lines: list[bytes] = []
        size_bytes = 0
        for record in records:
            self._done_characters += _characters(record)
            if self._is_late:
                self.lost += 1
                continue
            if line := self._line(record):
                lines.append(line)
                size_bytes += len(line)
            if size_bytes >= _MOST_TOGETHER_BYTES:
                self._append(lines)
                lines, size_bytes = [], 0
        if lines:
            self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        lost = self.lost
        counted = [self._line(_lines_lost(lost))] if lost else []
        try:
            append_rotating(self.path, b"".join([*counted, *lines]), largest_bytes=self._largest_bytes)
        except Exception:  # noqa: BLE001 - whatever is wrong with the file, the run goes on
            self.lost += len(lines)
        else:
            self.lost -= lost

    def _line(self, record: logging.LogRecord) -> bytes:
        """Return the line of ``record``, empty if it cannot be made: a line with keys is worse than none."""
        for _ in range(_REDACTIONS):
            # A key that is learned at this moment changes what is looked for: another look finds it.
            with suppress(Exception):
                return self.format(record).encode("utf-8", "replace")
        self.lost += 1
        return b""


def _next(queue: SimpleQueue[logging.LogRecord | None]) -> tuple[list[logging.LogRecord], bool]:
    """Return the records that wait, at least one, and whether they are the last."""
    records: list[logging.LogRecord] = []
    take = queue.get
    while len(records) < _MOST_TOGETHER:
        try:
            record = take()
        except Empty:
            break
        if record is None:
            return records, True
        records.append(record)
        take = partial(queue.get, block=False)
    return records, False


def _characters(record: logging.LogRecord) -> int:
    """Return how long the texts of ``record`` are, as those of bodies may be."""
    facts: Mapping[str, Any] = getattr(record, "facts", {})
    return sum(len(value) for value in facts.values() if isinstance(value, str))


def _lines_lost(count: int) -> logging.LogRecord:
    facts = {"event": "lines_lost", "facts": {"lines": count}}
    return logging.makeLogRecord({"levelno": logging.WARNING, "levelname": "WARNING", "msg": "", **facts})


def append_rotating(path: Path, lines: bytes, *, largest_bytes: int = LARGEST_BYTES) -> None:
    """Append whole lines to ``path``, the owner's alone (0600), after moving it aside if it would grow too large.

    Raise ``OSError``.
    """
    path = _place(path)
    for is_moved in (False, True):
        descriptor = _opened(path)
        try:
            size_bytes = os.fstat(descriptor).st_size
            if is_moved or not size_bytes or size_bytes + len(lines) <= largest_bytes:
                append_lines(descriptor, lines)
                return
            if not _IS_WINDOWS:
                move_aside(path)
        finally:
            os.close(descriptor)
        if _IS_WINDOWS:  # an open file cannot be moved there
            move_aside(path)


def _place(path: Path) -> Path:
    """Return where a link at ``path`` leads to: a link that is moved aside would leave its file, and the log, behind.

    A link to nothing stays one, as no file is made through a link; but another process may have moved its file aside just now.
    """
    if not path.is_symlink():
        return path
    place = Path(os.path.realpath(path))
    return place if place.exists() or older_file(place, 1).exists() else path


def _opened(path: Path) -> int:
    """Return a descriptor of the file that is at ``path`` once its lock is held."""
    with suppress(FileNotFoundError):
        status = path.stat()
        check_regular(status)
        if stat.S_ISREG(status.st_mode):  # not the null device
            close_to_others(path)
    while True:
        descriptor = open_for_append(path, follow_link=True)
        try:
            with suppress(OSError):
                # Without the lock, as beside a suspended program, lines are still appended whole in nearly every case.
                lock(descriptor, patience_s=_LOCK_S)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # another process has moved it aside meanwhile


def move_aside(path: Path) -> None:
    """Move ``path`` aside, and older files one further; the oldest is gone. Where that is not possible, the file grows on."""
    for number in range(OLDER_FILES - 1, -1, -1):
        try:
            older_file(path, number).replace(older_file(path, number + 1))
        except FileNotFoundError:
            continue
        except OSError:
            return  # such as on Windows, while another program has it open


def facts_of_bug(error: BaseException) -> dict[str, Any]:
    """Return the kinds of an error and its causes, and where it came from; not its words, which may quote a conversation."""
    kinds: list[str] = []
    current: BaseException | None = error
    while current is not None and len(kinds) < _MOST_CAUSES:
        kinds.append(type(current).__name__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return {"error": kinds, "traceback": list(_frames(error.__traceback__))[-_MOST_FRAMES:]}


def _frames(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        # Where the packages are says more about the person than about the bug.
        place = "/".join(Path(code.co_filename).parts[-2:])
        yield f"{place}:{trace.tb_lineno} in {code.co_qualname}"
        trace = trace.tb_next
