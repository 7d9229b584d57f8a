"""Rows are where prompt_toolkit would put them, and are measured once a frame."""

from __future__ import annotations

from contextlib import contextmanager
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import DummyInput
from prompt_toolkit.layout import ConditionalContainer, FormattedTextControl, HSplit, Window
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.mouse_handlers import MouseHandlers
from prompt_toolkit.layout.screen import Screen, WritePosition
from prompt_toolkit.output import DummyOutput

from chatcli.terminal.row_stack import FittedWindow, ShownIf, Stack

COLUMNS = 12


class Text(NamedTuple):
    """A window of text; ``most`` limits its rows."""

    lines: tuple[str, ...]
    wraps: bool
    least: int
    most: int | None
    is_shown: bool


class Group(NamedTuple):
    """Windows below each other, shown or not as one."""

    children: tuple[Text, ...]
    is_shown: bool


TEXTS = st.builds(
    Text,
    st.lists(st.text("ab 中\t", max_size=30), max_size=5).map(tuple),
    st.booleans(),
    st.integers(0, 2),
    st.none() | st.integers(2, 4),
    st.booleans(),
)
LAYOUTS = st.lists(
    TEXTS | st.builds(Group, st.lists(TEXTS, min_size=1, max_size=4).map(tuple), st.booleans())
)


def built(parts, *, ours):
    """Return ``parts`` as a layout of ours, or of prompt_toolkit."""
    stack = Stack if ours else HSplit
    return stack([*(part_of(part, ours=ours) for part in parts), Window()])


def part_of(part, *, ours):
    shown_if = ShownIf if ours else ConditionalContainer
    if isinstance(part, Group):
        children = [part_of(child, ours=ours) for child in part.children]
        return shown_if((Stack if ours else HSplit)(children), Condition(lambda: part.is_shown))
    options = {
        "wrap_lines": part.wraps,
        "height": Dimension(min=part.least, max=part.most),
        "style": "class:toolbar",
    }
    content = FormattedTextControl("\n".join(part.lines))
    window = FittedWindow(content, **options) if ours else Window(content, **options, dont_extend_height=True)
    return shown_if(window, Condition(lambda: part.is_shown))


@contextmanager
def application():
    running = Application(input=DummyInput(), output=DummyOutput())
    with set_app(running):
        yield running


def frame(app, layout, rows):
    """Return the height of a frame on a terminal of ``rows``, and the characters in it with their styles."""
    app.render_counter += 1
    height = min(rows, layout.preferred_height(COLUMNS, rows).preferred)
    screen = Screen()
    layout.write_to_screen(screen, MouseHandlers(), WritePosition(0, 0, COLUMNS, height), "", False, None)
    screen.draw_all_floats()
    cells = {
        (y, x): (cell.char, " ".join(cell.style.split()))
        for y, row in screen.data_buffer.items()
        for x, cell in row.items()
    }
    return height, cells


class TestAStack:
    @given(LAYOUTS, st.lists(st.integers(1, 12), min_size=1, max_size=3))
    def test_draws_what_prompt_toolkit_draws_at_every_height(self, parts, heights):
        with application() as app:
            ours, theirs = built(parts, ours=True), built(parts, ours=False)
            for rows in heights:
                assert frame(app, ours, rows) == frame(app, theirs, rows)

    def test_measures_its_rows_once_a_frame_and_again_in_the_next(self):
        measured = []

        class Measured(FormattedTextControl):
            def preferred_height(self, *options):
                measured.append(super().preferred_height(*options))
                return measured[-1]

        lines = ["a"]
        with application() as app:
            row = FittedWindow(Measured(lambda: "\n".join(lines)))
            layout = Stack([ShownIf(Stack([ShownIf(row, Condition(lambda: True))]), Condition(lambda: True))])
            frame(app, layout, 10)
            lines.append("b")
            frame(app, layout, 10)
        assert measured == [1, 2]
