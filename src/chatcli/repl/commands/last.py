"""``/last``: read the last answer again from its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command
from chatcli.repl.commands.copy import NO_ANSWER, last_answer, something_was_answered

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, _: str) -> None:
    await repl.frontend.page_through(last_answer(repl))


COMMAND = Command(
    "last",
    "read the last answer in a pager",
    _run,
    applies=something_was_answered,
    when=NO_ANSWER,
)
