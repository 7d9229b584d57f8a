"""A conversation that continues turn by turn, as a strategy sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatcli.conversation.counting import MessageTokens
from chatcli.conversation.history import Entry, History
from chatcli.core.messages import answer, question
from conversation.fakes import CharacterCounter

if TYPE_CHECKING:
    from chatcli.conversation.context import ContextPlan
    from chatcli.conversation.strategies.strategy import Strategy

TOKENS = MessageTokens(CharacterCounter())
TURN_TOKENS = 100


def turn_of(number: int, length: int = TURN_TOKENS) -> tuple[Entry, Entry]:
    """Return a question and its answer, ``length`` tokens together."""
    half = length // 2 - 4
    return (
        Entry(f"q{number}", question(f"{number}?".ljust(half))),
        Entry(f"a{number}", answer(f"{number}!".ljust(length - half - 8))),
    )


def history_of(turns: int) -> History:
    return History(entry for number in range(turns) for entry in turn_of(number))


def fit(strategy: Strategy, history: History, budget_tokens: int, asked: str = "") -> ContextPlan:
    return strategy.fit(history, question(asked), budget_tokens, TOKENS)


def go_on(strategy: Strategy, history: History, budget_tokens: int, turns: int) -> list[ContextPlan]:
    """Ask ``turns`` more questions, and return the plan of each."""
    sent = []
    for _ in range(turns):
        asked, answered = turn_of(len(history.turns))
        plan = strategy.fit(history, asked.message, budget_tokens, TOKENS)
        strategy.sent(history, plan)
        sent.append(plan)
        history.append(asked)
        history.append(answered)
    return sent


def numbers(plan: ContextPlan) -> list[int]:
    """Return the numbers of the turns that are sent, from 1."""
    return [part.turn for part in plan.parts if part.turn is not None]
