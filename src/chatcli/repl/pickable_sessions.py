"""The saved sessions, relative to the current conversation."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from chatcli.app.run_context import RunContext
    from chatcli.chat import Conversation
    from chatcli.sessions.library import Library, SearchHit
    from chatcli.sessions.store import SessionSummary


FOUND_AT_MOST: Final = 60
"""The most sessions listed: to see more, a person types another letter.

Each listed file is read for the line around its hit before the next key.
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """The sessions found for ``words``, in the person's folder (``is_here``) or in all.

    ``hits`` maps names to matches. ``found`` counts all matching sessions, listed or not, ``total`` those
    without words, and ``found_everywhere`` those in all folders.
    """

    words: str
    is_here: bool
    sessions: Sequence[SessionSummary]
    hits: Mapping[str, SearchHit]
    found: int
    total: int
    found_everywhere: int


class PickableSessions:
    """Lists sessions to choose, rename and remove.

    ``folder`` is the working folder. ``chat`` is the current conversation: its file is open, so it is renamed
    through the conversation itself, and it cannot be removed.
    """

    def __init__(self, library: Library, *, folder: str | None, chat: Conversation) -> None:
        self._library = library
        self._folder = folder
        self._chat = chat

    @property
    def has_folder(self) -> bool:
        return self._folder is not None

    @property
    def current(self) -> str | None:
        """The name of the current conversation, ``None`` if it is not saved."""
        return self._chat.opened.file.name if self._chat.opened.file else None

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read the files again; blocks, and reports to ``progress`` how many of how many were read."""
        self._library.refresh(progress)

    def listing(self, words: str, *, is_here: bool) -> Listing:
        """Return the sessions as last refreshed; blocks briefly."""
        library, folder = self._library, self._folder if is_here else None
        if not words.strip():
            sessions = library.sessions(folder=folder)
            everywhere = library.count() if is_here else len(sessions)
            return Listing(words, is_here, sessions, {}, len(sessions), len(sessions), everywhere)
        hits = library.search(words, folder=folder, limit=FOUND_AT_MOST)
        found = len(hits) if len(hits) < FOUND_AT_MOST else library.count(words, folder=folder)
        return Listing(
            words,
            is_here,
            [hit.summary for hit in hits],
            {hit.summary.name: hit for hit in hits},
            found,
            library.count(folder=folder),
            library.count(words) if is_here and not found else found,
        )

    async def rename(self, name: str, title: str) -> None:
        """Set the title of a session. Raise a ``ChatcliError`` if that fails."""
        if name == self.current:
            self._chat.opened.set_title(title)
            await in_thread(self.refresh)
        else:
            await in_thread(lambda: self._library.rename(name, title))

    async def remove(self, name: str) -> None:
        """Delete a session for good. Raise a ``ChatcliError`` if that fails."""
        if name == self.current:
            raise UsageError(
                "this conversation is open", hint="quit it first, then: chatcli sessions rm NAME"
            )
        await in_thread(lambda: self._library.remove(name))


@contextmanager
def pickable_sessions(context: RunContext, chat: Conversation) -> Iterator[PickableSessions]:
    """Open the sessions of ``context``, relative to ``chat``."""
    from chatcli.sessions.library import Library  # noqa: PLC0415 - many conversations never need its database

    library = Library.of(context.paths.data)
    try:
        yield PickableSessions(library, folder=str(context.folder) if context.folder else None, chat=chat)
    finally:
        # Files may still be being read, and nobody needs the result.
        Thread(target=library.close, daemon=True).start()


LONGEST_COLUMNS: Final = len("30 Sep 2025")

# strftime follows the locale of the process, which would mix languages.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_SAME_NIGHT_S: Final = 6 * _HOUR_S
_DAYS_COUNTED: Final = 7


def age(then: datetime, now: datetime) -> str:
    """Return ``then`` as an age: "2 h ago", "yesterday", "12 Oct". Days are in the time zone of ``now``."""
    then = then.astimezone(now.tzinfo)
    passed_s = (now - then).total_seconds()
    days = (now.date() - then.date()).days
    if passed_s < _MINUTE_S:
        return "just now"
    if passed_s < _HOUR_S:
        return f"{passed_s // _MINUTE_S:.0f} min ago"
    # Shortly after midnight, the last hour is not yet "yesterday".
    if days == 0 or passed_s < _SAME_NIGHT_S:
        return f"{passed_s // _HOUR_S:.0f} h ago"
    if days < _DAYS_COUNTED:
        return "yesterday" if days == 1 else f"{days} days ago"
    date = f"{then.day} {_MONTHS[then.month - 1]}"
    return date if then.year == now.year else f"{date} {then.year}"
