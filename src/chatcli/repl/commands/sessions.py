"""``/sessions``: another conversation, chosen from those there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command
from chatcli.repl.commands.session import go_on_with
from chatcli.repl.pickable_sessions import pickable_sessions

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    with pickable_sessions(repl.world, repl.chat) as pickable:
        chosen = await repl.frontend.choose_session(pickable, words=argument)
    if chosen is not None:
        await go_on_with(repl, chosen)


COMMAND = Command(
    "sessions",
    "pick or search conversations",
    _run,
    "[WORDS]",
    aliases=("resume",),
)
