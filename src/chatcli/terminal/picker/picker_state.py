"""Where choosing a session stands: what is looked for, what is listed, which one is marked, what is done with it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatcli.repl.pickable_sessions import Listing
    from chatcli.sessions.store import SessionSummary


class Doing(Enum):
    """What the keys are for."""

    CHOOSING = auto()
    RENAMING = auto()
    REMOVING = auto()
    """The person is asked whether they mean it."""


class PickerState:
    """Knows no terminal and no files: keys and searches change it, drawing reads it.

    ``is_here``: only the sessions of the person's folder are wanted. What comes first is decided by ``settle``, once it
    is known what there is, but not any more when the person has done something: the list must not change under them.
    """

    def __init__(self, *, words: str = "", has_folder: bool, everywhere: bool = False) -> None:
        self.words = words
        self.is_here = False
        self.has_folder = has_folder
        self.doing = Doing.CHOOSING
        self.listing: Listing | None = None
        self.progress: tuple[int, int] | None = None
        self.error = ""
        """What went wrong with the last thing that was done."""
        self.is_settled = everywhere or not has_folder
        self._is_touched = False
        self._place = 0
        self._first = 0
        self._visible = 1

    @property
    def count(self) -> int:
        return len(self.listing.sessions) if self.listing else 0

    @property
    def place(self) -> int:
        """Which one of the listed is marked; 0 also where none is listed."""
        return self._place

    @property
    def marked(self) -> SessionSummary | None:
        return self.listing.sessions[self._place] if self.listing and self.count else None

    @property
    def is_current(self) -> bool:
        """Whether what is listed is what is wanted, and not what was wanted a key ago."""
        return (
            self.listing is not None
            and self.listing.words == self.words
            and self.listing.is_here is self.is_here
        )

    def settle(self, *, is_here: bool) -> None:
        """Decide whose sessions are wanted, unless that is decided already."""
        if not self.is_settled:
            self.is_here, self.is_settled = is_here, True

    def look_for(self, words: str) -> None:
        self._touch()
        self.words = words

    def turn_scope(self) -> None:
        """Want the sessions of all folders instead of this one's, or the other way round."""
        self._touch()
        if self.has_folder and self.is_settled:
            self.is_here = not self.is_here

    def take(self, listing: Listing) -> None:
        """List what was found. The mark stays on its session, as long as the same was looked for."""
        before, marked = self.listing, self.marked
        self.listing = listing
        looked_for_the_same = (
            before is not None and before.words == listing.words and before.is_here is listing.is_here
        )
        if not looked_for_the_same:
            self._place = self._first = 0
            return
        if not self._is_touched:
            return  # what came in above is newer, and nobody has chosen anything yet
        names = (session.name for session in listing.sessions)
        self._mark(next((at for at, name in enumerate(names) if marked and name == marked.name), self._place))

    def move(self, by: int) -> None:
        self._touch()
        self._mark(self._place + by)

    def page(self, by: int) -> None:
        self.move(by * max(1, self._visible - 1))

    def first(self) -> None:
        self.move(-self.count)

    def last(self) -> None:
        self.move(self.count)

    def window(self, visible: int) -> range:
        """Return which sessions are shown where there is room for ``visible``; the marked one is among them."""
        self._visible = max(1, visible)
        lowest_first = self._place - self._visible + 1
        self._first = max(lowest_first, min(self._first, self._place, self.count - self._visible), 0)
        return range(self._first, min(self.count, self._first + self._visible))

    def begin(self, doing: Doing) -> SessionSummary | None:
        """Begin to do something with the marked session, and return it; without one there is nothing to do."""
        self._touch()
        if self.marked is not None:
            self.doing = doing
        return self.marked

    def end(self) -> None:
        """Go back to choosing."""
        self.doing = Doing.CHOOSING

    def _touch(self) -> None:
        # Before there is a list, nobody has seen whose sessions it shows.
        self.is_settled = self.is_settled or self.listing is not None
        self._is_touched = True
        self.error = ""

    def _mark(self, place: int) -> None:
        self._place = max(0, min(place, self.count - 1))
