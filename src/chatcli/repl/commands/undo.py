"""``/undo``: take the last questions back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    if repl.chat.memory.is_cleared:
        repl.chat.memory.undo_clear()
        repl.frontend.remark("took back /clear: the model sees the earlier turns again")
        return
    taken_back = repl.chat.branches.undo(whole_number(argument, otherwise=1))
    count = len(taken_back)
    repl.frontend.remark(f"took back {count} turn{'' if count == 1 else 's'} (still in /tree)")
    repl.frontend.draft(taken_back[0].own_words)


def _is_something_to_take_back(repl: ReplSession) -> bool:
    return something_was_asked(repl) or repl.chat.memory.is_cleared


COMMAND = Command(
    "undo",
    "take back the last questions (or a /clear)",
    _run,
    "[N]",
    applies=_is_something_to_take_back,
    when=NOTHING_ASKED,
)
