"""``/clear``: start afresh: earlier turns are hidden from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, _: str) -> None:
    talk.chat.memory.clear()
    notes = ", the system prompt and the notes stay" if talk.chat.memory.notes else ""
    talk.surface.remark(f"cleared: the model no longer sees earlier turns{notes}; /undo restores them")


COMMAND = Command(
    "clear",
    "start afresh: hide earlier turns from the model",
    _run,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
