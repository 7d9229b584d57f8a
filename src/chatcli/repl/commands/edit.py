"""``/edit``: ask an earlier question in other words, as a new branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number
from chatcli.repl.commands.pin import questions_to_choose

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    edited = talk.chat.branches.edit(whole_number(argument) if argument else None)
    number = [record.id for record in talk.chat.session.questions].index(edited.id) + 1
    talk.surface.remark(
        f"what you ask next takes the place of question {number}; the old one stays, /alt flips back"
    )
    talk.surface.draft(edited.message.text)


COMMAND = Command(
    "edit",
    "ask an earlier question in other words; the old branch is kept",
    _run,
    "[N]",
    questions_to_choose,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
