"""``/verbose``: tokens and times after every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_WORDS = {"on": True, "off": False}


async def _run(repl: ReplSession, argument: str) -> None:
    if argument and argument not in _WORDS:
        raise UsageError(f"/verbose cannot be {argument}", hint="use on or off, or nothing to toggle it")
    repl.verbose = _WORDS.get(argument, not repl.verbose)
    repl.frontend.remark(f"tokens and times after each answer: {'on' if repl.verbose else 'off'}")


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    return [Choice("off" if repl.verbose else "on")]


COMMAND = Command("verbose", "show tokens and times after each answer (on/off)", _run, "[on|off]", _choices)
