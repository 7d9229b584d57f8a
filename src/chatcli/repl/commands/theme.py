"""``/theme``: colours for a dark or a light background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command, answers_are_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_CHOICES: Final = {
    "dark": "for a dark background",
    "light": "for a light background",
    "auto": "match the terminal's background",
}


async def _run(repl: ReplSession, argument: str) -> None:
    if argument:
        if argument not in _CHOICES:
            raise UsageError(f"there is no theme {argument}", hint="use dark, light or auto")
        await repl.change(theme=argument)
    await repl.theme.settle()
    repl.frontend.remark(f"theme: {repl.theme.name} ({_reason(repl)})")
    if not repl.theme.has_colors:
        repl.frontend.remark("but colours are off here (TERM or NO_COLOR)")


def _reason(repl: ReplSession) -> str:
    if repl.theme.follows_background:
        return f"auto: {repl.theme.source}"
    origin = repl.settings.origin("theme")
    return "chosen here" if origin.startswith("command ") else origin


async def _choices(_: ReplSession) -> Iterable[Choice]:
    return [Choice(text, meaning) for text, meaning in _CHOICES.items()]


COMMAND = Command(
    "theme",
    "colours for a dark or light background; show which are used, and why",
    _run,
    "[dark|light|auto]",
    _choices,
    applies=answers_are_drawn,
    when="answers have no colours in this mode",
)
