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

    from chatcli.repl.repl_session import ReplSession


async def _run(repl: ReplSession, argument: str) -> None:
    memory = repl.chat.memory
    if not argument:
        _list(repl)
    elif argument.startswith("-"):
        number = memory.bring_back(whole_number(argument[1:]))
        repl.frontend.remark(f"the model sees turn {number} again")
    else:
        number = whole_number(argument)
        memory.drop(number)
        repl.frontend.remark(
            f"turn {number} dropped: the model no longer sees it; /drop -{number} restores it"
        )


def _list(repl: ReplSession) -> None:
    dropped = repl.chat.memory.dropped
    if not dropped:
        repl.frontend.remark("no turn is dropped; /drop N hides turn N from the model")
        return
    rows = [(f"{turn.number}", turn.question.message.own_words[:SHOWN_CHARACTERS]) for turn in dropped]
    is_spoken = repl.settings.plain
    repl.frontend.say(sentences(rows) if is_spoken else table(rows, repl.frontend.columns(), right={0}))


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    return [*await questions_to_choose(repl), *choices(repl.chat.memory.dropped, sign="-")]


COMMAND = Command(
    "drop",
    "hide a turn from the model; -N restores it",
    _run,
    "[[-]N]",
    _choices,
    applies=something_was_asked,
    when=NOTHING_ASKED,
)
