"""The saved conversations as their owner sees them: the list, the search, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chatcli.sessions.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from pathlib import Path

    from chatcli.sessions.store import SessionFile, SessionSummary


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a search.

    ``excerpt`` is a line of what was said around the hit, empty when only the title or the name has it; ``at`` is
    where the hit begins and ends in it, ``(0, 0)`` when there is none.
    """

    summary: SessionSummary
    excerpt: str
    at: tuple[int, int]


class Library:
    """The sessions of one data folder. Calls block, and may come from any thread."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store

    @classmethod
    def of(cls, data: Path) -> Library:
        """Return the library of a data folder, which need not be there."""
        return cls(SessionStore(data))

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Take notice of what other programs and other chatclis did to the files; ``progress(done, total)``."""

    def sessions(self, *, folder: str | None = None) -> list[SessionSummary]:
        """Return the sessions as they were last refreshed, newest first; with ``folder``, those that began in it."""
        return [summary for summary in self.store.summaries() if folder is None or summary.folder == folder]

    def search(self, words: str, *, folder: str | None = None, limit: int = 50) -> list[Found]:
        """Return the sessions in which all the words stand, newest first; the last word may be unfinished."""
        found = [
            summary
            for summary in self.sessions(folder=folder)
            if words.casefold() in f"{summary.name} {summary.title} {summary.preview}".casefold()
        ]
        return [Found(summary, "", (0, 0)) for summary in found[:limit]]

    def count(self, words: str = "", *, folder: str | None = None) -> int:
        """Return how many sessions there are, or how many ``search`` would find without a limit."""
        return len(self.search(words, folder=folder, limit=1_000_000_000))

    def rename(self, name: str, title: str) -> None:
        raise NotImplementedError

    def move(self, name: str, new_name: str) -> SessionFile:
        raise NotImplementedError

    def remove(self, name: str) -> SessionFile:
        """Delete a session and what was attached to it, and return where it was."""
        return self.store.remove(name)

    def older_than(self, age: timedelta) -> list[SessionSummary]:
        """Return the sessions that were not used for so long, newest first."""
        before = datetime.now(UTC) - age
        return [summary for summary in self.sessions() if summary.last_used < before]

    def close(self) -> None:
        """Let go of the index; nothing else may be called afterwards."""
