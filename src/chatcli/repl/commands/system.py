"""``/system``: the system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk

_NONE = "none"


async def _run(talk: Talk, argument: str) -> None:
    if not argument:
        talk.surface.say(talk.chat.opened.system or "there is no system prompt; /system TEXT sets one")
        return
    talk.chat.opened.set_system(None if argument == _NONE else argument)
    talk.surface.remark("system prompt removed" if argument == _NONE else "system prompt set")


async def _choices(talk: Talk) -> Iterable[Choice]:
    return [Choice(_NONE, "remove it")] if talk.chat.opened.system else []


COMMAND = Command("system", "show or set the system prompt", _run, "[TEXT|none]", _choices)
