"""The menu of completions below the composer: some rows, and how many more there are."""

from __future__ import annotations

from typing import Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenuControl

_ROWS: Final = 8


def completion_menu() -> HSplit:
    """Return the menu for what is offered where the cursor is."""
    more = Window(
        FormattedTextControl(_more),
        style="class:completion-menu.more",
        height=Dimension(max=1),
        dont_extend_height=True,
    )
    return HSplit(
        [
            Window(CompletionsMenuControl(), height=Dimension(max=_ROWS), dont_extend_height=True),
            ConditionalContainer(more, Condition(lambda: bool(_more()))),
        ]
    )


def _more() -> str:
    state = get_app().current_buffer.complete_state
    more = len(state.completions) - _ROWS if state else 0
    return f" … {more} more" if more > 0 else ""
