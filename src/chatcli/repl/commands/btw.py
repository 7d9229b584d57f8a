"""``/btw``: a question beside the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, question: str) -> None:
    if not question:
        raise UsageError("/btw needs a question", hint="type /btw QUESTION")
    chat = await talk.connected()
    await talk.play(chat.turns.aside(messages.question(question)))
    talk.surface.remark("aside: not saved, and not part of the conversation")


COMMAND = Command("btw", "ask a side question; nothing of it is saved", _run, "QUESTION")
