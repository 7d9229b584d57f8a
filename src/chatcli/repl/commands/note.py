"""``/note``: what the model always sees."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatcli.render.text_columns import sentences, table
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.talk import Talk

_TAKEN_AWAY: Final = re.compile(r"-\s*(\d{1,9})")


async def _run(talk: Talk, argument: str) -> None:
    memory = talk.chat.memory
    if not argument:
        _list(talk)
    elif taken_away := _TAKEN_AWAY.fullmatch(argument):
        note = memory.take_note_away(int(taken_away[1]))
        talk.surface.remark(f"removed note: {note}")
    else:
        number = memory.note(argument)
        talk.surface.remark(f"note {number}: the model will always see it; /note -{number} removes it")


def _list(talk: Talk) -> None:
    rows = [(f"{number}", note) for number, note in enumerate(talk.chat.memory.notes, start=1)]
    if not rows:
        talk.surface.remark("there are no notes; /note TEXT adds one that the model always sees")
        return
    is_spoken = talk.settings.plain
    talk.surface.say(sentences(rows) if is_spoken else table(rows, talk.surface.columns(), right={0}))


async def _choices(talk: Talk) -> Iterable[Choice]:
    return [Choice(f"-{number}", note) for number, note in enumerate(talk.chat.memory.notes, start=1)]


COMMAND = Command("note", "add a note the model always sees; -N removes it", _run, "[TEXT|-N]", _choices)
