"""The store of sessions: names and files, the list, and the session used last."""

from __future__ import annotations

import itertools
import json
import stat
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError, LocalIOError, UsageError
from chatcli.core.frozen import frozen
from chatcli.sessions.folder import SUFFIX, checked_name, is_path, moment_of, remove_attachments
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, find_header, not_a_session, records_in
from chatcli.sessions.session import Session, exempt_from_garbage_collection, garbage_collection_paused
from chatcli.sessions.titles import preview_of, title_of
from chatcli.storage import private_files
from chatcli.storage.file_lock import is_locked
from chatcli.storage.json_lines import lines_of
from chatcli.storage.private_files import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatcli.sessions.records import Clock, IdSource

_LONGEST_SILENCE: Final = timedelta(minutes=10)
"""An answer is written at least every second; before its first word a model may reason for this long."""
NOT_READ: Final = "session_not_read"
"""The code of the error for a file that exists and cannot be opened or read."""
OF_A_SCRIPT: Final = " (Python API)"
"""The end of ``app`` in the header of a session that a Python script began: it is not the session the person used last."""
_MANY_RECORDS: Final = 20_000
_LONGEST_LAST_BYTES: Final = 1 << 20
_READ_BYTES: Final = 1_048_576
"""Chunk size for reading; a long session has fifty chunks."""


@frozen
class SessionFile:
    """The place of a session, existing or not. ``name`` is what ``-s`` takes to return to it from any folder."""

    name: str
    path: Path

    @property
    def is_named_by_path(self) -> bool:
        """Whether the person gave its path, and not a name in the data folder."""
        return self.name == str(self.path)

    def copies(self) -> Iterator[SessionFile]:
        """Yield places beside it for a copy: ``NAME-2``, ``NAME-3`` and so on."""
        for number in itertools.count(2):
            path = self.path.with_name(f"{self.path.stem}-{number}{self.path.suffix}")
            yield SessionFile(str(path) if self.is_named_by_path else path.stem, path)


@frozen
class SessionSummary:
    """A row of the list: ``turns`` counts the questions on the path, ``title`` may be empty.

    ``folder`` is the working directory when it began, if recorded; ``preview`` the beginning of the last
    message, on one line; ``damaged_records`` the number of unreadable records. ``is_unfinished``: it ends in
    a question or in an incomplete answer. ``forked_from`` is the session it was copied from.
    """

    name: str
    path: Path
    title: str
    turns: int
    last_used: datetime
    folder: str | None = None
    preview: str = ""
    damaged_records: int = 0
    is_unfinished: bool = False
    forked_from: str | None = None

    def is_being_answered(self, now: datetime) -> bool:
        """Return whether another chatcli is writing to it: it holds the file, and wrote to it shortly before ``now``."""
        is_recent = abs(now - self.last_used) < _LONGEST_SILENCE
        return self.is_unfinished and is_recent and is_locked(self.path)


