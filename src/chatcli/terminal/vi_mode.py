"""The composer's vi mode, and telling the Escape key from sequences that begin with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.cursor_shapes import CursorShape, CursorShapeConfig, ModalCursorShapeConfig
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.application import Application
    from prompt_toolkit.key_binding.key_processor import KeyProcessor


_WORDS: Final = {
    InputMode.INSERT: "insert",
    InputMode.INSERT_MULTIPLE: "insert",
    InputMode.NAVIGATION: "normal",
    InputMode.REPLACE: "replace",
    InputMode.REPLACE_SINGLE: "replace",
}


def vi_mode(application: Application[Any]) -> str:
    """Return the name of the mode, empty with emacs keys."""
    if application.editing_mode != EditingMode.VI:
        return ""
    if application.current_buffer.selection_state is not None:
        return "visual"
    return _WORDS[application.vi_state.input_mode]


class ViCursor(CursorShapeConfig):
    """A bar to insert and a block to move, as in vi; with emacs keys, the terminal's own cursor."""

    def __init__(self) -> None:
        self._modal = ModalCursorShapeConfig()

    def get_cursor_shape(self, application: Application[Any]) -> CursorShape:
        if application.editing_mode != EditingMode.VI:
            return CursorShape._NEVER_CHANGE  # noqa: SLF001 - there is no public name
        return self._modal.get_cursor_shape(application)


# The time vim waits for the rest of a key's sequence (ttimeoutlen in its defaults.vim).
_REST_OF_A_KEY_S: Final = 0.1
_REST_OF_A_SEQUENCE_S: Final = 1.0
_AFTER_ESCAPE_S: Final = 0.05
_AFTER_BOUND_ESCAPE_S: Final = 0.3


def distinguish_escape(
    application: Application[None], *, writing: Callable[[], bool], is_bound: Callable[[], bool]
) -> None:
    """Let Escape alone act soon while the person is ``writing``.

    With vi keys it changes the mode at once, and Alt is Escape with a key right after it. ``is_bound`` tells
    whether Escape has an action of its own with emacs keys, where it otherwise only begins sequences.
    """
    application.ttimeoutlen = _REST_OF_A_KEY_S

    def set_timeout(processor: KeyProcessor) -> None:
        if not writing():
            return
        waits_after_escape = [press.key for press in processor.key_buffer] == [Keys.Escape]
        if not waits_after_escape:
            application.timeoutlen = _REST_OF_A_SEQUENCE_S
        elif application.editing_mode == EditingMode.VI and not _is_in_normal_mode(application):
            application.timeoutlen = _AFTER_ESCAPE_S
        else:
            application.timeoutlen = _AFTER_BOUND_ESCAPE_S if is_bound() else _REST_OF_A_SEQUENCE_S

    application.key_processor.after_key_press += set_timeout


def _is_in_normal_mode(application: Application[None]) -> bool:
    return application.vi_state.input_mode == InputMode.NAVIGATION
