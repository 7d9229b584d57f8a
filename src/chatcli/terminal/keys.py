"""The REPL's key bindings, beside those of the line editor, and the line of hints about them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import (
    Always,
    Condition,
    Filter,
    has_focus,
    has_selection,
    is_searching,
    shift_selection_mode,
)
from prompt_toolkit.filters.app import (
    emacs_insert_mode,
    emacs_mode,
    vi_insert_mode,
    vi_navigation_mode,
    vi_replace_mode,
)
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
from prompt_toolkit.key_binding.bindings.auto_suggest import load_auto_suggest_bindings
from prompt_toolkit.key_binding.bindings.search import abort_search
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

from chatcli.config.key_bindings import KEY_ACTIONS
from chatcli.terminal.key_decoding import CTRL_ENTER, SHIFT_ENTER
from chatcli.terminal.word_motion import word_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.key_binding import KeyBindingsBase, KeyPressEvent

    from chatcli.config.key_bindings import KeyTable
    from chatcli.terminal.composer import AnswerLine, Composer
    from chatcli.terminal.input_history import HistorySearch

    Binding: TypeAlias = tuple[Callable[[], None], Filter]


_INDENT: Final = "    "


class Actions(Protocol):
    """The actions of keys."""

    @property
    def has_queued(self) -> bool: ...

    def submit(self) -> None:
        """Submit the text, or queue it while work is in hand."""
        ...

    def stop_and_send(self) -> None:
        """Stop the work in hand and submit the text, else the first queued one."""
        ...

    def edit_queued(self) -> None:
        """Take the newest queued text back into the composer."""
        ...

    def drop_queued(self) -> None: ...

    def paste(self, text: str) -> None: ...

    def expand_paste(self) -> None: ...

    def edit_in_editor(self) -> None: ...

    def search_history(self) -> None:
        """Show the input history to choose from."""
        ...

    def edit_previous(self) -> None:
        """Choose an earlier question to edit."""
        ...

    def interrupt(self) -> None:
        """Stop the work in hand; without any, clear the composer."""
        ...

    def request_leave(self) -> None:
        """Leave, but warn first if that would stop work."""
        ...

    def suspend(self) -> None:
        """Return the terminal to the shell until the person comes back."""
        ...


def key_bindings(
    actions: Actions, composer: Composer, answer: AnswerLine, search: HistorySearch, table: KeyTable
) -> KeyBindingsBase:
    """Return the bindings of ``table``; prompt_toolkit adds those of the line editor."""
    return merge_key_bindings(
        [
            _unbound(),
            word_keys(),
            load_auto_suggest_bindings(),
            _from_table(actions, composer, table),
            _fixed(actions, composer, answer),
            search.bindings(),
        ]
    )


def _unbound() -> KeyBindings:
    """Ignore named keys without a binding: the line editor would type their sequence."""
    keys = KeyBindings()

    @Condition
    def is_named() -> bool:
        pressed = get_app().key_processor.key_buffer
        return bool(pressed) and isinstance(pressed[-1].key, Keys)

    inserting = emacs_insert_mode | vi_insert_mode | vi_replace_mode

    @keys.add(Keys.Any, filter=inserting & is_named)
    def _drop(_: KeyPressEvent) -> None:
        pass

    return keys


def _from_table(actions: Actions, composer: Composer, table: KeyTable) -> KeyBindings:
    keys = KeyBindings()
    _add_enters(keys)
    for name, (act, where) in _bindings(actions, composer).items():
        for sequence in table.keys(name):
            keys.add(*strokes(sequence), filter=where)(_pressed(act))
    return keys


def _add_enters(keys: KeyBindings) -> None:
    """Let Enter with a modifier be Enter, unless it has a binding of its own."""

    @keys.add(SHIFT_ENTER)
    @keys.add(CTRL_ENTER)
    def _enter(event: KeyPressEvent) -> None:
        event.key_processor.feed(KeyPress(Keys.Enter, "\r"), first=True)


def _bindings(actions: Actions, composer: Composer) -> dict[str, Binding]:
    """Return what each action of the table does, and where."""
    buffer = composer.buffer
    writing: Filter = has_focus(buffer)
    empty = writing & Condition(lambda: composer.is_empty)
    queued = empty & Condition(lambda: actions.has_queued)
    # In vi's insert mode Escape changes the mode.
    choosing = writing & Condition(lambda: composer.is_unchanged) & (emacs_mode | vi_navigation_mode)
    bindings: dict[str, Binding] = {
        "send": (actions.submit, writing),
        "new_line": (lambda: buffer.newline(copy_margin=False), writing),
        "stop_and_send": (actions.stop_and_send, writing),
        "edit_queued": (actions.edit_queued, queued),
        "drop_queued": (actions.drop_queued, queued),
        "complete": (lambda: _complete(composer), writing),
        "complete_back": (composer.completing.back, writing),
        "expand_paste": (actions.expand_paste, writing),
        "edit_in_editor": (actions.edit_in_editor, writing),
        "search_history": (actions.search_history, writing & (emacs_mode | vi_insert_mode)),
        "edit_previous": (actions.edit_previous, choosing),
        "interrupt": (actions.interrupt, ~is_searching),
        "leave": (actions.request_leave, empty),
        "suspend": (actions.suspend, Always() if sys.platform != "win32" else ~Always()),
    }
    assert bindings.keys() == {action.name for action in KEY_ACTIONS}  # noqa: S101 - the table is what people read
    return bindings


def _add_selecting(keys: KeyBindings, writing: Filter) -> None:
    """Let typing end a selection begun by Ctrl-Space: the line editor would ignore letters."""
    selecting = writing & has_selection & emacs_mode & ~shift_selection_mode

    @keys.add(Keys.Any, filter=selecting)
    def _type(event: KeyPressEvent) -> None:
        event.current_buffer.exit_selection()
        if event.data.isprintable():
            event.current_buffer.insert_text(event.data)

    @keys.add("escape", filter=selecting)
    def _leave(event: KeyPressEvent) -> None:
        event.current_buffer.exit_selection()

    @keys.add("c-h", filter=selecting)
    @keys.add("delete", filter=selecting)
    def _delete(event: KeyPressEvent) -> None:
        event.current_buffer.cut_selection()


def _pressed(act: Callable[[], None]) -> Callable[[KeyPressEvent], None]:
    def press(_: KeyPressEvent) -> None:
        act()

    return press


def _complete(composer: Composer) -> None:
    if composer.can_complete or composer.completing.offers:
        composer.completing.forward()
    elif not composer.accept_suggestion():
        composer.buffer.insert_text(_INDENT)


def _fixed(actions: Actions, composer: Composer, answer: AnswerLine) -> KeyBindings:
    """Return the bindings that are not configurable: pastes, signals, and the answer line."""
    keys = KeyBindings()
    answering = has_focus(answer.buffer)
    empty = Condition(lambda: not answer.buffer.text)

    @keys.add(Keys.BracketedPaste, filter=has_focus(composer.buffer))
    def _paste(event: KeyPressEvent) -> None:
        actions.paste(event.data)

    _add_selecting(keys, has_focus(composer.buffer))

    keys.add(Keys.SIGINT, filter=is_searching)(abort_search)

    @keys.add(Keys.SIGINT, filter=~is_searching)
    def _interrupt(_: KeyPressEvent) -> None:
        actions.interrupt()

    @keys.add("enter", filter=answering)
    def _give(_: KeyPressEvent) -> None:
        answer.give()

    @keys.add("c-c", filter=answering)
    @keys.add(Keys.SIGINT, filter=answering)
    def _turn_down(_: KeyPressEvent) -> None:
        answer.turn_down()

    @keys.add("c-d", filter=answering & empty)
    def _leave(_: KeyPressEvent) -> None:
        answer.turn_down(leaving=True)

    return keys


_PLAIN = {"space": " "}
_ENTERS = {"shift": SHIFT_ENTER, "ctrl": CTRL_ENTER}


def strokes(sequence: str) -> tuple[str, ...]:
    """Return the key presses of a sequence from ``key_sequence``; Alt is Escape before a key."""
    return tuple(press for stroke in sequence.split() for press in _presses(stroke))


def _presses(stroke: str) -> tuple[str, ...]:
    modifiers, key = _parts(stroke)
    if key == "enter" and (named := [_ENTERS[word] for word in modifiers if word in _ENTERS]):
        name = named[0]
    elif "shift" in modifiers and len(key) == 1:
        name = key.upper()
    else:
        short = "".join(letter for letter, word in (("c-", "ctrl"), ("s-", "shift")) if word in modifiers)
        name = short + key if short else _PLAIN.get(key, key)
    return ("escape", name) if "alt" in modifiers else (name,)


def _parts(stroke: str) -> tuple[list[str], str]:
    # The key itself may be a hyphen.
    before, _, key = stroke[:-1].rpartition("-")
    return before.split("-"), key + stroke[-1]


Hint: TypeAlias = tuple[tuple[str, str], ...]
"""The names of actions and what they do, as a verb; the first matters most."""

LEAVING: Final[Hint] = (("leave", "leaves"),)
LEAVING_BUSY: Final[Hint] = (("leave", "again stops this and leaves"),)
QUEUED: Final[Hint] = (
    ("edit_queued", "edits"),
    ("drop_queued", "drops"),
    ("stop_and_send", "sends it now"),
)
HELD: Final[Hint] = (("send", "sends the next one"), ("edit_queued", "edits"), ("drop_queued", "drops"))
FOLDED: Final[Hint] = (("expand_paste", "unfolds it"), ("edit_in_editor", "edits it"))


def hint_line(hint: Hint, keys: KeyTable, columns: int) -> str:
    """Return the bound parts of ``hint``, as many as fit."""
    line = ""
    for name, does in hint:
        longer = f"{line}, {keys.shown(name)} {does}" if line else f"{keys.shown(name)} {does}"
        if keys.keys(name) and (len(longer) <= columns or not line):
            line = longer
    return line
