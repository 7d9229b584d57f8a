"""``/edit``: edit and re-send an earlier question, as a new branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import NOTHING_ASKED, Command, something_was_asked, whole_number
from chatcli.repl.commands.turns import questions_to_choose

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    branches = repl.chat.branches
    edited = branches.edit(whole_number(argument) if argument else _one_further_back(repl))
    if not repl.frontend.draws:
        # On the screen the toolbar says so, for as long as it is so.
        repl.frontend.remark(
            f"your next message replaces question {branches.number(edited)}; the old branch is kept (/alt)"
        )
    repl.frontend.draft(edited.message.own_words)


def _one_further_back(repl: ReplSession) -> int | None:
    """Return the question before the one that is edited already, so that saying it again goes back in them."""
    branches = repl.chat.branches
    if branches.editing is None:
        return None
    number = branches.number(branches.editing)
    return number - 1 if number > branches.first_known else number


COMMAND = Command(
    "edit",
    "edit and re-send an earlier question; the old branch is kept",
    _run,
    "[N]",
    questions_to_choose,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
