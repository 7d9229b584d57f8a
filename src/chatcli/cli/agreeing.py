"""A question to the person at the terminal: one answered with yes or no, or with a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.answers import YES_OR_NO, is_yes

if TYPE_CHECKING:
    from chatcli.cli.standard_streams import Terminal

_LONGEST_ANSWER_BYTES: Final = 1_000


def can_be_asked(terminal: Terminal) -> bool:
    """Whether somebody sees a question on stderr and can answer it on stdin."""
    return terminal.stdin_is_terminal and terminal.stderr.is_terminal


def agrees(question: str, terminal: Terminal) -> bool:
    """Ask, and return whether the person says yes; no answer is none."""
    return is_yes(answered(f"{question} {YES_OR_NO} ", terminal))


def answered(label: str, terminal: Terminal) -> str | None:
    """Ask, and return the line the person answers with, ``None`` where they answer nothing."""
    terminal.stderr.write(label)
    answer = terminal.stdin.readline(_LONGEST_ANSWER_BYTES) if terminal.stdin else b""
    if not answer.endswith(b"\n"):
        terminal.warn("")
    return answer.decode("utf-8", "replace") if answer else None
