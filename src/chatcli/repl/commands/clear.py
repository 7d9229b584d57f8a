"""``/clear``: let the model forget what was said so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, _: str) -> None:
    talk.chat.memory.clear()
    notes = ", the system prompt and the notes stay" if talk.chat.memory.notes else ""
    talk.surface.remark(
        f"the model starts afresh{notes}; what was said stays in the session, and /undo now takes this back"
    )


COMMAND = Command(
    "clear", "let the model forget what was said", _run, applies=something_was_asked, when=NOTHING_ASKED
)
