"""The saved conversations as their owner sees them: the list, the search, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from chatcli.sessions import renaming
from chatcli.sessions.index import SessionIndex
from chatcli.sessions.index_file import IndexBroken, IndexClosed, IndexUnusable
from chatcli.sessions.records import local_now
from chatcli.sessions.scanning import SessionScan, excerpt
from chatcli.sessions.store import SessionStore
from chatcli.storage.private_files import read_regular
from chatcli.text.search_text import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from chatcli.sessions.records import Clock
    from chatcli.sessions.store import SessionFile, SessionSummary
    from chatcli.text.search_text import Term

_Answer = TypeVar("_Answer")
_MOST_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A row of a search.

    ``excerpt`` is a line of what was said around the hit, empty when only the title or the name has it; ``at`` is
    where the hit begins and ends in it, ``(0, 0)`` when there is none. It is as it was said, control characters and
    all: sanitize the three pieces, not the line, or ``at`` is the wrong place.
    """

    summary: SessionSummary
    excerpt: str
    at: tuple[int, int]


class Catalog(Protocol):
    """What knows the sessions of a folder without opening each: ``SessionIndex``, and ``SessionScan`` in its place."""

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

    ``refresh`` may go on in one thread while others ask: they are told what is known by then. An index that is broken
    is made anew; where there can be none, the answers come from the files.
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
        """Return the library of a data folder, which need not be there."""
        return cls(SessionStore(data))

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Take notice of what became of the files since; the newest come first.

        ``progress(done, total)`` is told of the files that are read for it; what it raises ends the refresh, which
        goes on from there the next time.
        """
        self._tell(lambda catalog: catalog.refresh(progress))

    def sessions(self, *, folder: str | None = None) -> list[SessionSummary]:
        """Return the sessions as they were last refreshed, newest first; with ``folder``, those that began in it."""
        return self._ask(lambda catalog: catalog.summaries(folder), [])

    def search(self, words: str, *, folder: str | None = None, limit: int = 50) -> list[SearchHit]:
        """Return the sessions in which all the words stand, newest first; the last word may be unfinished.

        Without a word to look for, those are all sessions.
        """
        wanted = terms(words)
        found: list[SessionSummary] = self._ask(lambda catalog: catalog.find(wanted, folder, limit=limit), [])
        return [_with_excerpt(summary, wanted) for summary in found]

    def count(self, words: str = "", *, folder: str | None = None) -> int:
        """Return how many sessions there are, or how many ``search`` would find without a limit."""
        wanted = terms(words)
        return self._ask(lambda catalog: catalog.count(wanted, folder), 0)

    def unreadable(self) -> list[str]:
        """Return the names of the files beside the sessions that are none, or cannot be read as such."""
        return self._ask(lambda catalog: catalog.unreadable(), [])

    def rename(self, name: str, title: str) -> None:
        """Give a session a title. When it was used last stays as it was.

        Raises ``UsageError`` where there is no such session, or another chatcli (or this one) has it open.
        """
        file = self.store.existing(name)
        renaming.retitle(file, self.store.load(file), title, now=self._clock())
        self._look_again([file])

    def move(self, name: str, new_name: str) -> SessionFile:
        """Change what ``-s`` takes, and return where the session is now; what was attached moves along.

        Raises ``UsageError`` where there is a session of that name, or the session is open somewhere.
        """
        file, new = self.store.existing(name), self.store.resolve(new_name)
        self.store.load(file)
        last = self.store.last_used()
        renaming.move(file, new)
        if last == file:
            self.store.remember(new)
        self._look_again([file, new])
        return new

    def remove(self, name: str) -> SessionFile:
        """Delete a session, what was attached to it and what the index knows of it; return where it was."""
        (file,) = self.remove_all([name])
        return file

    def remove_all(self, names: Iterable[str]) -> Iterator[SessionFile]:
        """Delete sessions as ``remove`` does, and yield each that is gone.

        The index is told once, of all of them, also when one of them cannot be removed or nobody goes on.
        """
        gone: list[SessionFile] = []
        try:
            for name in names:
                gone.append(self.store.remove(name))
                yield gone[-1]
        finally:
            self._look_again(gone)

    def older_than(self, age: timedelta) -> list[SessionSummary]:
        """Return the sessions that were not used for so long, newest first."""
        try:
            before = self._clock().astimezone(UTC) - age
        except OverflowError:
            return []  # so long ago there were none
        return [summary for summary in self.sessions() if summary.last_used < before]

    def close(self) -> None:
        """Let go of the index; a refresh in another thread stops. Afterwards the library is empty."""
        self._index.close()
        with self._lock:
            if self._scan is not None:
                self._scan.close()

    def _look_again(self, files: Iterable[SessionFile]) -> None:
        names = [file.name for file in files if not file.is_named_by_path]
        if names:
            self._tell(lambda catalog: catalog.look_again(names))

    def _tell(self, news: Callable[[Catalog], None]) -> None:
        """Have the index take notice of something, one made anew where it is broken."""
        self._ask(news, None, needs_all=False)

    def _ask(
        self, question: Callable[[Catalog], _Answer], nothing: _Answer, *, needs_all: bool = True
    ) -> _Answer:
        """Ask the index, or the files where there can be none.

        An index made anew is empty; it is filled before it is asked what ``needs_all``.
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
