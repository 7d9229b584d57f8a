"""``/exit``: leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, _: str) -> None:
    repl.is_leaving = True


COMMAND = Command("exit", "quit; the conversation is saved", _run, aliases=("quit",))
