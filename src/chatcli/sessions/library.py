"""The saved conversations of a person: list, search, and changes, such as of a title or a name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from chatcli.core.errors import LocalIOError, UsageError
from chatcli.sessions.folder import attachments_folder, move_attachments
from chatcli.sessions.index import SessionIndex
from chatcli.sessions.index_file import IndexBroken, IndexClosed, IndexUnusable
from chatcli.sessions.log import record_file
from chatcli.sessions.records import MarkRecord, new_id
from chatcli.sessions.scanning import SessionScan, excerpt
from chatcli.sessions.store import SessionStore
from chatcli.storage import private_files
from chatcli.storage.json_lines import InUse
from chatcli.storage.private_files import read_regular
from chatcli.text.search_text import terms
from chatcli.text.times import local_now, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from chatcli.sessions.log import RecordFile
    from chatcli.sessions.records import Clock
    from chatcli.sessions.session import Session
    from chatcli.sessions.store import SessionFile, SessionSummary
    from chatcli.text.search_text import Term


def retitle(file: SessionFile, session: Session, title: str, *, now: datetime) -> None:
    """Set the title of ``session``, read from ``file``; its time of last use is kept.

    Raise ``UsageError`` for an empty title, or if another chatcli has the session open.
    """
    if not title.strip():
        raise UsageError("a title cannot be empty", hint="give one", code="empty_title")
    records = _held(file)
    try:
        before = file.path.stat()
        records.append_records([MarkRecord(new_id(), session.head, timestamp(now), "title", title)])
        # It was not continued, so it keeps its place in the list.
        os.utime(file.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    except InUse as error:
        raise _in_use(file) from error
    except OSError as error:
        raise _not_moved(file, error) from error
    finally:
        records.close()


def move(file: SessionFile, new: SessionFile) -> None:
    """Move a session with its attachments to an unused place.

    Raise ``UsageError`` if the place is taken or another chatcli has the session open, else ``LocalIOError``.
    """
    # Windows cannot move an open file: this checks for other users of it, and closes it.
    _held(file).close()
    if os.path.lexists(attachments_folder(new.path)):
        raise _exists(new)
    try:
        private_files.make_folder(new.path.parent)
        # Created first, so that no file created there meanwhile is overwritten.
        private_files.create(new.path, b"")
    except FileExistsError as error:
        raise _exists(new) from error
    except OSError as error:
        raise _not_moved(file, error) from error
    try:
        move_attachments(file.path, new.path)
        try:
            file.path.replace(new.path)
        except OSError:
            move_attachments(new.path, file.path)
            raise
    except OSError as error:
        new.path.unlink(missing_ok=True)
        raise _not_moved(file, error) from error


def _held(file: SessionFile) -> RecordFile:
    records = record_file(file)
    if not records.hold():
        raise _in_use(file)
    return records


def _in_use(file: SessionFile) -> UsageError:
    return UsageError(
        f"the session {file.name} is open in another chatcli",
        hint="rename it there, or quit it first",
        code="session_in_use",
    )


def _exists(new: SessionFile) -> UsageError:
    return UsageError(
        f"a session {new.name} already exists",
        hint="use another name; nothing is ever overwritten",
        code="session_exists",
    )


def _not_moved(file: SessionFile, error: OSError) -> LocalIOError:
    return LocalIOError(
        f"cannot rename the session {file.path}: {error.strerror or error}",
        hint="check the permissions of its folder",
        code="session_not_renamed",
    )


_Answer = TypeVar("_Answer")
_MOST_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A result of a search.

    ``excerpt`` is the line around the hit, empty if only the title or the name matches; ``at`` is the span of
    the hit in it, ``(0, 0)`` without one. The line is raw, control characters included: sanitize the text
    before, in and after the hit separately, else ``at`` is wrong.
    """

    summary: SessionSummary
    excerpt: str
    at: tuple[int, int]


class Catalog(Protocol):
    """A source of facts about the sessions of a folder: ``SessionIndex``, or ``SessionScan`` without an index."""

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None: ...
    def summaries(self, folder: str | None = None) -> list[SessionSummary]: ...
    def find(
        self, terms: Sequence[Term], folder: str | None = None, *, limit: int
    ) -> list[SessionSummary]: ...
    def unreadable(self) -> list[str]: ...
    def count(self, terms: Sequence[Term], folder: str | None = None) -> int: ...
    def look_again(self, names: Iterable[str]) -> None: ...
    def close(self) -> None: ...


