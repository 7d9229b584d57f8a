"""What the keys of the REPL do, beside those of the line editor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from prompt_toolkit.filters import Condition, has_focus, is_searching
from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
from prompt_toolkit.key_binding.bindings.auto_suggest import load_auto_suggest_bindings
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindingsBase, KeyPressEvent

    from chatcli.repl.composer import AnswerLine, Composer


class Actions(Protocol):
    """What a key can ask for."""

    def submit(self) -> None:
        """Hand over what is written."""
        ...

    def interrupt(self) -> None:
        """Stop what is going on; with nothing going on, throw away what is written."""
        ...

    def leave(self) -> None: ...

    def suspend(self) -> None:
        """Give the terminal back to the shell until the person returns."""
        ...


def key_bindings(actions: Actions, composer: Composer, answer: AnswerLine) -> KeyBindingsBase:
    """Return the bindings; those of the line editor come with prompt_toolkit."""
    return merge_key_bindings(
        [load_auto_suggest_bindings(), _everywhere(actions), _composer(actions, composer), _answer(answer)]
    )


def _everywhere(actions: Actions) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c", filter=~is_searching)
    @keys.add(Keys.SIGINT, filter=~is_searching)
    def _interrupt(_: KeyPressEvent) -> None:
        actions.interrupt()

    if sys.platform != "win32":

        @keys.add("c-z")
        def _suspend(_: KeyPressEvent) -> None:
            actions.suspend()

    return keys


def _composer(actions: Actions, composer: Composer) -> KeyBindings:
    keys = KeyBindings()
    writing = has_focus(composer.buffer)
    empty = Condition(lambda: not composer.buffer.text)

    @keys.add("enter", filter=writing)
    def _submit(_: KeyPressEvent) -> None:
        actions.submit()

    @keys.add("escape", "enter", filter=writing)
    @keys.add("c-j", filter=writing)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-d", filter=writing & empty)
    def _leave(_: KeyPressEvent) -> None:
        actions.leave()

    @keys.add("tab", filter=writing)
    def _complete(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
        elif buffer.text.startswith("/"):
            buffer.start_completion(select_first=True)
        else:
            buffer.insert_text("    ")

    return keys


def _answer(answer: AnswerLine) -> KeyBindings:
    keys = KeyBindings()
    answering = has_focus(answer.buffer)
    empty = Condition(lambda: not answer.buffer.text)

    @keys.add("enter", filter=answering)
    def _give(_: KeyPressEvent) -> None:
        answer.give()

    @keys.add("c-c", filter=answering)
    @keys.add(Keys.SIGINT, filter=answering)
    @keys.add("c-d", filter=answering & empty)
    def _turn_down(_: KeyPressEvent) -> None:
        answer.turn_down()

    return keys
