"""The query for the terminal's background, sent after the prompt; the reply arrives among the keys."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TextIO

from prompt_toolkit.application import get_app
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.key_processor import KeyPress

from chatcli.render.background import ANSWERED_WITHIN_S, BACKGROUND_QUERY, ReplyFilter, background_of
from chatcli.terminal.key_decoding import KeyDecoder, PasteGatherer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from prompt_toolkit.application import Application
    from prompt_toolkit.input import Input

    from chatcli.render.themes import Background


class BackgroundQuestion:
    """Queries the terminal once; ``learn`` is given the reply, whenever it arrives.

    ``replies`` must filter all input before it is decoded as keys.
    """

    def __init__(
        self, learn: Callable[[Background], object], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.replies = ReplyFilter(self._take)
        self._learn = learn
        self._clock = clock
        self._queried_s: float | None = None
        self._answered = asyncio.Event()

    def ask(self, application: Application[None]) -> None:
        """Send the query with the next drawing, so that nothing waits for it."""
        if self._queried_s is not None:
            return
        self._queried_s = self._clock()

        def write(_: object) -> None:
            application.after_render -= write
            application.output.write_raw(BACKGROUND_QUERY)
            application.output.flush()

        application.after_render += write
        application.invalidate()

    async def settled(self) -> None:
        """Wait until the terminal has replied, or took too long."""
        if self._queried_s is None:
            return
        left_s = self._queried_s + ANSWERED_WITHIN_S - self._clock()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), max(0.0, left_s))

    def _take(self, color: str | None) -> None:
        if color is None:
            self._answered.set()
        elif (background := background_of(color)) is not None:
            self._learn(background)


_READ_BYTES: Final = 65_536
_TYPED_TEXT: Final = "\ufdd2"
"""The key that stands for many letters at once; no keyboard has it and nothing is bound to it."""

_MOST_STROKES: Final = 8
_FEWEST_GATHERED: Final = 64
_KEPT_END: Final = "\0"
_CTRL_D: Final = "\x04"


def gathered(keys: Sequence[KeyPress]) -> list[KeyPress]:
    """Return the same keys, long runs of letters as one key: each key takes a millisecond.

    A text arrives in such runs where a terminal does not mark pastes, and after the program was busy. The first
    letters of a run stay keys of their own: they may belong to a sequence that began before, like Ctrl-X.
    """
    found: list[KeyPress] = []
    for is_letter, run in groupby(keys, lambda key: len(key.key) == 1 and key.key.isprintable()):
        presses = list(run)
        if is_letter and len(presses) >= _MOST_STROKES + _FEWEST_GATHERED:
            text = "".join(press.data for press in presses[_MOST_STROKES:])
            presses[_MOST_STROKES:] = [KeyPress(_TYPED_TEXT, text)]
        found += presses
    return found


if sys.platform == "win32":

    def keyboard(stdin: TextIO, _: ReplyFilter) -> Input:
        """Return the keys of a console, which does not answer queries."""
        from prompt_toolkit.input import create_input  # noqa: PLC0415 - chooses among the Windows consoles

        return create_input(stdin)

else:
    import array
    import fcntl
    import select
    import termios

    from prompt_toolkit.input.posix_utils import PosixStdinReader
    from prompt_toolkit.input.vt100 import Vt100Input

    class _KeyReader(PosixStdinReader):
        """Reads the keys of a terminal, filters its replies, decodes any encoding and gathers pastes."""

        def __init__(self, replies: ReplyFilter, *options: Any, **named: Any) -> None:
            super().__init__(*options, **named)
            self._replies = replies
            self._keys = KeyDecoder()
            self._pastes = PasteGatherer()
            self.early_bytes = 0
            """The number of bytes typed while the terminal still translated Enter to a line feed."""
            self.may_hold_end = False
            """Whether Ctrl-D may be among them: the terminal kept it as a zero, which it does not count."""

        def read(self, count: int = _READ_BYTES) -> str:
            text = self._with_early_enter(self._with_early_end(super().read(count)))
            return self._pastes.feed(self._keys.feed(self._replies.feed(text)))

        def _with_early_end(self, text: str) -> str:
            """Restore Ctrl-D in text typed before the program was ready."""
            if self.may_hold_end and text:
                self.may_hold_end = False
                self.early_bytes += text.count(_KEPT_END)
                return text.replace(_KEPT_END, _CTRL_D)
            return text

        def _with_early_enter(self, text: str) -> str:
            """Restore Enter in text typed before the program was ready."""
            if not self.early_bytes:
                return text
            content = text.encode("utf-8", "surrogateescape")
            early = min(self.early_bytes, len(content))
            self.early_bytes -= early
            if self.early_bytes or content[early - 1 : early] != b"\n":
                return text
            return (content[: early - 1] + b"\r" + content[early:]).decode("utf-8", "surrogateescape")

        def flush(self) -> str:
            """Return the held-back text that turned out to be a key."""
            return self._keys.feed(self._replies.flush()) + self._keys.flush()

    class _Keyboard(Vt100Input):
        def __init__(self, stdin: TextIO, replies: ReplyFilter) -> None:
            super().__init__(stdin)
            self.stdin_reader: _KeyReader = _KeyReader(replies, stdin.fileno(), encoding=stdin.encoding)

        def raw_mode(self) -> AbstractContextManager[None]:
            self.stdin_reader.early_bytes = _waiting_bytes(self.fileno())
            self.stdin_reader.may_hold_end = bool(select.select([self.fileno()], [], [], 0)[0])
            return super().raw_mode()

        def read_keys(self) -> list[KeyPress]:
            keys = super().read_keys()
            # A letter may be a command of vi.
            return keys if get_app().editing_mode is EditingMode.VI else gathered(keys)

        def flush_keys(self) -> list[KeyPress]:
            self.vt100_parser.feed(self.stdin_reader.flush())
            return super().flush_keys()

    def _waiting_bytes(descriptor: int) -> int:
        """Return how many bytes of whole lines a terminal holds, 0 if it does not say."""
        waiting = array.array("i", [0])
        with suppress(OSError):
            fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
        return waiting[0]

    def keyboard(stdin: TextIO, replies: ReplyFilter) -> Input:
        """Return the keys of a terminal; its replies go to ``replies``."""
        return _Keyboard(stdin, replies)
