"""``/sessions``: the conversations there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Command
from chatcli.repl.table import table
from chatcli.repl.threads import in_thread

if TYPE_CHECKING:
    from chatcli.repl.talk import Talk

_SHOWN = 30


async def _run(talk: Talk, _: str) -> None:
    summaries = await in_thread(talk.chat.store.summaries)
    rows = [
        (
            "→" if summary.name == talk.chat.name else "",
            summary.name,
            f"{summary.turns} turn{'' if summary.turns == 1 else 's'}",
            summary.title,
        )
        for summary in summaries[:_SHOWN]
    ]
    if not rows:
        talk.surface.remark("no sessions yet; every conversation is saved by itself")
        return
    talk.surface.say(table(rows, talk.surface.columns()))
    more = len(summaries) - len(rows)
    listed = f"{more} older ones: chatcli sessions list; " if more else ""
    talk.surface.remark(f"{listed}/session NAME goes on with one")


COMMAND = Command("sessions", "list the conversations", _run)
