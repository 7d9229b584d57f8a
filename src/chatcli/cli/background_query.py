"""Ask the terminal for its background colour before an answer is drawn."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chatcli.render.background import (
    ANSWERED_WITHIN_S,
    BACKGROUND_QUERY,
    ReplyFilter,
    background_from_environment,
    background_of,
)
from chatcli.render.theme_in_force import ThemeInForce

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.render.themes import Background, ColorSystem, Theme

LATEST_ANSWER_S: Final = 0.3
"""How long to wait at exit for a late reply, which the shell would otherwise take for typed keys."""

_LOOK_EVERY_S: Final = 0.1
_ENCODING: Final = "latin-1"  # one character per byte: keys are returned unchanged


if sys.platform == "win32":

    def answers_queries(_: Terminal) -> bool:
        return False

    class BackgroundQuery:
        """A stub: a Windows console does not answer."""

        is_awaited = False

        def __init__(self, stdin: int, write: Callable[[str], object]) -> None: ...

        def answer(self) -> Background | None:
            return None

        async def swallow(self) -> None: ...

        def close(self) -> None: ...

else:
    import array
    import fcntl
    import termios

    def answers_queries(terminal: Terminal) -> bool:
        """Whether stdin and stdout are one terminal that answers queries, and this process is in front."""
        term = terminal.environment.get("TERM", "")
        if term in ("", "dumb", "unknown") or not terminal.takes_commands or terminal.stdin is None:
            return False
        if not (terminal.stdin_is_terminal and terminal.stdout.is_terminal):
            return False
        with suppress(OSError, ValueError):
            stdin, stdout = terminal.stdin.fileno(), terminal.stdout.file.fileno()
            is_one = os.fstat(stdin).st_rdev == os.fstat(stdout).st_rdev
            return is_one and not _belongs_to_others(stdin)
        return False

    def _belongs_to_others(terminal: int) -> bool:
        """Whether this process is in the background: a query would stop it, and the mode is the shell's."""
        with suppress(OSError):
            return os.tcgetpgrp(terminal) != os.getpgrp()
        return False

    class BackgroundQuery:
        """Queries the terminal once. The caller must ``close`` it: a late reply must not reach the shell.

        Keys typed meanwhile are returned to the terminal if the system allows that, and are in ``keys``.
        """

        def __init__(
            self,
            stdin: int,
            write: Callable[[str], object],
            *,
            clock: Callable[[], float] = time.monotonic,
        ) -> None:
            self.keys = b""
            self._stdin = stdin
            self._write = write
            self._clock = clock
            self._queried_s = 0.0
            self.is_awaited = False
            self._mode: list[Any] | None = None
            self._stopping_before: Any = None
            self._color: str | None = None
            self._replies = ReplyFilter(self._take)

        def answer(self) -> Background | None:
            """Return the terminal's background, ``None`` if it does not reply in time."""
            try:
                self._quieten()
                # Keys typed before the query stay in place only if nothing is read.
                if not self._waiting_bytes():
                    self._write(BACKGROUND_QUERY)
                    self._queried_s, self.is_awaited = self._clock(), True
                    self._listen(until_s=self._queried_s + ANSWERED_WITHIN_S)
            except (OSError, termios.error):
                self._restore()
            except BaseException:
                self.close()
                raise
            if not self.is_awaited:
                self.close()
            return background_of(self._color) if self._color else None

        async def swallow(self) -> None:
            """Remove a late reply from the keys. Without a reply, continue until the query is closed."""
            while self.is_awaited and self._mode is not None:
                await asyncio.sleep(_LOOK_EVERY_S)
                # No reply is a single byte: that is a key, perhaps the Enter another reader waits for.
                if not _belongs_to_others(self._stdin) and self._waiting_bytes() > 1:
                    self._listen(until_s=self._clock())
            self.close()

        def close(self) -> None:
            """Restore the terminal's mode."""
            if self._mode is None:
                return
            try:
                if self.is_awaited:
                    with suppress(OSError):
                        self._listen(until_s=self._queried_s + LATEST_ANSWER_S)
            finally:
                self._restore()
                self.keys += self._replies.flush().encode(_ENCODING)
                self._give_back()

        def _take(self, color: str | None) -> None:
            if color is None:
                self.is_awaited = False
            else:
                self._color = color

        def _quieten(self) -> None:
            """Deliver bytes at once, without echo. Ctrl-C still works."""
            mode = termios.tcgetattr(self._stdin)
            quiet = [*mode[:3], mode[3] & ~(termios.ICANON | termios.ECHO), *mode[4:6], list(mode[6])]
            quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
            self._mode = mode
            self._stopping_before = signal.signal(signal.SIGTSTP, self._stop)
            termios.tcsetattr(self._stdin, termios.TCSANOW, quiet)

        def _restore(self) -> None:
            mode, self._mode = self._mode, None
            if mode is not None:
                signal.signal(signal.SIGTSTP, self._stopping_before)
            if mode is not None and not _belongs_to_others(self._stdin):
                with suppress(termios.error):
                    termios.tcsetattr(self._stdin, termios.TCSANOW, mode)

        def _stop(self, number: int, _frame: FrameType | None) -> None:
            """Stop as Ctrl-Z does, with the terminal's mode restored."""
            self._restore()
            os.kill(os.getpid(), number)

        def _waiting_bytes(self) -> int:
            waiting = array.array("i", [0])
            fcntl.ioctl(self._stdin, termios.FIONREAD, waiting)
            return waiting[0]

        def _listen(self, *, until_s: float) -> None:
            """Read until every query is answered or the time is up; process what has arrived by then."""
            while self.is_awaited:
                left_s = max(0.0, until_s - self._clock())
                if not select.select([self._stdin], [], [], left_s)[0]:
                    return
                content = os.read(self._stdin, 1024)
                if not content:
                    return
                self.keys += self._replies.feed(content.decode(_ENCODING)).encode(_ENCODING)

        def _give_back(self) -> None:
            # Newer Linux kernels can be configured to refuse this.
            with suppress(OSError):
                for byte in self.keys:
                    fcntl.ioctl(self._stdin, termios.TIOCSTI, bytes([byte]))


def answer_theme(
    settings: Settings,
    terminal: Terminal,
    color_system: ColorSystem | None,
    before_reading: Callable[[Callable[[], object]], object],
) -> Theme:
    """Return the theme for an answer, querying the terminal only if nothing else decides.

    ``before_reading`` registers what must be done before anything else reads the keyboard.
    """
    in_force = ThemeInForce(lambda: settings.theme, color_system, links=terminal.takes_commands)
    if in_force.follows_background and in_force.has_colors:
        background = background_from_environment(terminal.environment)
        # Over a slow line the reply would come too late.
        is_asked = not terminal.is_remote and answers_queries(terminal)
        if background is None and terminal.stdin is not None and is_asked:
            question = BackgroundQuery(terminal.stdin.fileno(), terminal.stdout.write)
            before_reading(question.close)
            background = question.answer()
            if question.is_awaited:
                swallowing = asyncio.ensure_future(question.swallow())
                before_reading(swallowing.cancel)
        if background is not None:
            in_force.learn(background, "the terminal reports its background")
    return in_force()
