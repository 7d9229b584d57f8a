"""``/retry``: another answer to the last question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked
from chatcli.repl.commands.model import models_to_choose

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, model: str) -> None:
    chat = await repl.connected()
    if not model:
        await repl.play(chat.turns.retry())
        return
    async with repl.beside(model=model) as target:
        await repl.play(chat.turns.retry(target))


COMMAND = Command(
    "retry",
    "ask the last question again, optionally with another model, just once; the old answer is kept",
    _run,
    "[MODEL]",
    models_to_choose,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
