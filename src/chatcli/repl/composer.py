"""Where the person writes: the composer, and the line that answers a question of the program."""

from __future__ import annotations

from asyncio import get_running_loop
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.layout.containers import Window
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.processors import (
    AppendAutoSuggestion,
    DisplayMultipleCursors,
    HighlightIncrementalSearchProcessor,
    PasswordProcessor,
    Processor,
)
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from chatcli.repl.steady_widths import SteadyWidths
from chatcli.safety.terminal import sanitize_line

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from prompt_toolkit.auto_suggest import AutoSuggest
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History

COMMAND_MARK: Final = "/"
_NARROW_COLUMNS: Final = 20  # a prompt that takes half of the line leaves no room to write


class Composer:
    """A text of any number of lines. Enter hands it over, Alt-Enter and Ctrl-J add a line, a paste only fills it in.

    ``prompt`` stands before the first line; ``rows`` tells how many rows may be used.
    """

    def __init__(
        self,
        *,
        prompt: str,
        history: History,
        suggestions: AutoSuggest,
        completer: Completer,
        rows: Callable[[], int],
    ) -> None:
        self._prompt = prompt
        self.buffer = Buffer(
            multiline=True,
            history=history,
            auto_suggest=suggestions,
            completer=completer,
            complete_while_typing=Condition(lambda: self.buffer.text.startswith(COMMAND_MARK)),
            name="composer",
        )
        self.search_line = SearchToolbar(
            ignore_case=True,
            backward_search_prompt="search back: ",
            forward_search_prompt="search on: ",
        )
        self.control = BufferControl(
            self.buffer,
            search_buffer_control=self.search_line.control,
            preview_search=True,
            input_processors=[
                SteadyWidths(),
                HighlightIncrementalSearchProcessor(),
                DisplayMultipleCursors(),
                AppendAutoSuggestion(),
            ],
        )
        self.window = Window(
            self.control,
            height=lambda: _at_most(rows()),
            get_line_prefix=self._line_prefix,
            wrap_lines=True,
            dont_extend_height=True,
        )

    @property
    def text(self) -> str:
        """What is written, as it would be sent: line feeds for line ends; what no text can hold is replaced."""
        text = self.buffer.text.replace("\r\n", "\n").replace("\r", "\n")
        return text.encode("utf-8", "replace").decode()

    def take(self) -> str:
        """Return what is written, remember it and start afresh."""
        text = self.text
        self.buffer.append_to_history()
        self.buffer.reset()
        return text

    def put(self, text: str) -> None:
        """Write ``text`` where nothing is written yet, the cursor behind it."""
        if not self.buffer.text:
            self.buffer.text = text
            self.buffer.cursor_position = len(text)

    def clear(self) -> None:
        self.buffer.reset()

    def _line_prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        first = line == 0 and wrapped == 0
        return [("class:prompt", self._prompt if first else " " * _indent(self._prompt))]


class AnswerLine:
    """One line for an answer to a question of the program. A secret is drawn as dots and remembered nowhere."""

    def __init__(self) -> None:
        self._label = ""
        self._is_secret = False
        self._answer: Future[str | None] | None = None
        self.buffer = Buffer(multiline=False, name="answer")
        processors: list[Processor] = [SteadyWidths()]
        hidden = BufferControl(self.buffer, input_processors=[PasswordProcessor("•")])
        shown = BufferControl(self.buffer, input_processors=processors)
        self._windows = {
            secret: Window(
                control,
                height=_at_most(3),
                get_line_prefix=self._line_prefix,
                wrap_lines=True,
                dont_extend_height=True,
            )
            for secret, control in ((True, hidden), (False, shown))
        }

    @property
    def is_open(self) -> bool:
        return self._answer is not None

    @property
    def window(self) -> Window:
        return self._windows[self._is_secret]

    def open(self, label: str, *, secret: bool) -> Future[str | None]:
        """Show ``label``; the future becomes the answer, ``None`` when the person turns the question down."""
        self._label, self._is_secret = sanitize_line(label), secret
        self.buffer.reset()
        self._answer = get_running_loop().create_future()
        return self._answer

    def close(self) -> None:
        self._answer = None
        self.buffer.reset()

    def give(self) -> None:
        self._settle(self.buffer.text)

    def turn_down(self) -> None:
        self._settle(None)

    def _settle(self, answer: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _line_prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        return [("class:question", self._label)] if line == 0 and wrapped == 0 else []


def _at_most(rows: int) -> Dimension:
    return Dimension(min=1, max=max(1, rows))


def _indent(prompt: str) -> int:
    """Return how far lines after the first are moved in: under the first, as long as that leaves room."""
    columns = get_cwidth(prompt)
    return columns if get_app().output.get_size().columns >= _NARROW_COLUMNS else 0
