"""``/undo``: take the last questions back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    if talk.chat.memory.is_cleared:
        talk.chat.memory.undo_clear()
        talk.surface.remark("took back /clear: the model sees the earlier turns again")
        return
    taken_back = talk.chat.branches.undo(whole_number(argument, otherwise=1))
    count = len(taken_back)
    talk.surface.remark(f"took back {count} turn{'' if count == 1 else 's'} (still in /tree)")
    talk.surface.draft(taken_back[0].own_words)


def _is_something_to_take_back(talk: Talk) -> bool:
    return something_was_asked(talk) or talk.chat.memory.is_cleared


COMMAND = Command(
    "undo",
    "take back the last questions (or a /clear)",
    _run,
    "[N]",
    applies=_is_something_to_take_back,
    when=NOTHING_ASKED,
)
