"""The rows at the bottom of the screen, from the tail of an answer down to the toolbar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition, has_completions
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.containers import DynamicContainer
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension

from chatcli.repl.completion_menu import completion_menu
from chatcli.repl.tail import tail_window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.formatted_text import AnyFormattedText
    from prompt_toolkit.layout.containers import Container

    from chatcli.repl.composer import AnswerLine, Composer
    from chatcli.repl.history_search import HistorySearch


@dataclass(frozen=True, slots=True)
class Shown:
    """What the rows show, asked with every frame; one that says nothing takes no room.

    ``panel`` stands in the place of all but the tail.
    """

    tail: Callable[[], Sequence[str]]
    activity: Callable[[], str]
    queue: Callable[[], str]
    attached: Callable[[], str]
    bottom: Callable[[], AnyFormattedText]
    panel: Callable[[], Container | None]


def screen_rows(shown: Shown, composer: Composer, answer: AnswerLine, search: HistorySearch) -> HSplit:
    """Return the rows; ``search`` or a question of the program, ``answer``, stands in the place of the composer."""
    asking = Condition(lambda: answer.is_open)
    searching = Condition(lambda: search.is_open)
    choosing = Condition(lambda: shown.panel() is not None)
    composing = HSplit(
        [
            ConditionalContainer(_rows(shown.activity, "activity", most=1), _says(shown.activity) & ~asking),
            ConditionalContainer(_rows(shown.queue, "queue"), _says(shown.queue) & ~asking),
            ConditionalContainer(_rows(shown.attached, "attached", most=1), _says(shown.attached) & ~asking),
            ConditionalContainer(composer.window, ~asking & ~searching),
            search.container,
            ConditionalContainer(DynamicContainer(lambda: answer.window), asking),
            composer.search_line,
            ConditionalContainer(completion_menu(), has_completions & ~asking),
            _rows(shown.bottom, "toolbar", most=1),
        ]
    )
    return HSplit(
        [
            tail_window(shown.tail),
            ConditionalContainer(composing, ~choosing),
            ConditionalContainer(DynamicContainer(lambda: shown.panel() or Window()), choosing),
            Window(),
        ]
    )


def _says(text: Callable[[], str]) -> Condition:
    return Condition(lambda: bool(text()))


def _rows(text: Callable[[], AnyFormattedText], style: str, *, most: int | None = None) -> Window:
    return Window(
        FormattedTextControl(text),
        style=f"class:{style}",
        height=Dimension(max=most),
        dont_extend_height=True,
    )
