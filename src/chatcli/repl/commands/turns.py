"""The turns of a conversation as arguments of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.repl.commands.command import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.chat.memory import NumberedTurn
    from chatcli.repl.talk import Talk

SHOWN_CHARACTERS: Final = 60
MOST_CHOICES: Final = 200
"""Of a long conversation the newest turns are offered; every number can be typed."""


async def questions_to_choose(talk: Talk) -> Iterable[Choice]:
    pinned, dropped = set(talk.chat.session.pinned), set(talk.chat.session.dropped)
    state = dict.fromkeys(pinned, "pinned: ") | dict.fromkeys(dropped, "dropped: ")
    asked = list(enumerate(talk.chat.session.questions, start=1))
    return [
        Choice(str(number), state.get(record.id, "") + record.message.own_words[:SHOWN_CHARACTERS])
        for number, record in asked[-MOST_CHOICES:]
    ]


def choices(turns: Iterable[NumberedTurn], sign: str = "") -> list[Choice]:
    """Return some turns to choose from, ``sign`` before each number."""
    return [
        Choice(f"{sign}{turn.number}", turn.question.message.own_words[:SHOWN_CHARACTERS]) for turn in turns
    ]
