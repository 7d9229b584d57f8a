"""What the keys do while a session is chosen, beside those of the line editor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
from prompt_toolkit.keys import Keys

from chatcli.terminal.picker.picker_state import Doing

if TYPE_CHECKING:
    from prompt_toolkit.filters import Filter
    from prompt_toolkit.key_binding import KeyBindingsBase, KeyPressEvent

    from chatcli.terminal.picker.picker_state import PickerState


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
