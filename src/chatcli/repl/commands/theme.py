"""``/theme``: colours for a dark or a light background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command, answers_are_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk

_CHOICES: Final = {
    "dark": "for a dark background",
    "light": "for a light background",
    "auto": "match the terminal's background",
}


async def _run(talk: Talk, argument: str) -> None:
    if argument:
        if argument not in _CHOICES:
            raise UsageError(f"there is no theme {argument}", hint="use dark, light or auto")
        await talk.change(theme=argument)
    await talk.theme.settle()
    talk.surface.remark(f"theme: {talk.theme.name} ({_reason(talk)})")
    if not talk.theme.has_colors:
        talk.surface.remark("but colours are off here (TERM or NO_COLOR)")


def _reason(talk: Talk) -> str:
    if talk.theme.follows_background:
        return f"auto: {talk.theme.source}"
    origin = talk.settings.origin("theme")
    return "chosen here" if origin.startswith("command ") else origin


async def _choices(_: Talk) -> Iterable[Choice]:
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
