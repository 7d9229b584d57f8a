"""``/pin``: turns the model always sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number
from chatcli.repl.commands.turns import questions_to_choose

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    number = repl.chat.memory.pin(whole_number(argument) if argument else None)
    repl.frontend.remark(f"turn {number} pinned; /unpin {number} undoes it")


COMMAND = Command(
    "pin",
    "always keep a turn in the context",
    _run,
    "[N]",
    questions_to_choose,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
