"""The bottom of the terminal: what is still coming, what is going on, where the person writes."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from prompt_toolkit.filters import Condition, has_completions
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.containers import DynamicContainer
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenuControl
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.styles import Style

from chatcli.repl.activity import STEP_S, Activity
from chatcli.repl.composer import AnswerLine, Composer
from chatcli.repl.keys import key_bindings
from chatcli.repl.live_application import LiveApplication
from chatcli.repl.suspension import Suspension
from chatcli.repl.tail import tail_window
from chatcli.repl.window_title import WindowTitle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from prompt_toolkit.auto_suggest import AutoSuggest
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.history import History
    from prompt_toolkit.input import Input
    from prompt_toolkit.layout.containers import Container
    from prompt_toolkit.output import Output

    from chatcli.render.themes import ColorSystem

_COLOR_DEPTHS: Final[dict[ColorSystem | None, ColorDepth]] = {
    None: ColorDepth.DEPTH_1_BIT,
    "standard": ColorDepth.DEPTH_4_BIT,
    "256": ColorDepth.DEPTH_8_BIT,
    "truecolor": ColorDepth.DEPTH_24_BIT,
}

# The terminal's own colours, which suit light and dark alike.
_STYLE: Final = Style.from_dict(
    {
        "prompt": "ansicyan bold",
        "question": "ansicyan",
        "activity": "ansibrightblack",
        "toolbar": "ansibrightblack",
        "auto-suggestion": "ansibrightblack",
        "completion-menu": "noreverse bg:default",
        "completion-menu.completion": "bg:default fg:default",
        "completion-menu.completion.current": "bg:default fg:ansicyan bold noreverse",
        "completion-menu.meta.completion": "bg:default fg:ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default fg:ansicyan",
        "search-toolbar": "ansibrightblack",
        "search-toolbar.prompt": "ansicyan",
        "search-toolbar.text": "default",
    }
)

_MENU_ROWS: Final = 8
_STILL_AFTER_S: Final = 0.25
_ROWS_KEPT_FREE: Final = 4  # for activity, composer and toolbar, and one of what was printed


class Screen:
    """One prompt_toolkit application for as long as the conversation lasts; finished text is printed above it.

    ``title`` tells what the window is to be called, ``None`` for what it is called anyway. ``hurry`` ends a wait before
    another attempt and tells whether there was one.
    """

    def __init__(
        self,
        *,
        input: Input,  # noqa: A002 - prompt_toolkit's name for it
        output: Output,
        prompt: str,
        history: History,
        suggestions: AutoSuggest,
        completer: Completer,
        activity: Activity,
        toolbar: Callable[[int], str],
        title: Callable[[], str | None],
        hurry: Callable[[], bool],
        color_system: ColorSystem | None,
    ) -> None:
        self._activity = activity
        self._toolbar = toolbar
        self._hurry = hurry
        self._hint = ""
        self._last_key_s = time.monotonic()
        self._drawn_s = 0.0
        self._tail: Sequence[str] = ()
        self._panel: Container | None = None
        self._work: asyncio.Future[None] | None = None
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.composer = Composer(
            prompt=prompt,
            history=history,
            suggestions=suggestions,
            completer=completer,
            rows=lambda: self._size().rows - _ROWS_KEPT_FREE,
        )
        self._answer = AnswerLine()
        self.application = LiveApplication(
            layout=Layout(self._container(), focused_element=self.composer.window),
            key_bindings=key_bindings(self, self.composer, self._answer),
            style=_STYLE,
            color_depth=_COLOR_DEPTHS[color_system],
            input=input,
            output=output,
        )
        self.application.key_processor.before_key_press += self._note_key
        self._title = WindowTitle(output, title, is_busy=lambda: self.is_busy)
        self._suspension = Suspension(self.application, self._title)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Draw the screen and read keys. At the end the terminal is as it was before, whatever happened."""
        self._title.refresh()
        application = asyncio.ensure_future(
            self.application.run_async(handle_sigint=False, set_exception_handler=False)
        )
        application.add_done_callback(lambda _: self.leave())
        ticking = asyncio.ensure_future(self._tick())
        try:
            with self._suspension.attached():
                yield
        finally:
            ticking.cancel()
            self.application.end()
            # A terminal that was closed ends its input; nothing is left to be done about that.
            with suppress(EOFError, OSError):
                await application
            self._title.give_back()

    async def line(self) -> str | None:
        """Return what the person hands over next, ``None`` when they leave."""
        return await self._lines.get()

    async def work(self, work: Awaitable[None], what: str) -> bool:
        """Wait for ``work``; the person may stop it, and then it ends here without a word. Tell whether it was done."""
        self._activity.begin(what)
        self._work = task = asyncio.ensure_future(work)
        try:
            await task
        except asyncio.CancelledError:
            # Cancelled from outside, this task itself has to end; stopped by the person, only the work has.
            current = asyncio.current_task()
            if current is None or current.cancelling():
                raise
            return False
        finally:
            self._work = None
            self._activity.end()
            self.draw("", ())
            self._title.refresh()
        return True

    async def ask(self, label: str, *, secret: bool = False) -> str | None:
        """Return the answer to a question of the program, ``None`` when the person turns it down."""
        answer = self._answer.open(label, secret=secret)
        self.application.layout.focus(self._answer.window)
        try:
            return await answer
        finally:
            self._answer.close()
            self.application.layout.focus(self.composer.window)

    @asynccontextmanager
    async def panel(self, container: Container, focused: Window) -> AsyncIterator[None]:
        """Show ``container`` instead of the composer and what belongs to it; keys go to ``focused``."""
        self._panel = container
        self.application.layout.focus(focused)
        try:
            yield
        finally:
            self._panel = None
            self.application.layout.focus(self.composer.window)

    def print(self, text: str) -> None:
        """Print whole lines above the rest, for good."""
        self.application.print_above(text)

    def is_ready(self) -> bool:
        """Whether a frame may be drawn now; while the size changes, the application itself draws none."""
        return True

    def draw(self, printed: str, tail: Sequence[str]) -> None:
        """Print whole lines for good and show ``tail`` below them, in one frame."""
        self._tail = tail
        self._drawn_s = time.monotonic()
        if printed:
            self.application.print_above(printed)
        else:
            self.application.draw()

    def signal(self, sequence: str) -> None:
        """Send the terminal what is not shown on the screen, like a bell."""
        self.application.output.write_raw(sequence)
        self.application.output.flush()

    def columns(self) -> int:
        """Return how wide text may be: the last column stays free, so that no terminal wraps what is redrawn."""
        return max(1, self._size().columns - 1)

    def rows(self) -> int:
        """Return how many rows a tail may have."""
        return max(1, self._size().rows - _ROWS_KEPT_FREE)

    @property
    def is_busy(self) -> bool:
        return self._work is not None

    def idle_s(self) -> float:
        """Return for how long no key has come."""
        return time.monotonic() - self._last_key_s

    def submit(self) -> None:
        self._hint = ""
        if self._work is not None and not self.composer.text and self._hurry():
            self._activity.hurry()
        elif self._work is not None:
            self._hint = "Enter sends it when the answer is done, Ctrl-C stops the answer"
        elif self.composer.text.strip():
            self._lines.put_nowait(self.composer.take())

    def interrupt(self) -> None:
        if self._work is not None:
            self._work.cancel()
        elif self.composer.text:
            self.composer.clear()
        else:
            self._hint = "Ctrl-D leaves"

    def leave(self) -> None:
        if self._work is not None:
            self._work.cancel()
        self._lines.put_nowait(None)

    def suspend(self) -> None:
        self._suspension.suspend()

    def abandon(self) -> None:
        """Leave the terminal as it was, without waiting for anything."""
        self._suspension.abandon()

    def _note_key(self, _: object) -> None:
        self._last_key_s = time.monotonic()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            if not self._activity.is_busy:
                continue
            self._title.refresh()
            # A frame of an answer that streams has moved the line of activity as well.
            if time.monotonic() - self._drawn_s >= _STILL_AFTER_S:
                self.application.invalidate()

    def _size(self) -> Size:
        return self.application.output.get_size()

    def _container(self) -> HSplit:
        asking = Condition(lambda: self._answer.is_open)
        choosing = Condition(lambda: self._panel is not None)
        telling = Condition(lambda: self._activity.is_busy and bool(self._activity.line()))
        composing = HSplit(
            [
                ConditionalContainer(self._line(self._activity.line, "activity"), telling & ~asking),
                ConditionalContainer(self.composer.window, ~asking),
                ConditionalContainer(DynamicContainer(lambda: self._answer.window), asking),
                self.composer.search_line,
                ConditionalContainer(
                    Window(
                        CompletionsMenuControl(), height=Dimension(max=_MENU_ROWS), dont_extend_height=True
                    ),
                    has_completions & ~asking,
                ),
                self._line(lambda: self._hint or self._toolbar(self.columns()), "toolbar"),
            ]
        )
        return HSplit(
            [
                tail_window(lambda: self._tail),
                ConditionalContainer(composing, ~choosing),
                ConditionalContainer(DynamicContainer(lambda: self._panel or Window()), choosing),
                Window(),
            ]
        )

    def _line(self, text: Callable[[], str], style: str) -> Window:
        return Window(
            FormattedTextControl(text),
            style=f"class:{style}",
            height=Dimension(max=1),
            dont_extend_height=True,
        )
