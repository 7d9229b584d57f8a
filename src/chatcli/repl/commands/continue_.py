"""``/continue``: the rest of an answer that was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, _: str) -> None:
    chat = await repl.connected()
    await repl.play(chat.turns.continue_answer())


COMMAND = Command(
    "continue",
    "continue an answer that was cut off",
    _run,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
