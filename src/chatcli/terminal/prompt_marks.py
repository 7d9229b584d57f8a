"""Marks around questions and answers, by which a terminal jumps from turn to turn.

https://gitlab.freedesktop.org/Per_Bothner/specifications/blob/master/proposals/semantic-prompts.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.events import TurnCancelled, TurnFailed

if TYPE_CHECKING:
    from chatcli.core.events import Event

# Kitty and Ghostty would erase a prompt when the window changes its size, for the shell to draw it again.
_PROMPT: Final = "\x1b]133;A;redraw=0\x1b\\"
_INPUT: Final = "\x1b]133;B\x1b\\"
_OUTPUT: Final = "\x1b]133;C\x1b\\"
_END: Final = "\x1b]133;D;{}\x1b\\"

_DONE, _FAILED, _STOPPED = 0, 1, 130
"""As the exit codes of a shell's commands: some terminals colour the mark by it."""


class PromptMarks:
    """Marks one exchange after the other, each as the command and the output of a shell.

    As an observer it learns how the turn ended. Marks take no room, and stand on rows that are printed for good: what
    is redrawn would lose them. Where they are not ``wanted``, there are none.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._is_open = False
        self._outcome = _DONE

    async def __call__(self, event: Event) -> None:
        if isinstance(event, TurnCancelled):
            self.stopped()
        elif isinstance(event, TurnFailed):
            self.failed()

    def failed(self) -> None:
        self._outcome = _FAILED

    def stopped(self) -> None:
        self._outcome = _STOPPED

    def question(self, sign: str, words: str) -> str:
        """Return ``words`` behind the prompt's ``sign``, and on the next line the beginning of the answer."""
        if not self._wanted:
            return f"{sign}{words}\n"
        self._is_open, self._outcome = True, _DONE
        return f"{_PROMPT}{sign}{_INPUT}{words}\n{_OUTPUT}"

    def end(self) -> str:
        """Return the end of the exchange, nothing where none was begun."""
        if not self._is_open:
            return ""
        self._is_open = False
        return _END.format(self._outcome)
