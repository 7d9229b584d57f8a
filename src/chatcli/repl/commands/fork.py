"""``/fork``: go on in a copy of the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    chat = repl.chat
    before = chat.opened.name
    chat.opened.fork(chat.opened.store.resolve(argument) if argument else None)
    stays = f", a copy; {before} is unchanged" if before else ""
    repl.frontend.remark(f"now in {chat.opened.name}{stays}")


COMMAND = Command(
    "fork",
    "continue in a copy; this conversation is unchanged",
    _run,
    "[NAME|PATH]",
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
