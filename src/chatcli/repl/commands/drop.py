"""``/drop``: turns the model does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import (
    NOTHING_ASKED,
    Choice,
    Command,
    something_was_asked,
    whole_number,
)
from chatcli.repl.commands.turns import SHOWN_CHARACTERS, choices, questions_to_choose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk


async def _run(talk: Talk, argument: str) -> None:
    memory = talk.chat.memory
    if not argument:
        _list(talk)
    elif argument.startswith("-"):
        number = memory.bring_back(whole_number(argument[1:]))
        talk.surface.remark(f"the model sees turn {number} again")
    else:
        number = whole_number(argument)
        memory.drop(number)
        talk.surface.remark(
            f"turn {number} dropped: the model no longer sees it; /drop -{number} restores it"
        )


def _list(talk: Talk) -> None:
    dropped = talk.chat.memory.dropped
    if not dropped:
        talk.surface.remark("no turn is dropped; /drop N hides turn N from the model")
        return
    rows = [(f"{turn.number}", turn.question.message.own_words[:SHOWN_CHARACTERS]) for turn in dropped]
    is_spoken = talk.settings.plain
    talk.surface.say(sentences(rows) if is_spoken else table(rows, talk.surface.columns(), right={0}))


async def _choices(talk: Talk) -> Iterable[Choice]:
    return [*await questions_to_choose(talk), *choices(talk.chat.memory.dropped, sign="-")]


COMMAND = Command(
    "drop",
    "hide a turn from the model; -N restores it",
    _run,
    "[[-]N]",
    _choices,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
