"""The picker on the screen: the line that is searched for, the list with the title that is written, the footer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension

from chatcli.terminal.picker.picker_drawing import Drawn
from chatcli.terminal.picker.picker_state import Doing
from chatcli.terminal.steady_widths import SteadyWidths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.formatted_text import AnyFormattedText
    from prompt_toolkit.key_binding import KeyBindingsBase

    from chatcli.terminal.picker.picker_drawing import PickerDrawing
    from chatcli.terminal.picker.picker_state import PickerState


class PickerPanel:
    """Shows ``state`` as ``drawing`` draws it now; ``looked_for`` is told the words whenever they change.

    ``search`` is where the person types what to look for, ``title`` the new title of a session.
    """

    def __init__(
        self,
        state: PickerState,
        drawing: Callable[[], PickerDrawing],
        *,
        bindings: KeyBindingsBase,
        looked_for: Callable[[str], None],
    ) -> None:
        self._state = state
        self._drawing = drawing
        # The list keeps the height it once had: a footer that jumps with every letter could not be read.
        self._tallest = 0
        self._frame: int | None = None
        self._last_drawn = Drawn(())
        self._footer: tuple[str, ...] = ()
        self.search = Buffer(multiline=False, name="session search")
        self.search.text = state.words
        self.search.cursor_position = len(state.words)
        self.search.on_text_changed += lambda buffer: looked_for(buffer.text)
        self.title = Buffer(multiline=False, name="session title")
        self.search_window = self._line(self.search, lambda: [("class:prompt", "search: ")])
        self.title_window = self._line(self.title, lambda: ANSI(self._drawing().pointer))
        self.container = HSplit(
            [
                self.search_window,
                _rows(self._above),
                ConditionalContainer(self.title_window, Condition(lambda: state.doing is Doing.RENAMING)),
                _rows(self._below),
                _rows(self._blank),
                _rows(self._footer_rows),
            ],
            key_bindings=bindings,
        )

    def _drawn(self) -> Drawn:
        # prompt_toolkit asks for heights and rows a dozen times a frame.
        frame = get_app().render_counter
        if self._frame != frame:
            drawing = self._drawing()
            self._frame = frame
            self._last_drawn = drawing.sessions(self._state)
            self._footer = drawing.footer(self._state)
            self._tallest = min(drawing.rows, max(self._tallest, len(self._last_drawn.rows)))
        return self._last_drawn

    def _footer_rows(self) -> Sequence[str]:
        self._drawn()
        return self._footer

    def _above(self) -> Sequence[str]:
        drawn = self._drawn()
        return drawn.rows[: drawn.edited_at]

    def _below(self) -> Sequence[str]:
        drawn = self._drawn()
        return () if drawn.edited_at is None else drawn.rows[drawn.edited_at + 1 :]

    def _blank(self) -> Sequence[str]:
        rows = len(self._drawn().rows)
        return ("",) * (self._tallest - rows)

    def _line(self, buffer: Buffer, before: Callable[[], AnyFormattedText]) -> Window:
        return Window(
            BufferControl(buffer, input_processors=[SteadyWidths()]),
            height=1,
            get_line_prefix=lambda _line, _wrapped: before(),
            wrap_lines=False,
        )


def _rows(rows: Callable[[], Sequence[str]]) -> Window:
    return Window(
        FormattedTextControl(lambda: ANSI("\n".join(rows()))),
        height=lambda: Dimension(min=0, max=len(rows()), preferred=len(rows())),
        dont_extend_height=True,
    )
