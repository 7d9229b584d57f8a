"""``/alt``: flip between the answers there are to one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.repl.commands.command import Choice, Command, whole_number
from chatcli.repl.recap import show_exchange
from chatcli.sessions.titles import beginning_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatcli.chat.branches import Alternatives
    from chatcli.repl.repl_session import ReplSession
    from chatcli.sessions.tree import Exchange

_SHOWN_CHARACTERS = 60
_BACK = "back"


async def _run(repl: ReplSession, argument: str) -> None:
    before = repl.chat.branches.alternatives()
    place = repl.chat.branches.flip(_choosing(argument))
    exchange = place.chosen
    told = [f"answer {place.at + 1} of {len(place.exchanges)} to question {place.turn}", _model_of(exchange)]
    if place.later_turns:
        told.append(f"{place.later_turns} later turn{'' if place.later_turns == 1 else 's'} with it")
    repl.frontend.remark(" · ".join(filter(None, told)))
    is_reworded = before is not None and before.chosen.question.message != exchange.question.message
    show_exchange(repl.frontend, exchange, with_question=is_reworded)
    if place.later_turns:
        repl.frontend.say("")
        repl.frontend.remark("and last:")
        show_exchange(repl.frontend, repl.chat.branches.tree.path[-1])


def _choosing(argument: str) -> Callable[[Alternatives], int]:
    if argument == _BACK:
        return lambda place: (place.at - 1) % len(place.exchanges)
    if argument:
        number = whole_number(argument)
        return lambda _: number - 1
    return lambda place: (place.at + 1) % len(place.exchanges)


def _model_of(exchange: Exchange) -> str:
    reply = exchange.answer.reply if exchange.answer else None
    return (reply and reply.model) or ""


async def _choices(repl: ReplSession) -> Iterable[Choice]:
    place = repl.chat.branches.alternatives()
    if place is None:
        return ()
    answers = [
        Choice(str(at), beginning_of((exchange.answer or exchange.question).message, _SHOWN_CHARACTERS))
        for at, exchange in enumerate(place.exchanges, start=1)
    ]
    return [*answers, Choice(_BACK, "the one before")]


def _has_some(repl: ReplSession) -> bool:
    return repl.chat.branches.alternatives() is not None


COMMAND = Command(
    "alt",
    "switch to another answer to the same question",
    _run,
    "[N|back]",
    _choices,
    applies=_has_some,
    when="no question has more than one answer yet; /retry or /edit N adds others",
)
