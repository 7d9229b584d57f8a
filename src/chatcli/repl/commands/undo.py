"""``/undo``: take the last questions back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    taken_back = talk.chat.branches.undo(whole_number(argument, otherwise=1))
    count = len(taken_back)
    talk.surface.remark(f"took back {count} turn{'' if count == 1 else 's'}; the session keeps what was said")
    talk.surface.draft(taken_back[0].own_words)


COMMAND = Command(
    "undo",
    "take the last questions back, for editing",
    _run,
    "[N]",
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
