"""``/verbose``: tokens and times after every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk

_WORDS = {"on": True, "off": False}


async def _run(talk: Talk, argument: str) -> None:
    if argument and argument not in _WORDS:
        raise UsageError(f"/verbose cannot be {argument}", hint="use on or off, or nothing to toggle it")
    talk.verbose = _WORDS.get(argument, not talk.verbose)
    talk.surface.remark(f"tokens and times after each answer: {'on' if talk.verbose else 'off'}")


async def _choices(talk: Talk) -> Iterable[Choice]:
    return [Choice("off" if talk.verbose else "on")]


COMMAND = Command("verbose", "show tokens and times after each answer (on/off)", _run, "[on|off]", _choices)
