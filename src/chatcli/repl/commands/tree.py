"""``/tree``: all that was asked and answered, with every branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command, whole_number
from chatcli.repl.recap import show_exchange
from chatcli.repl.tree_view import tree_rows, tree_sentences
from chatcli.sessions.titles import beginning_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_SHOWN_CHARACTERS = 60


async def _run(repl: ReplSession, argument: str) -> None:
    branches = repl.chat.branches
    tree = branches.tree
    if not argument:
        is_spoken = repl.settings.plain
        repl.frontend.say(tree_sentences(tree) if is_spoken else tree_rows(tree, repl.frontend.columns()))
        repl.frontend.remark("/tree N continues after one of them; nothing is lost")
        return
    number = whole_number(argument)
    exchange = next((found for found in tree.exchanges if found.number == number), None)
    if exchange is None:
        raise UsageError(f"there is no number {number} in the tree", hint="/tree shows the numbers")
    branches.go_to(exchange)
    repl.frontend.remark(f"continuing after {number}")
    show_exchange(repl.frontend, exchange)


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    return [
        Choice(str(exchange.number), beginning_of(exchange.question.message, _SHOWN_CHARACTERS))
        for exchange in repl.chat.branches.tree.exchanges
    ]


def _has_any(repl: ReplSession) -> bool:
    return bool(repl.chat.branches.tree.exchanges)


COMMAND = Command(
    "tree",
    "show all branches, or continue after a point in them",
    _run,
    "[N]",
    _choices,
    applies=_has_any,
    when="nothing has been asked yet",
    aliases=("history",),
)
