"""The cost per turn of fitting a conversation into the window, for short and very long ones."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import sys
import time
from typing import TYPE_CHECKING, Final

from chatcli.conversation.context import Window
from chatcli.conversation.counting import O200K_BASE, MessageTokens, TiktokenCounter
from chatcli.conversation.history import Entry, History
from chatcli.conversation.manager import ConversationManager
from chatcli.conversation.strategies.strategy import STRATEGIES
from chatcli.core.messages import answer, question
from chatcli.sessions.log import SessionLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from chatcli.core.events import ModelEvent
    from chatcli.core.request import Request

LENGTHS: Final = (10, 1_000, 100_000)
"""Of the conversations, in messages."""

WINDOW_TOKENS: Final = 8_192
TURNS: Final = 4
"""How many are fitted in each conversation before it begins anew: the shortest would grow out of its length."""

REPEATED: Final = 15

MOST: Final = 2.0
"""How many times as long a turn may take in a long conversation as in a short one."""

# CPU time, since other processes do not matter here; on Windows its steps are longer than a turn.
_clock = time.perf_counter if sys.platform == "win32" else time.thread_time

_LEXICON_WORDS = 20_000
_QUESTION_WORDS, _ANSWER_WORDS = 30, 200


def context(runs: int) -> None:
    """Fit questions into conversations of each length by each strategy; compare with the shortest.

    recall is compared with the shortest that has outgrown the window.
    """
    counter = TiktokenCounter(O200K_BASE)
    counter.load()
    chance = random.Random(20)
    histories = {length: _history(chance, length) for length in LENGTHS}
    new = _history(chance, 2 * TURNS)
    print(
        f"  fitting a turn, microseconds of CPU; window of {WINDOW_TOKENS:,} tokens; medians of {runs * REPEATED * TURNS} turns"
    )
    print(f"  {'':<12}" + "".join(f"{f'{length:,} messages':>18}" for length in LENGTHS) + f"{'ratio':>8}")
    for name in STRATEGIES:
        if name != "none":  # it refuses the longer ones
            _compare(name, counter, histories, new, runs)


def _compare(
    name: str, counter: TiktokenCounter, histories: Mapping[int, list[Entry]], new: list[Entry], runs: int
) -> None:
    took_s: dict[int, list[float]] = {length: [] for length in histories}
    for run in range(runs + 1):
        for length, entries in histories.items():
            times = asyncio.run(_plan(name, counter, entries, new))
            if run:
                took_s[length] += times
    medians_s = [statistics.median(times) for times in took_s.values()]
    # Nothing is searched while everything fits.
    base_s = medians_s[1] if name == "recall" else medians_s[0]
    ratio = max(medians_s) / base_s
    is_met = "met" if ratio <= MOST else "NOT MET"
    print(
        f"  {name:<12}"
        + "".join(f"{median * 1e6:>18,.0f}" for median in medians_s)
        + f"{ratio:>8.2f} {is_met}"
    )


async def _plan(name: str, counter: TiktokenCounter, entries: list[Entry], new: list[Entry]) -> list[float]:
    """Return the time of each turn: counting the new message, fitting it, and the toolbar's report."""
    history, tokens, strategy = History(entries), MessageTokens(counter), STRATEGIES[name]()
    manager = ConversationManager(
        model=_Nobody(),
        model_name="nobody",
        history=history,
        journal=SessionLog(None, app="bench"),
        tokens=tokens,
        window=Window.of(WINDOW_TOKENS, None),
        strategy=strategy,
    )
    # Work done once, as by the first question after a resume.
    await manager.look_ahead()
    budget_tokens, took_s = manager.context_usage().budget_tokens, []
    for _ in range(REPEATED):
        tokens_of_new = MessageTokens(counter)  # a new cache, so that the new message is counted each time
        for asked, answered in zip(new[::2], new[1::2], strict=True):
            started_s = _clock()
            await manager.look_ahead()
            tokens_of_new(asked.message)
            tokens_of_new(answered.message)
            plan = strategy.fit(history, asked.message, budget_tokens, tokens)
            strategy.sent(history, plan)
            _ = plan.messages
            history.append(asked)
            history.append(answered)
            manager.resume(history)
            manager.context_usage()
            took_s.append(_clock() - started_s)
        for _ in range(TURNS):
            history.drop_last()
    return took_s


def _history(chance: random.Random, messages: int) -> list[Entry]:
    """Return messages with the word frequencies of a language."""
    entries = []
    for number in range(messages):
        make, words = (answer, _ANSWER_WORDS) if number % 2 else (question, _QUESTION_WORDS)
        entries.append(
            Entry(f"{number}", make(" ".join(chance.choices(_WORDS, cum_weights=_OFTEN, k=words))))
        )
    return entries


def _lexicon(chance: random.Random) -> list[str]:
    return ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(_LEXICON_WORDS)]


_SYLLABLES: Final = ("ta", "ri", "con", "sel", "mo", "ver", "pi", "lan", "the", "o", "in", "gra", "天", "气")
_WORDS: Final = _lexicon(random.Random(7))
# Zipf's law: https://en.wikipedia.org/wiki/Zipf%27s_law
_OFTEN: Final = list(itertools.accumulate(1 / rank for rank in range(1, _LEXICON_WORDS + 1)))


class _Nobody:
    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent]:
        raise AssertionError(f"{request.model} is not to be asked")
        yield
