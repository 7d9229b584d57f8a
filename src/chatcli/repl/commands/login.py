"""``/login``: another way to a model: a key, a server on this machine, the embedded model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command
from chatcli.repl.way_in import choose_way_in

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, _: str) -> None:
    if await choose_way_in(talk):
        talk.surface.remark(
            f"model: {talk.chat.turns.connected.model_name} at {talk.chat.turns.connected.endpoint.name}"
        )


COMMAND = Command("login", "set up a key, a server or the built-in model", _run)
