"""Where choosing a session stands, and the keys that change it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from prompt_toolkit.filters import Filter
    from prompt_toolkit.key_binding import KeyBindingsBase, KeyPressEvent

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


class PickerActions(Protocol):
    """What a key can ask for, beyond moving the mark."""

    def choose(self) -> None:
        """Go on with the marked session."""
        ...

    def clear(self) -> None:
        """Look for nothing any more; where nothing is looked for, close."""
        ...

    def close(self) -> None: ...

    def turn_scope(self) -> None:
        """Show the sessions of all folders, or only this one's again."""
        ...

    def begin_renaming(self) -> None: ...

    def keep_title(self) -> None: ...

    def begin_removing(self) -> None: ...

    def remove(self) -> None: ...

    def go_back(self) -> None:
        """Neither rename nor remove it after all."""
        ...


def key_bindings(actions: PickerActions, state: PickerState) -> KeyBindingsBase:
    """Return the bindings; the container they belong to gets them before the rest of the screen does."""
    return merge_key_bindings(
        [_choosing(actions, state), _moving(state), _renaming(actions, state), _removing(actions, state)]
    )


def _choosing(actions: PickerActions, state: PickerState) -> KeyBindings:
    keys = KeyBindings()
    choosing = _doing(state, Doing.CHOOSING)

    @keys.add("enter", filter=choosing)
    @keys.add("c-j", filter=choosing)
    def _choose(_: KeyPressEvent) -> None:
        actions.choose()

    @keys.add("escape", filter=choosing)
    def _clear(_: KeyPressEvent) -> None:
        actions.clear()

    @keys.add("c-c", filter=choosing)
    @keys.add(Keys.SIGINT, filter=choosing)
    def _close(_: KeyPressEvent) -> None:
        actions.close()

    @keys.add("tab", filter=choosing)
    def _turn_scope(_: KeyPressEvent) -> None:
        actions.turn_scope()

    @keys.add("c-r", filter=choosing)
    @keys.add("f2", filter=choosing)
    def _rename(_: KeyPressEvent) -> None:
        actions.begin_renaming()

    @keys.add("c-d", filter=choosing)
    def _remove(_: KeyPressEvent) -> None:
        actions.begin_removing()

    @keys.add("delete", filter=choosing)
    def _delete(event: KeyPressEvent) -> None:
        # In the middle of the words it is the line editor's key.
        if not event.current_buffer.delete():
            actions.begin_removing()

    return keys


def _moving(state: PickerState) -> KeyBindings:
    keys = KeyBindings()
    choosing = _doing(state, Doing.CHOOSING)

    @keys.add("up", filter=choosing)
    @keys.add("c-p", filter=choosing)
    def _up(_: KeyPressEvent) -> None:
        state.move(-1)

    @keys.add("down", filter=choosing)
    @keys.add("c-n", filter=choosing)
    def _down(_: KeyPressEvent) -> None:
        state.move(1)

    @keys.add("pageup", filter=choosing)
    def _page_up(_: KeyPressEvent) -> None:
        state.page(-1)

    @keys.add("pagedown", filter=choosing)
    def _page_down(_: KeyPressEvent) -> None:
        state.page(1)

    @keys.add("home", filter=choosing)
    def _first(_: KeyPressEvent) -> None:
        state.first()

    @keys.add("end", filter=choosing)
    def _last(_: KeyPressEvent) -> None:
        state.last()

    return keys


def _renaming(actions: PickerActions, state: PickerState) -> KeyBindings:
    keys = KeyBindings()
    renaming = _doing(state, Doing.RENAMING)

    @keys.add("enter", filter=renaming)
    @keys.add("c-j", filter=renaming)
    def _keep(_: KeyPressEvent) -> None:
        actions.keep_title()

    @keys.add("escape", filter=renaming)
    @keys.add("c-c", filter=renaming)
    @keys.add(Keys.SIGINT, filter=renaming)
    def _go_back(_: KeyPressEvent) -> None:
        actions.go_back()

    return keys


def _removing(actions: PickerActions, state: PickerState) -> KeyBindings:
    keys = KeyBindings()
    removing = _doing(state, Doing.REMOVING)

    # Eager: no key may first wait whether it becomes part of a longer one that edits the words.
    @keys.add(Keys.Any, filter=removing, eager=True)
    def _go_back(_: KeyPressEvent) -> None:
        actions.go_back()

    @keys.add("y", filter=removing, eager=True)
    @keys.add("Y", filter=removing, eager=True)
    def _remove(_: KeyPressEvent) -> None:
        actions.remove()

    return keys


def _doing(state: PickerState, doing: Doing) -> Filter:
    return Condition(lambda: state.doing is doing)
