"""The state of the session picker, and the keys that change it."""

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
    """The mode that decides what keys do."""

    CHOOSING = auto()
    RENAMING = auto()
    REMOVING = auto()
    """Asking for confirmation."""


class PickerState:
    """The state without a terminal or files: keys and searches change it, drawing reads it.

    ``is_here`` restricts the list to the person's folder. ``settle`` decides the initial scope once the
    sessions are known, unless the person has done something by then: the list must not change under them.
    """

    def __init__(self, *, words: str = "", has_folder: bool, everywhere: bool = False) -> None:
        self.words = words
        self.is_here = False
        self.has_folder = has_folder
        self.doing = Doing.CHOOSING
        self.listing: Listing | None = None
        self.progress: tuple[int, int] | None = None
        self.error = ""
        """The error of the last action."""
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
        """The index of the marked session; 0 if none is listed."""
        return self._place

    @property
    def marked(self) -> SessionSummary | None:
        return self.listing.sessions[self._place] if self.listing and self.count else None

    @property
    def is_current(self) -> bool:
        """Whether the list is the result of the current search, not of an earlier one."""
        return (
            self.listing is not None
            and self.listing.words == self.words
            and self.listing.is_here is self.is_here
        )

    def settle(self, *, is_here: bool) -> None:
        """Decide the scope, unless it is already decided."""
        if not self.is_settled:
            self.is_here, self.is_settled = is_here, True

    def look_for(self, words: str) -> None:
        self._touch()
        self.words = words

    def turn_scope(self) -> None:
        """Toggle between this folder's sessions and those of all folders."""
        self._touch()
        if self.has_folder and self.is_settled:
            self.is_here = not self.is_here

    def take(self, listing: Listing) -> None:
        """List search results. The mark stays on its session while the search is the same."""
        before, marked = self.listing, self.marked
        self.listing = listing
        looked_for_the_same = (
            before is not None and before.words == listing.words and before.is_here is listing.is_here
        )
        if not looked_for_the_same:
            self._place = self._first = 0
            return
        if not self._is_touched:
            return  # newer sessions were added above, and none was chosen yet
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
        """Return the sessions visible in ``visible`` places, the marked one among them."""
        self._visible = max(1, visible)
        lowest_first = self._place - self._visible + 1
        self._first = max(lowest_first, min(self._first, self._place, self.count - self._visible), 0)
        return range(self._first, min(self.count, self._first + self._visible))

    def begin(self, doing: Doing) -> SessionSummary | None:
        """Begin an action on the marked session, and return it; ``None`` without one."""
        self._touch()
        if self.marked is not None:
            self.doing = doing
        return self.marked

    def end(self) -> None:
        """Return to choosing."""
        self.doing = Doing.CHOOSING

    def _touch(self) -> None:
        # Before there is a list, the person cannot have seen its scope.
        self.is_settled = self.is_settled or self.listing is not None
        self._is_touched = True
        self.error = ""

    def _mark(self, place: int) -> None:
        self._place = max(0, min(place, self.count - 1))


class PickerActions(Protocol):
    """The actions of keys, beyond moving the mark."""

    def choose(self) -> None:
        """Choose the marked session."""
        ...

    def clear(self) -> None:
        """Clear the search; if it is empty, close."""
        ...

    def close(self) -> None: ...

    def turn_scope(self) -> None:
        """Toggle between the sessions of all folders and of this one."""
        ...

    def begin_renaming(self) -> None: ...

    def keep_title(self) -> None: ...

    def begin_removing(self) -> None: ...

    def remove(self) -> None: ...

    def go_back(self) -> None:
        """Cancel renaming or removing."""
        ...


def key_bindings(actions: PickerActions, state: PickerState) -> KeyBindingsBase:
    """Return the bindings; the picker's container handles them before the rest of the screen."""
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

    # Eager: a key must not wait to become part of a longer one that edits the words.
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
