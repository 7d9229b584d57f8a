"""A question to the person at the terminal that is answered with yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatcli.cli.terminal import Terminal

_LONGEST_ANSWER_BYTES: Final = 1_000


def can_be_asked(terminal: Terminal) -> bool:
    """Whether somebody sees a question on stderr and can answer it on stdin."""
    return terminal.stdin_is_terminal and terminal.stderr.is_terminal


def agrees(question: str, terminal: Terminal) -> bool:
    """Ask, and return whether the person says yes; no answer is none."""
    terminal.stderr.write(f"{question} [y/N] ")
    answer = terminal.stdin.readline(_LONGEST_ANSWER_BYTES) if terminal.stdin else b""
    if not answer.endswith(b"\n"):
        terminal.warn("")
    return answer.strip().lower() in {b"y", b"yes"}
