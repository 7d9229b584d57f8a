"""A prompt_toolkit application at the bottom of the screen that lets finished text pass above it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.key_binding.key_processor import KeyPress

from chatcli.terminal.frames import frame_of

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Iterator

    from prompt_toolkit.keys import Keys

RESIZED_AFTER_S: Final = 0.1
"""How long a terminal's size must stand still before anything is drawn again."""


class LiveApplication(Application[None]):
    """Redraws itself and what is printed above it in one frame.

    While the terminal changes its size nothing is drawn: a terminal that wraps old rows anew moves what was drawn,
    and whatever is erased from then on may be somebody else's. What is printed meanwhile waits.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(full_screen=False, erase_when_done=True, mouse_support=False, **options)
        self._unprinted: list[str] = []
        self._resizing: TimerHandle | None = None
        self._is_lent = False

    def end(self) -> None:
        """End it, unless it already has: its terminal was closed."""
        if self.is_running and not self.is_done:
            self.exit()

    def press(self, key: Keys) -> None:
        """Do what ``key`` does, from outside of the keyboard, as long as keys do anything."""
        if self.is_running and not self.is_done:
            self.key_processor.feed(KeyPress(key))
            self.key_processor.process_keys()

    def print_above(self, text: str) -> None:
        """Print ``text``, whole lines with their ends, for good."""
        self._unprinted.append(text)
        self.draw()

    def draw(self) -> None:
        """Draw now instead of when the loop comes to it."""
        self._redraw()

    def draw_afresh(self) -> None:
        """Draw from the cursor on: what was on the screen belongs to somebody else now."""
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
        """Return and forget what could not be printed, because the application ended before."""
        text = "".join(self._unprinted)
        self._unprinted.clear()
        return text

    def _redraw(self, render_as_done: bool = False) -> None:
        if not self.is_running or self._is_lent or (self._resizing is not None and not render_as_done):
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
