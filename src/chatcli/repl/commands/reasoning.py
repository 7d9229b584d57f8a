"""``/reasoning``: what a model thinks before it answers, shown or folded into one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.repl.commands.command import Choice, Command, answers_are_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.repl.repl_session import ReplSession

_MEANINGS: Final = {
    "show": "show reasoning as it streams",
    "hide": "one line with the time it took",
}


async def _run(repl: ReplSession, argument: str) -> None:
    if argument and argument not in _MEANINGS:
        raise UsageError(
            f"/reasoning cannot be {argument}",
            hint="use show or hide; /config reasoning EFFORT sets how much the model reasons",
        )
    if argument:
        await repl.change(show_reasoning=argument == "show")
    word = "show" if repl.settings.show_reasoning else "hide"
    repl.frontend.remark(f"reasoning: {word} ({_MEANINGS[word]})")


async def _choices(_: ReplSession) -> Iterable[Choice]:
    return [Choice(word, meaning) for word, meaning in _MEANINGS.items()]


COMMAND = Command(
    "reasoning",
    "show the model's reasoning, or hide it",
    _run,
    "[show|hide]",
    _choices,
    applies=answers_are_drawn,
    when="reasoning is not shown in this mode",
)
