"""The rows at the bottom of the screen, from the tail of an answer to the toolbar, and their styles."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.filters import Condition, has_completions
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.containers import DynamicContainer
from prompt_toolkit.layout.controls import FormattedTextControl, UIContent, UIControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenuControl
from prompt_toolkit.styles import Style
from wcwidth import clip, width

from chatcli.core.frozen import frozen
from chatcli.render.themes import PALETTES, rgb_of_256, words_of_roles
from chatcli.terminal.row_stack import FittedWindow, ShownIf, Stack
from chatcli.terminal.steady_widths import steady
from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.formatted_text import AnyFormattedText, StyleAndTextTuples
    from prompt_toolkit.layout.containers import Container
    from prompt_toolkit.layout.controls import GetLinePrefixCallable

    from chatcli.render.printing import Painted
    from chatcli.render.themes import AnswerStyle, Role, StyledRow, Theme
    from chatcli.repl.queue import MessageQueue, Submission
    from chatcli.terminal.composer import AnswerLine, Composer
    from chatcli.terminal.input_history import HistorySearch


@frozen
class Shown:
    """The content of the rows, queried with every frame; an empty row takes no room.

    ``panel`` replaces all but the tail.
    """

    tail: Callable[[], Sequence[Painted]]
    activity: Callable[[], str]
    queue: Callable[[], str]
    attached: Callable[[], str]
    bottom: Callable[[], AnyFormattedText]
    panel: Callable[[], Container | None]


def screen_rows(shown: Shown, composer: Composer, answer: AnswerLine, search: HistorySearch) -> Stack:
    """Return the rows; ``search`` or ``answer``, a question of the program, replaces the composer."""
    asking = Condition(lambda: answer.is_open)
    searching = Condition(lambda: search.is_open)
    choosing = Condition(lambda: shown.panel() is not None)
    composing = Stack(
        [
            ShownIf(_row(shown.activity, "activity", most=1), _says(shown.activity) & ~asking),
            ShownIf(_row(shown.queue, "queue"), _says(shown.queue) & ~asking),
            ShownIf(_row(shown.attached, "attached", most=1), _says(shown.attached) & ~asking),
            ShownIf(composer.window, ~asking & ~searching),
            search.container,
            ShownIf(_row(answer.rows_before, "question"), asking & _says(answer.rows_before)),
            ShownIf(DynamicContainer(lambda: answer.window), asking),
            composer.search_line.__pt_container__(),
            ShownIf(completion_menu(), has_completions & ~asking),
            _row(shown.bottom, "toolbar", most=1),
        ]
    )
    # Always the same one: at a key that finds another window than the last, prompt_toolkit collects all bindings anew.
    nothing = Window()
    return Stack(
        [
            tail_window(shown.tail),
            ShownIf(composing, ~choosing),
            ConditionalContainer(DynamicContainer(lambda: shown.panel() or nothing), choosing),
            Window(),
        ]
    )


def _says(text: Callable[[], str]) -> Condition:
    return Condition(lambda: bool(text()))


def _row(text: Callable[[], AnyFormattedText], style: str, *, most: int | None = None) -> FittedWindow:
    return FittedWindow(FormattedTextControl(text), style=f"class:{style}", height=Dimension(max=most))


_MENU_ROWS: Final = 8


def completion_menu() -> HSplit:
    """Return the completion menu at the cursor."""
    more = Window(
        FormattedTextControl(_more),
        style="class:completion-menu.more",
        height=Dimension(max=1),
        dont_extend_height=True,
    )
    return HSplit(
        [
            Window(CompletionsMenuControl(), height=Dimension(max=_MENU_ROWS), dont_extend_height=True),
            ConditionalContainer(more, Condition(lambda: bool(_more()))),
        ]
    )


def _more() -> str:
    state = get_app().current_buffer.complete_state
    more = len(state.completions) - _MENU_ROWS if state else 0
    return f" … {more} more" if more > 0 else ""


class TailControl(UIControl):
    """Shows the last of the ``rows`` that fit."""

    def __init__(self, rows: Callable[[], Sequence[Painted]]) -> None:
        self._rows = rows

    def preferred_height(
        self,
        width: int,  # noqa: ARG002 - the base class's
        max_available_height: int,
        wrap_lines: bool,  # noqa: ARG002
        get_line_prefix: GetLinePrefixCallable | None,  # noqa: ARG002
    ) -> int:
        return min(len(self._rows()), max_available_height)

    def create_content(self, width: int, height: int | None) -> UIContent:  # noqa: ARG002
        rows = self._rows()
        shown = [_formatted(row) for row in rows[max(0, len(rows) - (height or 0)) :]]
        return UIContent(get_line=lambda at: shown[at], line_count=len(shown), show_cursor=False)


def _formatted(row: Painted) -> StyleAndTextTuples:
    return [(_style_of(style), text) for text, style, _ in row]


def tail_window(rows: Callable[[], Sequence[Painted]]) -> Window:
    return FittedWindow(TailControl(rows), wrap_lines=False)


_MOST_QUEUED: Final = 3
# Longer than any row.
_LONGEST_CHARACTERS: Final = 1_000
_LOW_SCREEN_ROWS: Final = 16
_NEXT: Final = "next: "
_THEN: Final = "then: "
_NOT_SENT: Final = "not sent: "


def queue_rows(queue: MessageQueue, columns: int, screen_rows: int, *, sign: str) -> list[str]:
    """Return a row for each of the first texts, and the number of the others; a single row on a low screen.

    ``sign`` precedes the first.
    """
    shown = list(queue)[: _MOST_QUEUED if screen_rows > _LOW_SCREEN_ROWS else 1]
    if not shown:
        return []
    first = sign + (_NOT_SENT if queue.is_held else _NEXT)
    labels = [first, *(" " * (len(first) - len(_THEN)) + _THEN for _ in shown[1:])]
    more = len(queue) - len(shown)
    ends = ["" for _ in shown[1:]] + [f" ({more} more)" if more else ""]
    return [
        _queue_row(label, written, end, columns)
        for label, written, end in zip(labels, shown, ends, strict=True)
    ]


def _queue_row(label: str, written: Submission, end: str, columns: int) -> str:
    first, *others = written.shown.strip().split("\n")
    lines = f" ({len(others) + 1} lines)" if others else ""
    text = steady(sanitize_line(first[:_LONGEST_CHARACTERS]))
    text = shortened(text, columns - width(label + lines + end))
    return clip(label + text + lines + end, 0, columns)


# A class of the screen, the corresponding role of the theme, and additional styles.
_CLASSES: Final = (
    ("prompt", "marker", "bold"),
    ("question", "marker", ""),
    ("activity", "label", ""),
    ("queue", "label", ""),
    ("attached", "label", ""),
    ("paste", "marker", ""),
    ("vi-mode", "marker", ""),
    ("toolbar", "label", ""),
    ("auto-suggestion", "rule", ""),
    ("completion-menu.completion.current", "marker", "bold noreverse bg:default"),
    ("completion-menu.meta.completion", "label", "bg:default"),
    ("completion-menu.meta.completion.current", "marker", "bg:default"),
    ("completion-menu.more", "label", ""),
    ("search-toolbar", "label", ""),
    ("search-toolbar.match", "code", "bold"),
    ("search-toolbar.prompt", "marker", ""),
)
_FIXED: Final = {
    "completion-menu": "noreverse bg:default",
    "completion-menu.completion": "bg:default fg:default",
    "search-toolbar.text": "default",
}
_ATTRIBUTES: Final = frozenset({"bold", "dim", "italic", "underline", "strike"})


@functools.cache
def screen_style(theme: Theme) -> Style:
    """Return the style sheet of a theme, a class for each role; without colours only bold remains."""
    words = words_of_roles(theme.name, theme.color_system)
    roles = {role: _in_other_words(words.get(role, "")) for role, _, _ in PALETTES[theme.name]}
    styles = {**_FIXED, **{_class_of(role): words for role, words in roles.items()}}
    for element, role, more in _CLASSES:
        styles[element] = f"{roles[role]} {more}".strip()
    return Style.from_dict(styles)


def fragments(row: StyledRow) -> StyleAndTextTuples:
    """Return ``row`` for prompt_toolkit, in the classes of ``screen_style``."""
    return [(f"class:{_class_of(role)}" if role else "", text) for text, role in row]


def _class_of(role: Role) -> str:
    # prompt_toolkit takes what is before a dot for a more general class.
    return f"role-{role.replace('.', '-')}"


@functools.cache
def _style_of(style: AnswerStyle | None) -> str:
    """Return a style of the theme in prompt_toolkit's words."""
    if style is None:
        return ""
    words = [word for word in sorted(_ATTRIBUTES) if getattr(style, word)]
    if style.color is not None:
        is_own = style.color.is_system_defined and not style.color.is_default
        # prompt_toolkit has other names for the terminal's sixteen colours.
        own = f"ansi{style.color.name.replace('_', '')}"
        words.append(own if is_own else style.color.get_truecolor().hex)
    return " ".join(words)


def _in_other_words(words: str) -> str:
    """Return the words of a role in those of prompt_toolkit, which has other names for colours."""
    return " ".join(map(_renamed, words.split()))


def _renamed(word: str) -> str:
    if word in _ATTRIBUTES or word.startswith("#"):
        return word
    if word.startswith("color("):
        return rgb_of_256(int(word[6:-1]))
    return f"ansi{word.replace('_', '')}"
