"""``/system``: the system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_NONE = "none"


async def _run(repl: ReplSession, argument: str) -> None:
    if not argument:
        repl.frontend.say(repl.chat.opened.system or "there is no system prompt; /system TEXT sets one")
        return
    repl.chat.opened.set_system(None if argument == _NONE else argument)
    repl.frontend.remark("system prompt removed" if argument == _NONE else "system prompt set")


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    return [Choice(_NONE, "remove it")] if repl.chat.opened.system else []


COMMAND = Command("system", "show or set the system prompt", _run, "[TEXT|none]", _choices)
