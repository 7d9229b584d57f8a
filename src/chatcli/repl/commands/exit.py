"""``/exit``: leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, _: str) -> None:
    talk.is_leaving = True


COMMAND = Command("exit", "quit; the conversation is saved", _run, aliases=("quit",))
