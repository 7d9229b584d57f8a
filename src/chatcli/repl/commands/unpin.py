"""``/unpin``: let pinned turns go again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command, whole_number
from chatcli.repl.commands.turns import choices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    number = talk.chat.memory.unpin(whole_number(argument) if argument else None)
    talk.surface.remark(f"turn {number} unpinned")


async def _pinned(talk: Talk) -> Iterable[Choice]:
    return choices(talk.chat.memory.pinned)


def _is_something_pinned(talk: Talk) -> bool:
    return bool(talk.chat.memory.pinned)


COMMAND = Command(
    "unpin",
    "unpin a turn",
    _run,
    "[N]",
    _pinned,
    applies=_is_something_pinned,
    when="no turn is pinned",
)
