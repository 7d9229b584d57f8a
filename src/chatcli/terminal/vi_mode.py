"""Which of vi's modes the composer is in, as a word and as the shape of the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.cursor_shapes import CursorShape, CursorShapeConfig, ModalCursorShapeConfig
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode

if TYPE_CHECKING:
    from prompt_toolkit.application import Application

_WORDS: Final = {
    InputMode.INSERT: "insert",
    InputMode.INSERT_MULTIPLE: "insert",
    InputMode.NAVIGATION: "normal",
    InputMode.REPLACE: "replace",
    InputMode.REPLACE_SINGLE: "replace",
}


def vi_mode(application: Application[Any]) -> str:
    """Return the name of the mode, empty with the keys of emacs."""
    if application.editing_mode != EditingMode.VI:
        return ""
    if application.current_buffer.selection_state is not None:
        return "visual"
    return _WORDS[application.vi_state.input_mode]


class ViCursor(CursorShapeConfig):
    """A bar to insert and a block to move, as vi users have it; with the keys of emacs the terminal's own."""

    def __init__(self) -> None:
        self._modal = ModalCursorShapeConfig()

    def get_cursor_shape(self, application: Application[Any]) -> CursorShape:
        if application.editing_mode != EditingMode.VI:
            return CursorShape._NEVER_CHANGE  # noqa: SLF001 - the only way to say it
        return self._modal.get_cursor_shape(application)
