"""The saved sessions, relative to the current conversation."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.core.errors import UsageError
from chatcli.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chatcli.app.run_context import RunContext
    from chatcli.chat import Conversation
    from chatcli.sessions.library import Library, SearchHit
    from chatcli.sessions.store import SessionSummary


FOUND_AT_MOST: Final = 60
"""The most sessions listed: to see more, a person types another letter.

Each listed file is read for the line around its hit before the next key.
"""


@frozen
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
