"""``/pin``: turns the model always sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import (
    NOTHING_ASKED,
    Choice,
    Command,
    something_was_asked,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk

_SHOWN_CHARACTERS = 60


async def _run(talk: Talk, argument: str) -> None:
    number = whole_number(argument) if argument else None
    pinned = talk.chat.pin(number)
    which = "the last turn" if number is None else f"turn {number}"
    talk.surface.remark(
        f"{which} is never left out; /pin again lets it go" if pinned else f"{which} may be left out again"
    )


async def questions_to_choose(talk: Talk) -> Iterable[Choice]:
    pinned = talk.chat.session.pinned
    return [
        Choice(
            str(number),
            ("pinned: " if record.id in pinned else "") + record.message.own_words[:_SHOWN_CHARACTERS],
        )
        for number, record in enumerate(talk.chat.session.questions, start=1)
    ]


COMMAND = Command(
    "pin",
    "keep a turn in the context, or let it go again",
    _run,
    "[N]",
    questions_to_choose,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
