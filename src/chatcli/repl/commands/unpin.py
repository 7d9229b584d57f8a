"""``/unpin``: let pinned turns go again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command, whole_number
from chatcli.repl.commands.turns import choices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    number = repl.chat.memory.unpin(whole_number(argument) if argument else None)
    repl.frontend.remark(f"turn {number} unpinned")


async def _pinned(repl: ReplSession) -> Iterable[Choice]:
    return choices(repl.chat.memory.pinned)


def _is_something_pinned(repl: ReplSession) -> bool:
    return bool(repl.chat.memory.pinned)


COMMAND = Command(
    "unpin",
    "unpin a turn",
    _run,
    "[N]",
    _pinned,
    applies=_is_something_pinned,
    when="no turn is pinned",
)
