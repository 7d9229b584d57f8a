"""The turns of a conversation as arguments of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.repl.commands.command import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.chat.memory import NumberedTurn
    from chatcli.repl.repl_session import ReplSession

SHOWN_CHARACTERS: Final = 60
MOST_CHOICES: Final = 200
"""Of a long conversation the newest turns are offered; every number can be typed."""


async def questions_to_choose(repl: ReplSession) -> Iterable[Choice]:
    session = repl.chat.session
    states = {"pinned: ": session.pinned, "refused: ": session.refused, "dropped: ": session.dropped}
    state = {message_id: name for name, ids in states.items() for message_id in ids}
    asked = list(enumerate(session.questions, start=1))
    return [
        Choice(str(number), state.get(record.id, "") + record.message.own_words[:SHOWN_CHARACTERS])
        for number, record in asked[-MOST_CHOICES:]
    ]


def choices(turns: Iterable[NumberedTurn], sign: str = "") -> list[Choice]:
    """Return some turns to choose from, ``sign`` before each number."""
    return [
        Choice(f"{sign}{turn.number}", turn.question.message.own_words[:SHOWN_CHARACTERS]) for turn in turns
    ]
