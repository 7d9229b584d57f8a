"""Telling the key Escape from the keys that begin with it: what Alt sends, and the arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.application import Application
    from prompt_toolkit.key_binding.key_processor import KeyProcessor

# Vim waits as long for the rest of what a terminal sends for a key (ttimeoutlen in its defaults.vim).
_REST_OF_A_KEY_S: Final = 0.1
_REST_OF_A_SEQUENCE_S: Final = 1.0
_AFTER_ESCAPE_S: Final = 0.05
_AFTER_BOUND_ESCAPE_S: Final = 0.3


def tell_escape_apart(
    application: Application[None], *, writing: Callable[[], bool], is_bound: Callable[[], bool]
) -> None:
    """Let Escape alone do what it does soon, while the person is ``writing``.

    With vi's keys it changes the mode at once and Alt is what comes in the same breath. ``is_bound`` tells that it
    does something by itself with the keys of emacs, where it otherwise only begins sequences.
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