class Library:
    """The sessions of one data folder. Calls block, and may come from any thread.

    ``refresh`` may run in one thread while others query: they get the results so far. A broken index is
    rebuilt; if an index is impossible, the files are read.
    """

    def __init__(
        self, store: SessionStore, index: SessionIndex | None = None, *, clock: Clock = local_now
    ) -> None:
        self.store = store
        self._index = index or SessionIndex(store)
        self._scan: SessionScan | None = None
        self._clock = clock
        self._lock = RLock()

    @classmethod
    def of(cls, data: Path) -> Library:
        """Return the library of a data folder, which may not exist yet."""
        return cls(SessionStore(data))

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Update from the changed files; the newest come first.

        ``progress(done, total)`` is called for the files to read; an exception from it ends the refresh,
        which continues there next time.
        """
        self._update_index(lambda catalog: catalog.refresh(progress))

    def sessions(self, *, folder: str | None = None) -> list[SessionSummary]:
        """Return the sessions as of the last refresh, newest first; with ``folder``, those begun in it."""
        return self._ask(lambda catalog: catalog.summaries(folder), [])

    def search(self, words: str, *, folder: str | None = None, limit: int = 50) -> list[SearchHit]:
        """Return the sessions that contain all words, newest first; the last word may be incomplete.

        Without a word, return all sessions.
        """
        wanted = terms(words)
        found: list[SessionSummary] = self._ask(lambda catalog: catalog.find(wanted, folder, limit=limit), [])
        return [_with_excerpt(summary, wanted) for summary in found]

    def count(self, words: str = "", *, folder: str | None = None) -> int:
        """Return the number of sessions, or of those ``search`` would find without a limit."""
        wanted = terms(words)
        return self._ask(lambda catalog: catalog.count(wanted, folder), 0)

    def unreadable(self) -> list[str]:
        """Return the names of the files that are not valid sessions."""
        return self._ask(lambda catalog: catalog.unreadable(), [])

    def rename(self, name: str, title: str) -> None:
        """Set the title of a session. Its time of last use is kept.

        Raise ``UsageError`` if the session does not exist, or a chatcli (this one included) has it open.
        """
        file = self.store.existing(name)
        retitle(file, self.store.load(file), title, now=self._clock())
        self._look_again([file])

    def move(self, name: str, new_name: str) -> SessionFile:
        """Rename a session and return its new file; attachments move along.

        Raise ``UsageError`` if the name is taken, or the session is open.
        """
        file, new = self.store.existing(name), self.store.resolve(new_name)
        self.store.load(file)
        last = self.store.last_used()
        move(file, new)
        if last == file:
            self.store.remember(new)
        self._look_again([file, new])
        return new

    def remove(self, name: str) -> SessionFile:
        """Delete a session, its attachments and its index entry; return its former file."""
        (file,) = self.remove_all([name])
        return file

    def remove_all(self, names: Iterable[str]) -> Iterator[SessionFile]:
        """Delete sessions as ``remove`` does, and yield each deleted one.

        The index is updated once for all, also if one deletion fails or the caller stops early.
        """
        gone: list[SessionFile] = []
        try:
            for name in names:
                gone.append(self.store.remove(name))
                yield gone[-1]
        finally:
            self._look_again(gone)

    def older_than(self, age: timedelta) -> list[SessionSummary]:
        """Return the sessions unused for so long, newest first."""
        try:
            before = self._clock().astimezone(UTC) - age
        except OverflowError:
            return []  # earlier than any session
        return [summary for summary in self.sessions() if summary.last_used < before]

    def close(self) -> None:
        """Close the index; a refresh in another thread stops. Afterwards the library is empty."""
        self._index.close()
        with self._lock:
            if self._scan is not None:
                self._scan.close()

    def _look_again(self, files: Iterable[SessionFile]) -> None:
        names = [file.name for file in files if not file.is_named_by_path]
        if names:
            self._update_index(lambda catalog: catalog.look_again(names))

    def _update_index(self, news: Callable[[Catalog], None]) -> None:
        """Update the index, rebuilt if it is broken."""
        self._ask(news, None, needs_all=False)

    def _ask(
        self, question: Callable[[Catalog], _Answer], nothing: _Answer, *, needs_all: bool = True
    ) -> _Answer:
        """Query the index, or the files if there is no index.

        A rebuilt index is empty; it is filled before a query that ``needs_all``.
        """
        if self._scan is not None:
            return question(self._scan)
        if not self.store.folder.is_dir():
            return nothing
        try:
            try:
                return question(self._index)
            except IndexBroken:
                self._index.discard()
                if needs_all:
                    self._index.refresh()
                return question(self._index)
        except IndexClosed:
            return nothing
        except (IndexUnusable, IndexBroken):
            return question(self._scanned())

    def _scanned(self) -> SessionScan:
        with self._lock:
            self._scan = self._scan or SessionScan(self.store)
            return self._scan


def _with_excerpt(summary: SessionSummary, wanted: Sequence[Term]) -> SearchHit:
    try:
        content = read_regular(summary.path, most_bytes=_MOST_BYTES)
    except OSError:
        return SearchHit(summary, "", (0, 0))
    return SearchHit(summary, *excerpt(content, wanted))
