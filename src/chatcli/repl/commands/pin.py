"""``/pin``: turns the model always sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number
from chatcli.repl.commands.turns import questions_to_choose

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    number = talk.chat.memory.pin(whole_number(argument) if argument else None)
    talk.surface.remark(f"turn {number} pinned; /unpin {number} undoes it")


COMMAND = Command(
    "pin",
    "always keep a turn in the context",
    _run,
    "[N]",
    questions_to_choose,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
