"""``/compact``: older turns are summed up now, not when the window is nearly full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.repl.commands.command import Command

if TYPE_CHECKING:
    from chatcli.repl.repl_session import ReplSession

_FEWEST_TURNS: Final = 2
_STRATEGY: Final = "summarize"


async def _run(repl: ReplSession, _: str) -> None:
    chat = await repl.connected()
    await repl.between_turns.stop()
    if repl.settings.context != _STRATEGY:
        # No other strategy sends a summary.
        await repl.change(context=_STRATEGY)
        repl.frontend.remark(
            'context: summarize, for this run (context = "summarize" in config.toml keeps it)'
        )
    before = chat.turns.report().sent_tokens
    summed_up = await chat.summaries.compact(repl.frontend.doing)
    if not summed_up:
        repl.frontend.remark("nothing more to sum up: the newest turn stays as it is")
        return
    turns = "1 turn" if summed_up == 1 else f"{summed_up} turns"
    repl.frontend.remark(
        f"summed up {turns}: ~{before:,} tokens before, ~{chat.turns.report().sent_tokens:,} now; /summary shows it, /summary none undoes it"
    )


def _has_older_turns(repl: ReplSession) -> bool:
    return sum(record.role == "user" for record in repl.chat.session.context()) >= _FEWEST_TURNS


COMMAND = Command(
    "compact",
    "sum up all turns but the newest now",
    _run,
    applies=_has_older_turns,
    when="there are no older turns yet",
)
