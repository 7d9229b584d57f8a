"""Letting the person choose a strategy for a question that does not fit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from chatcli.core.errors import InputTooLong
from chatcli.core.strategy_table import LONG_INPUT_STRATEGIES, RECOMMENDED_LONG_INPUT
from chatcli.render.text_columns import hanging
from chatcli.text.wording import dollars, number_meant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.chat import Conversation
    from chatcli.chat.turns import Examined
    from chatcli.config.settings import Settings
    from chatcli.conversation.long_input.long_question import LongQuestion, Plan
    from chatcli.core.messages import Message


async def settle_length(
    chat: Conversation,
    message: Message,
    settings: Settings,
    *,
    say: Callable[[str], object],
    ask: Callable[[str], Awaitable[str | None]],
    columns: int,
) -> Examined | None:
    """Let the person choose a strategy for a long question; return the question, ``None`` to cancel.

    Nothing is asked if the setting ``long`` decides.
    """
    question = await chat.turns.examine(message)
    if question.long is None or settings.origin("long") != "default":
        return question
    with suppress(InputTooLong):  # the turn itself reports that nothing can be done
        cost_of = chat.turns.long_questions.cost_of
        strategy = await choose_strategy(question.long, say=say, ask=ask, cost_of=cost_of, columns=columns)
        if strategy is None:
            return None
        chat.turns.long_questions.strategy = strategy
    return question


async def choose_strategy(
    question: LongQuestion,
    *,
    say: Callable[[str], object],
    ask: Callable[[str], Awaitable[str | None]],
    cost_of: Callable[[Plan], float | None],
    columns: int,
) -> str | None:
    """Return the name of the chosen strategy, ``None`` if the person declines.

    Each is listed with its cost, in rows of at most ``columns``. Enter takes the recommended one only if its
    cost is known. Raise ``InputTooLong`` if no strategy applies.
    """
    # Millions of characters take seconds to count; keys are read meanwhile.
    plans = await asyncio.to_thread(question.plans)
    say(f"This question is too long: {question.numbers}.")
    for line in choices(plans, cost_of, columns):
        say(line)
    names = [plan.strategy for plan in plans]
    usual = next(
        (
            plan.strategy
            for plan in plans
            if plan.strategy == RECOMMENDED_LONG_INPUT and cost_of(plan) is not None
        ),
        None,
    )
    enter = f", Enter = {names.index(usual) + 1}" if usual else ""
    while (answer := await ask(f"Which? [1-{len(names)}{enter}, Ctrl-C cancels] ")) is not None:
        word = answer.strip().lower() or usual
        if word in names:
            return word
        if word and (number := number_meant(word, len(names))) is not None:
            return names[number - 1]
        say(f"type a number from 1 to {len(names)}")
    return None


def choices(plans: Sequence[Plan], cost_of: Callable[[Plan], float | None], columns: int) -> list[str]:
    """Return the rows of each strategy: its number and name, its cost, and what it reads."""
    width = max(len(plan.strategy) for plan in plans)
    return [
        row
        for number, plan in enumerate(plans, start=1)
        for row in hanging(
            f" {number} {plan.strategy:<{width}}  ",
            f"{_taken(plan, cost_of(plan))}: {LONG_INPUT_STRATEGIES[plan.strategy]}",
            columns,
        )
    ]


def _taken(plan: Plan, cost_usd: float | None) -> str:
    requests = "1 request" if plan.requests == 1 else f"at most {plan.requests:,} requests"
    cost = "cost unknown" if cost_usd is None else dollars(cost_usd)
    return f"{requests}, {_about(plan.sent_tokens)} tokens, {cost}"


def _about(tokens: int) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if tokens >= unit:
            return f"{tokens / unit:.1f}{name}"
    return str(tokens)
