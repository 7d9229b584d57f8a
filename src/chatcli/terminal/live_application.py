"""A prompt_toolkit application at the bottom of the screen, with finished text printed above it."""

from __future__ import annotations

import os
import select
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.output.vt100 import Vt100_Output

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Iterator

    from prompt_toolkit.keys import Keys
    from prompt_toolkit.output import Output


RESIZED_AFTER_S: Final = 0.1
"""How long a terminal's size must be stable before anything is redrawn."""


class LiveApplication(Application[None]):
    """Draws itself and the text printed above it in one frame.

    While the terminal is being resized nothing is drawn: rows are wrapped and moved, and erasing could hit
    other text. Text printed meanwhile waits.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(full_screen=False, erase_when_done=True, mouse_support=False, **options)
        self._unprinted: list[str] = []
        self._resizing: TimerHandle | None = None
        self._pausing: TimerHandle | None = None
        self._is_lent = False

    def end(self) -> None:
        """Exit, unless the application already ended because its terminal was closed."""
        if self.is_running and not self.is_done:
            self.exit()

    def press(self, key: Keys) -> None:
        """Simulate a press of ``key``, while the application runs."""
        if self.is_running and not self.is_done:
            self.key_processor.feed(KeyPress(key))
            self.key_processor.process_keys()

    def print_above(self, text: str) -> None:
        """Print ``text``, whole lines with their ends, permanently."""
        self._unprinted.append(text)
        self._redraw()

    def draw_with(self, text: str) -> None:
        """Print ``text`` and draw, now: it is what the person waits for."""
        self._unprinted.append(text)
        self.draw()

    def draw(self) -> None:
        """Draw now instead of in the next iteration of the loop."""
        self._end_pause()
        self._redraw()

    def pause_drawing(self, longest_s: float) -> None:
        """Draw nothing for ``longest_s``, or until ``draw_paused``: something more urgent is being done."""
        if self._pausing is None and self.loop is not None:
            self._pausing = self.loop.call_later(longest_s, self.draw_paused)

    def draw_paused(self) -> None:
        """Draw what waits since ``pause_drawing``."""
        if self._pausing is not None:
            self._end_pause()
            self._redraw()

    def _end_pause(self) -> None:
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None

    def draw_afresh(self) -> None:
        """Draw from the cursor on: the screen was used by another program."""
        self.renderer.reset()
        self._redraw()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Draw nothing and read no keys while another program has the terminal."""
        self.renderer.erase()
        self._is_lent = True
        try:
            with self.input.detach():
                yield
        finally:
            self._is_lent = False
            self.draw_afresh()

    def unprinted(self) -> str:
        """Return and clear the text that was not printed before the application ended."""
        text = "".join(self._unprinted)
        self._unprinted.clear()
        return text

    def _redraw(self, render_as_done: bool = False) -> None:
        is_paused = self._resizing is not None or self._pausing is not None
        if not self.is_running or self._is_lent or (is_paused and not render_as_done):
            return
        with frame_of(self.output):
            if self._unprinted:
                self.renderer.erase()
                self.output.write_raw(self.unprinted().replace("\n", "\r\n"))
            super()._redraw(render_as_done)

    def _on_resize(self) -> None:
        if self._is_lent:
            return
        if self._resizing is None:
            self.renderer.erase(leave_alternate_screen=False)
        else:
            self._resizing.cancel()
        if self.loop is not None:
            self._resizing = self.loop.call_later(RESIZED_AFTER_S, self._resized)

    def _resized(self) -> None:
        self._resizing = None
        self._redraw()


# Synchronized output (DEC private mode 2026): the terminal shows the previous frame until the end.
# https://github.com/contour-terminal/vt-extensions/blob/master/synchronized-output.md
BEGIN_FRAME: Final = "\x1b[?2026h"
END_FRAME: Final = "\x1b[?2026l"

_USUAL_SIZE: Final = Size(rows=24, columns=80)


class FramedOutput(Vt100_Output):
    """A terminal output that writes each frame at once, marked as belonging together.

    ``frame`` buffers output until it ends; anything else prompt_toolkit flushes is a frame of its own. The
    cursor's position is never queried, as a terminal that does not reply would cost a second. Once the
    terminal is gone, output is dropped, since nobody could see a complaint.
    """

    def __init__(self, stdout: TextIO, *, term: str | None) -> None:
        super().__init__(stdout, lambda: _size_of(stdout), term=term, enable_cpr=False)
        self._held = 0

    @contextmanager
    def frame(self) -> Iterator[None]:
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.flush()

    def flush(self) -> None:
        if self._held or not self._buffer:
            return
        self._buffer = [BEGIN_FRAME, *self._buffer, END_FRAME]
        try:
            super().flush()
        except OSError:
            self._buffer = []
            self._lead_nowhere()

    @property
    def has_room(self) -> bool:
        """Whether the terminal accepts more without blocking."""
        with suppress(OSError, ValueError):
            return bool(select.select([], [self.fileno()], [], 0)[1])
        return True

    def _lead_nowhere(self) -> None:
        # Otherwise the stream's own buffer would be written, and complained about, at exit.
        with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self.fileno())


def has_room(output: Output) -> bool:
    """Whether ``output`` can write at once, as far as it can tell: a Windows console cannot."""
    return not isinstance(output, FramedOutput) or output.has_room


@contextmanager
def frame_of(output: Output) -> Iterator[None]:
    """Draw inside one frame if ``output`` supports frames: a Windows console does not."""
    if isinstance(output, FramedOutput):
        with output.frame():
            yield
    else:
        yield


def terminal_output(stdout: TextIO, *, term: str | None) -> Output:
    """Return the output for the terminal of ``stdout``."""
    if sys.platform == "win32":
        from prompt_toolkit.output import create_output  # noqa: PLC0415 - chooses among the Windows consoles

        return create_output(stdout)
    return FramedOutput(stdout, term=term)


def _size_of(stdout: TextIO) -> Size:
    try:
        columns, rows = os.get_terminal_size(stdout.fileno())
    except (OSError, ValueError):
        return _USUAL_SIZE
    # Some terminals report 0 while they start.
    return Size(rows=rows or _USUAL_SIZE.rows, columns=columns or _USUAL_SIZE.columns)
