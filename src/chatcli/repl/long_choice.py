"""Letting a person choose what is done with a question that does not fit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chatcli.core.long_ways import RECOMMENDED, WAYS, WAYS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.conversation.long_input.long_question import LongQuestion
    from chatcli.conversation.long_input.planning import Plan


async def choose_way(
    question: LongQuestion,
    *,
    say: Callable[[str], object],
    ask: Callable[[str], Awaitable[str | None]],
    cost_of: Callable[[Plan], float | None],
) -> str | None:
    """Return the name of the way the person chooses, ``None`` where they turn all of them down.

    Each is told with what it takes. Raise ``InputTooLong`` where there is no way.
    """
    # Millions of characters take seconds to count; keys are read meanwhile.
    plans = await asyncio.to_thread(question.plans)
    say(f"the question does not fit: {question.numbers}")
    for line in choices(plans, cost_of):
        say(line)
    names = [plan.way for plan in plans]
    while (answer := await ask(f"How? (1-{len(names)}, Enter for 1, Ctrl-C for none of them) ")) is not None:
        word = answer.strip().lower() or RECOMMENDED
        if word in names:
            return word
        if word.isdecimal() and 1 <= int(word) <= len(names):
            return names[int(word) - 1]
        say(f"a number from 1 to {len(names)}")
    return None


def choices(plans: Sequence[Plan], cost_of: Callable[[Plan], float | None]) -> list[str]:
    """Return a line for each way: its number and name, what it reads, and what that takes."""
    width = max(len(way.name) for way in WAYS)
    return [
        f" {number} {plan.way:<{width}}  {WAYS_BY_NAME[plan.way].summary} ({_taken(plan, cost_of(plan))})"
        for number, plan in enumerate(plans, start=1)
    ]


def _taken(plan: Plan, cost_usd: float | None) -> str:
    requests = "1 request" if plan.requests == 1 else f"{plan.requests:,} requests"
    cost = "cost unknown" if cost_usd is None else f"${cost_usd:.4f}"
    most = "at most " if plan.requests > 1 else ""
    return f"{most}{requests}, {plan.sent_tokens:,} tokens, {cost}"
