"""The list and the search without an index: from the files themselves, slower and as good."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from chatcli.core.errors import ConfigurationError
from chatcli.core.search_text import locate
from chatcli.sessions.names import SUFFIX
from chatcli.sessions.stamps import Stamp, moment_of, newest_first, stamp_of, stamps
from chatcli.sessions.store import SessionFile
from chatcli.sessions.utterances import utterances

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatcli.core.search_text import Term
    from chatcli.sessions.store import SessionStore, SessionSummary


class SessionScan:
    """What ``SessionIndex`` knows, for as long as this object lives: no file is written, nothing can be in the way."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._lock = RLock()
        self._known: dict[str, tuple[Stamp, SessionSummary | None]] | None = None
        self._is_closed = False

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        there = stamps(self._store.folder)
        known = {name: row for name, row in (self._known or {}).items() if name in there}
        changed = {
            name: stamp for name, stamp in there.items() if name not in known or known[name][0] != stamp
        }
        for done, name in enumerate(newest_first(changed)):
            if self._is_closed:
                return
            if progress is not None:
                progress(done, len(changed))
            known[name] = (changed[name], self._summary(name, changed[name]))
        with self._lock:
            self._known = known
        if progress is not None and changed:
            progress(len(changed), len(changed))

    def summaries(self, folder: str | None = None) -> list[SessionSummary]:
        with self._lock:
            found = [summary for _, summary in self._rows().values() if summary is not None]
        found.sort(key=lambda summary: (-summary.last_used.timestamp(), summary.name))
        return [summary for summary in found if folder is None or summary.folder == folder]

    def find(self, terms: Sequence[Term], folder: str | None = None, *, limit: int) -> list[SessionSummary]:
        found: list[SessionSummary] = []
        for summary in self._matching(terms, folder):
            if len(found) == limit:
                break
            found.append(summary)
        return found

    def unreadable(self) -> list[str]:
        with self._lock:
            return sorted(name for name, (_, summary) in self._rows().items() if summary is None)

    def count(self, terms: Sequence[Term], folder: str | None = None) -> int:
        return sum(1 for _ in self._matching(terms, folder))

    def look_again(self, names: Iterable[str]) -> None:
        for name in names:
            stamp = stamp_of(self._store.folder, name)
            row = None if stamp is None else (stamp, self._summary(name, stamp))
            with self._lock:
                known = {known: other for known, other in self._rows().items() if known != name}
                self._known = known if row is None else {**known, name: row}

    def close(self) -> None:
        self._is_closed = True

    def _rows(self) -> dict[str, tuple[Stamp, SessionSummary | None]]:
        if self._known is None:
            self.refresh()
        return self._known or {}

    def _matching(self, terms: Sequence[Term], folder: str | None) -> Iterator[SessionSummary]:
        return (summary for summary in self.summaries(folder) if not terms or self._holds(summary, terms))

    def _holds(self, summary: SessionSummary, terms: Sequence[Term]) -> bool:
        try:
            session = self._store.load(SessionFile(summary.name, summary.path))
        except ConfigurationError:
            return False
        texts = [summary.name, session.title or summary.title, *utterances(session.records)]
        return all(any(locate(text, term) for text in texts) for term in terms)

    def _summary(self, name: str, stamp: Stamp) -> SessionSummary | None:
        file = SessionFile(name, self._store.folder / f"{name}{SUFFIX}")
        try:
            session = self._store.load(file)
        except ConfigurationError:
            return None
        return self._store.summary(file, session, last_used=moment_of(stamp.mtime_ns))
