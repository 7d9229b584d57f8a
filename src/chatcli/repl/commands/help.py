"""``/help``: the commands that can be used now."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Final

from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatcli.repl.talk import Talk

_USAGE_COLUMNS: Final = 18
_SUMMARY_COLUMNS: Final = 24


async def _run(talk: Talk, argument: str) -> None:
    from chatcli.repl.commands import COMMANDS, find  # noqa: PLC0415 - the table holds this file too

    if argument:
        command = find(argument.removeprefix("/"), talk)
        talk.surface.say(f"{command.usage}\n  {command.summary}")
        return
    shown = [command for command in COMMANDS if command.applies(talk)]
    if not talk.surface.draws:
        # Read aloud, blanks between two columns are nothing.
        talk.surface.say("\n".join(f"{command.usage}: {command.summary}" for command in shown))
    else:
        talk.surface.say("\n".join(_in_columns(shown, talk.surface.columns())))
    talk.surface.pause()
    talk.surface.say(talk.surface.keys)


def _in_columns(commands: Sequence[Command], columns: int) -> Iterator[str]:
    """Yield the commands and, beside them or below, what they do; in a narrow terminal below all of them."""
    is_narrow = columns < _USAGE_COLUMNS + _SUMMARY_COLUMNS
    indent = " " * (2 if is_narrow else _USAGE_COLUMNS + 2)
    for command in commands:
        told = wrap(command.summary, max(1, columns - len(indent))) or [""]
        if is_narrow or len(command.usage) > _USAGE_COLUMNS:
            yield command.usage
        else:
            yield f"{command.usage:<{_USAGE_COLUMNS}}  {told.pop(0)}"
        yield from (indent + line for line in told)


async def _choices(talk: Talk) -> Iterable[Choice]:
    from chatcli.repl.commands import COMMANDS  # noqa: PLC0415

    return [Choice(command.name, command.summary) for command in COMMANDS if command.applies(talk)]


COMMAND = Command("help", "list the commands and keys", _run, "[COMMAND]", _choices)
