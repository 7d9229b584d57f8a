"""``/note``: what the model always sees."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_TAKEN_AWAY: Final = re.compile(r"-\s*(\d{1,9})")


async def _run(repl: ReplSession, argument: str) -> None:
    memory = repl.chat.memory
    if not argument:
        _list(repl)
    elif taken_away := _TAKEN_AWAY.fullmatch(argument):
        note = memory.take_note_away(int(taken_away[1]))
        repl.frontend.remark(f"removed note: {note}")
    else:
        number = memory.note(argument)
        repl.frontend.remark(f"note {number}: the model will always see it; /note -{number} removes it")


def _list(repl: ReplSession) -> None:
    rows = [(f"{number}", note) for number, note in enumerate(repl.chat.memory.notes, start=1)]
    if not rows:
        repl.frontend.remark("there are no notes; /note TEXT adds one that the model always sees")
        return
    is_spoken = repl.settings.plain
    repl.frontend.say(sentences(rows) if is_spoken else table(rows, repl.frontend.columns(), right={0}))


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    return [Choice(f"-{number}", note) for number, note in enumerate(repl.chat.memory.notes, start=1)]


COMMAND = Command("note", "add a note the model always sees; -N removes it", _run, "[TEXT|-N]", _choices)
