"""``/summary``: what stands for the older turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_EDIT: Final = "edit"
_NONE: Final = "none"
_NOTHING: Final = "no summary yet; /context use summarize turns it on"


async def _run(repl: ReplSession, argument: str) -> None:
    chat = await repl.connected()
    summary = chat.summaries.current
    if argument == _NONE:
        chat.summaries.forget()
        repl.frontend.remark("summary removed; its turns are sent again as far as they fit")
    elif argument == _EDIT:
        if summary is None:
            raise UsageError("there is no summary to edit", hint=_NOTHING, code="no_summary")
        repl.frontend.draft(f"/summary {summary.text}")
    elif argument:
        chat.summaries.change(argument)
        repl.frontend.remark("summary changed")
    elif summary is None:
        repl.frontend.say(_NOTHING)
    else:
        turns = f"the first {summary.turns} turns" if summary.turns > 1 else "the first turn"
        repl.frontend.say(f"{summary.text}\n")
        repl.frontend.remark(f"summary of {turns}; /summary edit changes it, /summary none removes it")


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    chat = repl.chat
    if chat.target is None or chat.summaries.current is None:
        return []
    return [Choice(_EDIT, "edit it in the composer"), Choice(_NONE, "remove it")]


COMMAND = Command("summary", "show or edit the summary of older turns", _run, "[edit|TEXT|none]", _choices)
