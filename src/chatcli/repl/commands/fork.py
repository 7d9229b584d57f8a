"""``/fork``: go on in a copy of the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    chat = talk.chat
    before = chat.opened.name
    chat.opened.fork(chat.opened.store.resolve(argument) if argument else None)
    stays = f", a copy; {before} is unchanged" if before else ""
    talk.surface.remark(f"now in {chat.opened.name}{stays}")


COMMAND = Command(
    "fork",
    "continue in a copy; this conversation is unchanged",
    _run,
    "[NAME|PATH]",
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
