"""Session text read from the files: list and search without an index, and the line around a hit."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import ConfigurationError
from chatcli.sessions.folder import SUFFIX, Stamp, moment_of, newest_first, stamp_of, stamps
from chatcli.sessions.reading import read_records
from chatcli.sessions.records import MessageRecord, PartialRecord
from chatcli.sessions.store import SessionFile
from chatcli.text.search_text import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatcli.sessions.records import Record
    from chatcli.sessions.store import SessionStore, SessionSummary
    from chatcli.text.search_text import Term


def utterances(records: Iterable[Record]) -> Iterator[str]:
    """Yield the text of every question and answer of all branches, then those of interrupted answers.

    System messages are omitted: nobody searches for the prompt all their conversations share.
    """
    whole: set[str] = set()
    parts: dict[str, list[str]] = {}
    for record in records:
        if isinstance(record, MessageRecord):
            whole.add(record.id)
            if record.role != "system":
                yield record.message.text
        elif isinstance(record, PartialRecord):
            if record.begins_again:
                parts.pop(record.id, None)
            parts.setdefault(record.id, []).append(record.text)
    for reply, texts in parts.items():
        if reply not in whole:
            yield "".join(texts)


_BEFORE_CHARACTERS: Final = 40
_AFTER_CHARACTERS: Final = 120
_PARTIAL: Final = b'{"type":"partial"'


def excerpt(content: bytes, terms: Sequence[Term]) -> tuple[str, tuple[int, int]]:
    """Return the line around the first occurrence of the longest term in a session file, and its span in the line.

    ``("", (0, 0))`` if it does not occur in the text. The line is raw, control characters included: sanitize
    the text before, in and after the span separately.
    """
    for term in sorted(terms, key=lambda term: len(term.text), reverse=True):
        for lines in (_likely_lines(term, content), content):
            for text in utterances(read_records(lines)):
                if (place := locate(text, term)) is not None:
                    return _line(text, *place)
    return "", (0, 0)


def _likely_lines(term: Term, content: bytes) -> bytes:
    """Return the lines that contain ``term`` literally: nearly always enough, and few.

    Parts of an interrupted answer are not checked one by one: a word may span two of them.
    """
    needle = term.text.encode()
    lines = [line for line in content.split(b"\n") if needle in line.lower()]
    return b"\n".join(line for line in lines if not line.startswith(_PARTIAL))


def _line(text: str, start: int, end: int) -> tuple[str, tuple[int, int]]:
    begin = max(0, start - _BEFORE_CHARACTERS)
    before = _one_line(text[begin:start]).lstrip()
    hit = _one_line(text[start:end])
    after = _one_line(text[end : end + _AFTER_CHARACTERS]).rstrip()
    before = f"…{before}" if begin else before
    after = f"{after}…" if end + _AFTER_CHARACTERS < len(text) else after
    return before + hit + after, (len(before), len(before) + len(hit))


def _one_line(text: str) -> str:
    # Unlike split() and join(), this keeps the space at both ends, where the parts meet.
    words = " ".join(text.split())
    if not words:
        return " " if text else ""
    return (" " if text[0].isspace() else "") + words + (" " if text[-1].isspace() else "")


class SessionScan:
    """The interface of ``SessionIndex`` for the lifetime of this object: no file is written, so nothing can fail."""

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
