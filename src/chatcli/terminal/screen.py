"""The bottom of the terminal: the unfinished answer, the activity and the composer."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import to_formatted_text
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.styles import DynamicStyle
from wcwidth import clip, width, wrap

from chatcli.config.key_bindings import KEY_ACTIONS, KeyTable
from chatcli.core.errors import ChatcliError
from chatcli.render.printing import as_written
from chatcli.repl.editor import Editor
from chatcli.repl.queue import MessageQueue, Submission
from chatcli.terminal.composer import AnswerLine, Composer, Pasted
from chatcli.terminal.input_history import HistorySearch
from chatcli.terminal.keys import FOLDED, HELD, LEAVING, LEAVING_BUSY, QUEUED, hint_line, key_bindings
from chatcli.terminal.live_application import LiveApplication, has_room
from chatcli.terminal.screen_rows import Shown, fragments, queue_rows, screen_rows
from chatcli.terminal.suspension import Suspension
from chatcli.terminal.vi_mode import ViCursor, distinguish_escape, vi_mode
from chatcli.terminal.window_title import WindowTitle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from prompt_toolkit.auto_suggest import AutoSuggest
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.input import Input
    from prompt_toolkit.layout.containers import Container
    from prompt_toolkit.output import Output
    from prompt_toolkit.styles import BaseStyle

    from chatcli.render.printing import Painted
    from chatcli.render.themes import ColorSystem, StyledRow
    from chatcli.terminal.activity import Activity
    from chatcli.terminal.keys import Hint

COLOR_DEPTHS: Final[dict[ColorSystem | None, ColorDepth]] = {
    None: ColorDepth.DEPTH_1_BIT,
    "standard": ColorDepth.DEPTH_4_BIT,
    "256": ColorDepth.DEPTH_8_BIT,
    "truecolor": ColorDepth.DEPTH_24_BIT,
}

_EDITING_MODES: Final = {"emacs": EditingMode.EMACS, "vi": EditingMode.VI}
_STILL_AFTER_S: Final = 0.25
_LEAVES_WITHIN_S: Final = 0.5
"""Leaving just as an answer ends needs no confirmation."""
_ROWS_KEPT_FREE: Final = 4  # for activity, composer and toolbar, and one of the printed text


class Screen:
    """One prompt_toolkit application for the whole conversation; finished text is printed above it.

    ``title`` returns the window's title, ``None`` for the original one. ``retry_now`` ends the wait before
    another attempt and returns whether there was one; ``give_up`` does the same with editing an earlier
    question. ``editing_mode`` is read before each line. ``attached`` describes a draft's attachments,
    ``is_too_long`` whether it is too long to send, ``is_private`` whether it is kept out of the history.
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
        toolbar: Callable[[int], StyledRow],
        is_too_long: Callable[[], bool] = lambda: False,
        title: Callable[[], str | None],
        retry_now: Callable[[], bool],
        give_up: Callable[[], bool] = lambda: False,
        color_system: ColorSystem | None,
        style: Callable[[], BaseStyle | None] = lambda: None,
        keys: KeyTable | None = None,
        editing_mode: Callable[[], str] = lambda: "emacs",
        attached: Callable[[str], str] = lambda _: "",
        is_private: Callable[[str], bool] = lambda _: False,
        editor: Editor | None = None,
        unicode: bool = True,
    ) -> None:
        self._activity = activity
        self._keys = keys or KeyTable()
        self._editing_mode = editing_mode
        self._attached = attached
        self._editor = editor or Editor({})
        self._queue_sign = "⏎ " if unicode else ""
        self._queue = MessageQueue()
        self._editing: asyncio.Future[None] | None = None
        self._toolbar, self._is_too_long = toolbar, is_too_long
        self._retry_now = retry_now
        self._give_up = give_up
        self._hint = self._hint_before = ""
        self._leave_requested_s = -math.inf
        self._last_key_s = time.monotonic()
        self._drawn_s = 0.0
        self._tail: Sequence[Painted] = ()
        self._panel: Container | None = None
        self._work: asyncio.Future[None] | None = None
        self.composer = Composer(
            prompt=prompt,
            history=history,
            suggestions=suggestions,
            completer=completer,
            rows=lambda: self._size().rows - _ROWS_KEPT_FREE,
            crowded_out=self._queue.hold_first,
            is_private=is_private,
        )
        self._answer = AnswerLine()
        self._search = HistorySearch(
            typed=history.get_strings,
            take=self.composer.recall,
            closed=self._return_to_composer,
            size=self._size,
            unicode=unicode,
        )
        self.application = LiveApplication(
            layout=Layout(self._rows(), focused_element=self.composer.window),
            key_bindings=key_bindings(self, self.composer, self._answer, self._search, self._keys),
            cursor=ViCursor(),
            style=DynamicStyle(style),
            color_depth=COLOR_DEPTHS[color_system],
            input=input,
            output=output,
        )
        self.application.key_processor.before_key_press += self._note_key
        distinguish_escape(
            self.application,
            writing=lambda: self._search.is_open or self.application.layout.has_focus(self.composer.window),
            is_bound=lambda: (
                self._search.is_open
                or any("escape" in self._keys.keys(action.name) for action in KEY_ACTIONS)
            ),
        )
        self._title = WindowTitle(output, title, is_busy=lambda: self.is_busy and self._panel is None)
        self._suspension = Suspension(self.application, self._title)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Draw the screen and read keys while entered. The terminal is always restored at the end."""
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
            if self._editing is not None:
                self._editing.cancel()
            self.application.end()
            # The terminal was closed, which ends the input; nothing can be done about it.
            with suppress(EOFError, OSError):
                await application
            self._title.give_back()

    async def line(self) -> Submission | None:
        """Return the next submission, or the next queued one; ``None`` when the person leaves."""
        self.application.editing_mode = _EDITING_MODES[self._editing_mode()]
        self.application.invalidate()
        return await self._queue.read()

    async def work(self, work: Awaitable[None], what: str) -> bool:
        """Wait for ``work`` until the person stops it, quietly; return whether it was completed."""
        self._activity.begin(what)
        self._work = task = asyncio.ensure_future(work)
        try:
            await task
        except asyncio.CancelledError:
            # A cancellation from outside ends this task as well; the person's stop ends only the work.
            current = asyncio.current_task()
            if current is None or current.cancelling():
                raise
            return False
        finally:
            self._work = None
            self._activity.end()
            if time.monotonic() - self._leave_requested_s < _LEAVES_WITHIN_S:
                self.leave()
            self.draw((), ())
            self._title.refresh()
        return True

    async def ask(self, label: str, *, secret: bool = False) -> str | None:
        """Return the answer to a question of the program, ``None`` if the person declines."""
        self._search.close()
        answer = self._answer.open(label, secret=secret)
        self.application.vi_state.reset()
        self.application.layout.focus(self._answer.window)
        try:
            return await answer
        finally:
            self._answer.close()
            self._return_to_composer()

    @property
    def was_left(self) -> bool:
        """Whether the last question was declined by ending the input."""
        return self._answer.was_left

    @asynccontextmanager
    async def panel(self, container: Container, focused: Window) -> AsyncIterator[None]:
        """Show ``container`` in place of the composer; keys go to ``focused``."""
        self._search.close()
        self._panel = container
        self.application.vi_state.reset()
        self.application.layout.focus(focused)
        try:
            yield
        finally:
            self._panel = None
            self.application.layout.focus(self.composer.window)
            # It may have been closed before this runs.
            self.application.invalidate()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the terminal to another program; output is deferred until it returns."""
        with self._suspension.lent():
            yield

    def print(self, text: str) -> None:
        """Print whole lines above the rest, permanently."""
        self.application.print_above(text)

    def is_ready(self) -> bool:
        """Whether a frame may be drawn now; while the size changes, the application draws none itself."""
        return True

    def draw(self, printed: Painted, tail: Sequence[Painted]) -> None:
        """Print whole lines for good and show the rows of ``tail`` below them, in one frame."""
        self._tail = tail
        self._drawn_s = time.monotonic()
        if printed:
            self.application.draw_with(as_written(printed))
        else:
            self.application.draw()

    def announce(self, text: str) -> None:
        """Show ``text`` in place of the toolbar until the next key; if it does not fit, print it above."""
        self._hint = text if width(text) <= self.columns() else ""
        self.print("" if self._hint else "\n".join([*wrap(text, self.columns()), ""]))

    def signal(self, sequence: str) -> None:
        """Send the terminal an invisible sequence, like a bell."""
        self.application.output.write_raw(sequence)
        self.application.output.flush()

    def columns(self) -> int:
        """Return the usable width: the last column stays free, so that no terminal wraps a redrawn row."""
        return max(1, self._size().columns - 1)

    def rows(self) -> int:
        """Return how many rows a tail may have."""
        return max(1, self._size().rows - _ROWS_KEPT_FREE)

    @property
    def is_busy(self) -> bool:
        return self._work is not None

    def idle_s(self) -> float:
        """Return the seconds since the last key."""
        return time.monotonic() - self._last_key_s

    @property
    def has_queued(self) -> bool:
        return len(self._queue) > 0

    def submit(self) -> None:
        if not self.composer.is_blank:
            self._hand_over(self.composer.take())
        elif not self.composer.is_empty:
            return
        elif self._work is not None and self._retry_now():
            self._activity.stop_countdown()
        else:
            self._queue.release()

    def stop_and_send(self) -> None:
        if written := self._queue.take_first() if self.composer.is_blank else self.composer.take():
            self._queue.jump(written)
            if self._work is not None:
                self._work.cancel()
        else:
            self._hint = "there is nothing to send"

    def hold(self, draft: str = "") -> None:
        """Hold the queue until the person releases it, ``draft`` first; the composer stays free."""
        if draft:
            self._queue.hold_first(self.composer.as_taken(draft))
        self._queue.hold()

    def edit_queued(self) -> None:
        if written := self._queue.take_newest():
            self.composer.put_back(written)

    def drop_queued(self) -> None:
        if written := self._queue.take_newest():
            is_private = self.composer.is_private(written.text)
            self._hint = "dropped" if is_private else "dropped (still in the input history)"

    def paste(self, text: str) -> None:
        match self.composer.paste(text):
            case Pasted.FOLDED if not self._is_too_long():  # else the toolbar says so
                self._hint = self._hinted(FOLDED)
            case Pasted.ATTACHED:
                self._hint = "attached; Ctrl-_ turns it back into text"

    def search_history(self) -> None:
        self._search.open()
        self.application.layout.focus(self._search.line)

    def _return_to_composer(self) -> None:
        self.application.layout.focus(self.composer.window)
        self.application.invalidate()

    def expand_paste(self) -> None:
        if not self.composer.expand():
            self._hint = "there is no folded paste"

    def edit_in_editor(self) -> None:
        self._editing = asyncio.ensure_future(self._edit_in_editor())

    def edit_previous(self) -> None:
        if self._work is not None:
            self._hint = "wait for the answer before editing an earlier question"
            return
        self.composer.clear()
        self._hand_over(Submission("/edit", shown="", draft="/edit"))

    def interrupt(self) -> None:
        if self._suspension.is_lent:
            return
        if self._work is not None:
            self._work.cancel()
        if self._work is not None or (self.composer.is_empty and self._queue.is_untaken):
            self.hold()
        elif self._give_up() or not self.composer.is_empty:
            self.composer.clear()
        else:
            self._hint = self._hinted(LEAVING)

    def request_leave(self) -> None:
        warning = self._hinted(LEAVING_BUSY)
        if self._work is not None and self._hint_before != warning:
            self._hint, self._leave_requested_s = warning, time.monotonic()
        else:
            self.leave()

    def leave(self) -> None:
        """Stop the current work and close the queue."""
        if self._work is not None:
            self._work.cancel()
            self._queue.hold()
        self._queue.leave()

    def suspend(self) -> None:
        self._suspension.suspend()

    def abandon(self) -> None:
        """Restore the terminal without waiting for anything."""
        self._suspension.abandon()

    def _hand_over(self, written: Submission) -> None:
        self._queue.hand_over(written)
        self.application.vi_state.reset()

    async def _edit_in_editor(self) -> None:
        try:
            with self._suspension.lent():
                text = await self._editor.edit(self.composer.text)
        except ChatcliError as error:
            self.announce(f"{error.clause}: {error.hint}" if error.hint else error.message)
        else:
            self.composer.edited(text)
        finally:
            self._editing = None
        self.application.invalidate()

    def _hinted(self, hint: Hint) -> str:
        return hint_line(hint, self._keys, self.columns())

    def _note_key(self, _: object) -> None:
        self._last_key_s = time.monotonic()
        self._hint_before, self._hint = self._hint, ""

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._activity.step_s)
            if not self._activity.is_busy or self._suspension.is_lent or self._panel is not None:
                continue
            if not has_room(self.application.output):
                self._activity.slow_down()
                continue
            self._title.refresh()
            # A frame of a streaming answer has redrawn the line of activity as well.
            if time.monotonic() - self._drawn_s >= _STILL_AFTER_S:
                self.application.invalidate()

    def _size(self) -> Size:
        return self.application.output.get_size()

    def _rows(self) -> Container:
        shown = Shown(
            tail=lambda: self._tail,
            activity=lambda: self._activity.line(self.columns()),
            queue=self._queue_rows,
            attached=self._attached_line,
            bottom=self._bottom_line,
            panel=lambda: self._panel,
        )
        return screen_rows(shown, self.composer, self._answer, self._search)

    def _queue_rows(self) -> str:
        return "\n".join(queue_rows(self._queue, self.columns(), self._size().rows, sign=self._queue_sign))

    def _attached_line(self) -> str:
        return clip(self._attached(self.composer.shown), 0, self.columns())

    def _queue_hint(self) -> str:
        if not len(self._queue) or not self.composer.is_empty:
            return ""
        return self._hinted(HELD if self._queue.is_held else QUEUED)

    def _bottom_line(self) -> StyleAndTextTuples:
        mode = vi_mode(self.application)
        before = f"{mode} · " if mode else ""
        hint = self._hint or self._queue_hint()
        return [
            ("class:vi-mode", before),
            *(to_formatted_text(hint) if hint else fragments(self._toolbar(self.columns() - len(before)))),
        ]
