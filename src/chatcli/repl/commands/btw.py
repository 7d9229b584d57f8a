"""``/btw``: a question beside the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core import messages
from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, question: str) -> None:
    if not question:
        raise UsageError("/btw needs a question", hint="type /btw QUESTION")
    chat = await repl.connected()
    await repl.play(chat.turns.aside(messages.question(question)))
    repl.frontend.remark("aside: not saved, and not part of the conversation")


COMMAND = Command("btw", "ask a side question; nothing of it is saved", _run, "QUESTION")
