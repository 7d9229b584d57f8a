"""``/clear``: start afresh: earlier turns are hidden from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, _: str) -> None:
    repl.chat.memory.clear()
    notes = ", the system prompt and the notes stay" if repl.chat.memory.notes else ""
    repl.frontend.remark(f"cleared: the model no longer sees earlier turns{notes}; /undo restores them")


COMMAND = Command(
    "clear",
    "start afresh: hide earlier turns from the model",
    _run,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
