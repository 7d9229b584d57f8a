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

    from chatcli.repl.talk import Talk

_SHOWN_CHARACTERS = 60


async def _run(talk: Talk, argument: str) -> None:
    branches = talk.chat.branches
    tree = branches.tree
    if not argument:
        is_spoken = talk.settings.plain
        talk.surface.say(tree_sentences(tree) if is_spoken else tree_rows(tree, talk.surface.columns()))
        talk.surface.remark("/tree N continues after one of them; nothing is lost")
        return
    number = whole_number(argument)
    exchange = next((found for found in tree.exchanges if found.number == number), None)
    if exchange is None:
        raise UsageError(f"there is no number {number} in the tree", hint="/tree shows the numbers")
    branches.go_to(exchange)
    talk.surface.remark(f"continuing after {number}")
    show_exchange(talk.surface, exchange)


async def _choices(talk: Talk) -> Iterable[Choice]:
    return [
        Choice(str(exchange.number), beginning_of(exchange.question.message, _SHOWN_CHARACTERS))
        for exchange in talk.chat.branches.tree.exchanges
    ]


def _has_any(talk: Talk) -> bool:
    return bool(talk.chat.branches.tree.exchanges)


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