class SessionStore:
    """The sessions of one data folder, and those given by a path.

    ::

        <folder>/sessions/NAME.jsonl
        <folder>/last                 {"path": "..."}, the session that was asked last

    Without ``keeps_last`` none of its sessions becomes the last: scripts leave it to the person.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock = datetime.now,
        ids: IdSource = token_hex,
        keeps_last: bool = True,
    ) -> None:
        self._sessions = folder.absolute() / "sessions"
        self._last = folder.absolute() / "last"
        self._clock = clock
        self._ids = ids
        self._keeps_last = keeps_last

    @property
    def folder(self) -> Path:
        """The folder of the named sessions; it may not exist yet."""
        return self._sessions

    def new(self) -> SessionFile:
        """Return an unused place, named by the clock's date and time: ``2026-11-23-2105-a1b2``."""
        while True:
            file = self._named(f"{self._clock():%Y-%m-%d-%H%M}-{self._ids()[:4]}")
            if not _exists(file.path):
                return file

    def resolve(self, name_or_path: str) -> SessionFile:
        """Return the file of ``-s NAME|PATH``; raise ``UsageError`` for an invalid name."""
        if "\0" not in name_or_path and is_path(name_or_path):
            return self._at(Path(name_or_path))
        return self._named(checked_name(name_or_path))

    def load(self, file: SessionFile) -> Session:
        """Return the session of ``file``, an empty one if the file is missing or empty.

        Raise ``ConfigurationError`` for a file that cannot be read or is not a session.
        """
        try:
            return _replayed(file.path)
        except FileNotFoundError:
            return Session()
        except OSError as error:
            if isinstance(error, NotADirectoryError) and not file.is_named_by_path:
                return Session()  # there is no data folder
            raise ConfigurationError(
                f"cannot read the session {file.path}: {error.strerror or error}",
                hint="make it readable, or use another -s name or path",
                code=NOT_READ,
            ) from error

    def summaries(self) -> list[SessionSummary]:
        """Return the sessions in the folder, the last used first; invalid files are omitted."""
        found = (self._summary(path) for path in self._newest_first())
        return [summary for summary in found if summary is not None]

    def summary(self, file: SessionFile, session: Session, *, last_used: datetime) -> SessionSummary:
        """Return the summary of a loaded session."""
        return SessionSummary(
            name=file.name,
            path=file.path,
            title=title_of(session),
            turns=len(session.questions),
            last_used=last_used,
            folder=session.header.folder if session.header else None,
            preview=preview_of(session),
            damaged_records=session.damaged_records,
            is_unfinished=session.is_unfinished,
            forked_from=session.forked_from,
        )

    def existing(self, name_or_path: str) -> SessionFile:
        """Return the file of an existing session; raise ``UsageError`` if there is none."""
        file = self.resolve(name_or_path)
        if not _exists(file.path):
            raise UsageError(
                f"there is no session {file.name}",
                hint="chatcli sessions list shows the names",
                code="no_such_session",
            )
        return file

    def remove(self, name_or_path: str) -> SessionFile:
        """Delete a session's file with its attachments, never any other kind of file; return its former place."""
        file = self.existing(name_or_path)
        self.load(file)
        try:
            file.path.unlink()
            remove_attachments(file.path)
        except OSError as error:
            raise LocalIOError(
                f"cannot remove the session {file.path}: {error.strerror or error}",
                hint="check the permissions of its folder",
                code="session_not_removed",
            ) from error
        return file

    def remember(self, file: SessionFile) -> None:
        """Record ``file`` as the session used last; called when it is asked a question."""
        if not self._keeps_last:
            return
        try:
            private_files.replace(self._last, json.dumps({"path": str(file.path)}).encode())
        except OSError as error:
            raise LocalIOError(
                f"cannot record the last session in {self._last}: {error.strerror or error}",
                hint=f"--continue will not find this one; resume it with -s {file.name}",
                code="last_session_not_written",
            ) from error

    def last_used(self) -> SessionFile | None:
        """Return the session the person used last wherever it is, ``None`` without any.

        If that is not known, it is the newest in the folder that no script began.
        """
        path = self._remembered() or next(
            (each for each in self._newest_first() if not _is_of_a_script(each)), None
        )
        return None if path is None else self._at(path)

    def _named(self, name: str) -> SessionFile:
        return SessionFile(name, self._sessions / f"{name}{SUFFIX}")

    def _at(self, path: Path) -> SessionFile:
        absolute = path.absolute()
        name = (
            absolute.stem
            if absolute.parent == self._sessions and absolute.suffix == SUFFIX
            else str(absolute)
        )
        return SessionFile(name, absolute)

    def _remembered(self) -> Path | None:
        try:
            path = Path(json.loads(read_regular(self._last, most_bytes=_LONGEST_LAST_BYTES))["path"])
            return path if path.is_absolute() and path.is_file() else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def _newest_first(self) -> list[Path]:
        modified = (
            (_modified_ns(path), path) for path in self._sessions.glob(f"*{SUFFIX}") if path.is_file()
        )
        return [path for _, path in sorted(modified, key=lambda pair: pair[0], reverse=True)]

    def _summary(self, path: Path) -> SessionSummary | None:
        file = self._at(path)
        try:
            session = self.load(file)
        except ConfigurationError:
            return None
        return self.summary(file, session, last_used=moment_of(_modified_ns(path)))


def _is_of_a_script(path: Path) -> bool:
    """Whether a Python script began the session; one that cannot be read is nobody's."""
    try:
        with open_regular(path) as file:
            header = find_header(file.read(HEADER_SEARCH_BYTES), path)
    except (OSError, ConfigurationError):
        return False
    return header is not None and header.app.endswith(OF_A_SCRIPT)


def _replayed(path: Path) -> Session:
    # A device or a pipe could be read for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise not_a_session(path)
    with path.open("rb", buffering=_READ_BYTES) as file, garbage_collection_paused():
        find_header(file.read(HEADER_SEARCH_BYTES), path)
        file.seek(0)
        # Line by line: each record keeps its line, and together they are the whole file.
        session = Session.replay(records_in(lines_of(file)))
        if len(session.records) >= _MANY_RECORDS:
            exempt_from_garbage_collection()
        return session


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
