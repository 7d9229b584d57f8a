"""``/save``: keep the conversation under a name of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    chat = talk.chat
    if argument:
        chat.save_as(chat.store.resolve(argument))
        talk.surface.remark(f"kept as {chat.name}; the conversation goes on there")
    elif chat.file is None or not chat.is_kept:
        chat.save_as(chat.store.new())
        talk.surface.remark(f"kept from now on, as {chat.name}")
    else:
        talk.surface.remark(f"everything is kept already, in {chat.file.path}; /save NAME makes a copy")


COMMAND = Command("save", "keep the conversation under another name", _run, "[NAME|PATH]")
