"""Notifying a person of a finished answer: with the bell, or with a desktop notification."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from wcwidth import clip

from chatcli.core.events import TurnFailed, TurnFinished, TurnStarted
from chatcli.core.frozen import frozen
from chatcli.text.sanitizer import sanitize_line, takes_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.core.events import Event

BELL: Final = "\x07"
_COLUMNS: Final = 100

# In OSC 9, text that begins with a number is a ConEmu command; a leading name prevents that.
_OSC_9: Final = "\x1b]9;chatcli: {}\x1b\\"
_OSC_777: Final = "\x1b]777;notify;chatcli;{}\x1b\\"


@frozen
class _Terminal:
    """A terminal, recognized by the start of a variable's value, and its notification sequence.

    Without ``certain``, some versions show nothing or need an extension, so the bell rings too.
    """

    variable: str
    beginning: str
    form: str
    certain: bool = True


# In this order: TERM names this terminal, while the others are inherited from a parent terminal.
_TERMINALS: Final = (
    _Terminal("TERM", "foot", _OSC_777),
    _Terminal("TERM", "rxvt", _OSC_777, certain=False),
    _Terminal("TERM", "xterm-kitty", _OSC_9),
    _Terminal("TERM", "xterm-ghostty", _OSC_9),
    _Terminal("TERM", "wezterm", _OSC_9),
    _Terminal("TERM_PROGRAM", "iTerm.app", _OSC_9),
    _Terminal("TERM_PROGRAM", "WezTerm", _OSC_9),
    _Terminal("TERM_PROGRAM", "ghostty", _OSC_9),
    _Terminal("LC_TERMINAL", "iTerm2", _OSC_9),
    _Terminal("KITTY_WINDOW_ID", "", _OSC_9),
    _Terminal("WT_SESSION", "", _OSC_777, certain=False),
    _Terminal("VTE_VERSION", "", _OSC_777, certain=False),
)


class Notifier:
    """An observer that calls ``write`` when an answer that took at least ``after_s`` is finished or failed.

    ``about`` returns the subject of the answer. A stopped answer needs no notification. Times come from
    ``clock``.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        after_s: float,
        about: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._after_s = after_s
        self._about = about
        self._clock = clock
        self._began_s = clock()

    async def __call__(self, event: Event) -> None:
        match event:
            case TurnStarted():
                self._began_s = self._clock()
            case TurnFinished():
                self._end("answered")
            case TurnFailed():
                self._end("no answer")
            case _:
                pass

    def _end(self, how: str) -> None:
        if self._after_s and self._clock() - self._began_s >= self._after_s:
            about = self._about()
            self._write(f"{how}: {about}" if about else how)


def notification(text: str, environment: Mapping[str, str]) -> str:
    """Return the sequence that makes this environment's terminal show ``text``, otherwise a bell."""
    terminal = _terminal(environment)
    if terminal is None:
        return BELL
    # A semicolon would start another field.
    shown = terminal.form.format(clip(sanitize_line(text).replace(";", ","), 0, _COLUMNS).rstrip())
    if "TMUX" in environment:
        # tmux passes this to the outer terminal only with allow-passthrough on.
        escaped = shown.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{escaped}\x1b\\{BELL}"
    return shown if terminal.certain else shown + BELL


def _terminal(environment: Mapping[str, str]) -> _Terminal | None:
    # GNU screen drops unknown sequences, and passes none of this length through.
    if "STY" in environment or not takes_commands(environment.get("TERM", "")):
        return None
    for terminal in _TERMINALS:
        value = environment.get(terminal.variable)
        if value and value.startswith(terminal.beginning):
            return terminal
    return None
