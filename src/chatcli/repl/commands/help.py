"""``/help``: the commands that can be used now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    from chatcli.repl.commands import COMMANDS, find  # noqa: PLC0415 - the table holds this file too

    if argument:
        command = find(argument.removeprefix("/"), talk)
        talk.surface.say(f"{command.usage}\n  {command.summary}")
        return
    shown = [command for command in COMMANDS if command.applies(talk)]
    columns = max(len(command.usage) for command in shown)
    if talk.surface.columns() < columns + 24:  # no room for a second column
        talk.surface.say("\n".join(f"{command.usage}\n  {command.summary}" for command in shown))
    else:
        talk.surface.say("\n".join(f"{command.usage:<{columns}}  {command.summary}" for command in shown))
    talk.surface.pause()
    talk.surface.say(talk.surface.keys)


async def _choices(talk: Talk) -> Iterable[Choice]:
    from chatcli.repl.commands import COMMANDS  # noqa: PLC0415

    return [Choice(command.name, command.summary) for command in COMMANDS if command.applies(talk)]


COMMAND = Command("help", "list the commands and keys", _run, "[COMMAND]", _choices)
