"""The terminal window's title: the conversation's name, and whether an answer is pending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.text.sanitizer import sanitize_line
from chatcli.text.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.output import Output

COLUMNS: Final = 60

# XTWINOPS of xterm: most terminals save and restore their title; the others keep ours until the shell or
# the next program sets another.
_KEEP: Final = "\x1b[22;2t"
_TAKE_BACK: Final = "\x1b[23;2t"
_BUSY: Final = "… "


class WindowTitle:
    """Shows the title ``named`` returns whenever it changes; ``None`` restores the original one.

    ``is_busy`` returns whether an answer is pending.
    """

    def __init__(
        self, output: Output, named: Callable[[], str | None], *, is_busy: Callable[[], bool]
    ) -> None:
        self._output = output
        self._named = named
        self._is_busy = is_busy
        self._shown: str | None = None
        self._is_ours = False

    @property
    def restoring_sequence(self) -> str:
        """The sequence that restores the original title."""
        return _TAKE_BACK if self._is_ours else ""

    def refresh(self) -> None:
        named = self._named()
        if named is None:
            self.give_back()
            return
        title = shortened((_BUSY if self._is_busy() else "") + sanitize_line(named), COLUMNS)
        if title == self._shown:
            return
        self._write(f"{'' if self._is_ours else _KEEP}\x1b]2;{title}\x1b\\")
        self._is_ours, self._shown = True, title

    def renew(self) -> None:
        """Show it again, in case another program has set a title."""
        self._shown = None
        self.refresh()

    def give_back(self) -> None:
        self._write(self.restoring_sequence)
        self._is_ours, self._shown = False, None

    def _write(self, text: str) -> None:
        if text:
            self._output.write_raw(text)
            self._output.flush()
