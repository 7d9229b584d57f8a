"""Usage and costs that an endpoint reports, held against what was counted: a budget is not kept by absurd figures.

Only what cannot be is absurd. Vocabularies differ by two to three times, most of all in Chinese, Japanese and Korean;
reasoning is often not shown; cached tokens may be reported beside the input; a gateway may be cheaper than the vendor.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.cost.price import dollars

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from chatcli.core.events import Usage

_TIMES: Final = 8
"""No vocabulary has so many times fewer tokens than counted."""
_TIMES_CHEAPER: Final = 20
"""No discount and no other host is so many times cheaper than the price in force."""
_TIMES_MORE: Final = 10
_MORE_TOKENS: Final = 10_000
"""The input may grow by so much at the endpoint: its own instructions, the definitions of its tools."""

_COUNTED_AT_ONCE: Final = 200
"""Characters; words at the seams count twice."""
_RUNS: Final = re.compile(r"(\s)\s+|([^\w\s]|_)\2{3,}")
"""Blanks and ruled lines, of which a token may hold a hundred characters."""


class ReceivedTokens:
    """The tokens of text received in deltas, counted approximately by ``count``.

    ``tokens`` is about the number, ``least_tokens`` counts long runs of a character once. ``recount`` replaces
    the counter, also for what was received before, if ``keeps_text``.
    """

    def __init__(self, count: Callable[[str], int], *, keeps_text: bool) -> None:
        self._count = count
        self._counted: list[str] | None = [] if keeps_text else None
        self._pending: list[str] = []
        self._pending_characters = 0
        self._tokens = self._least_tokens = 0

    def add(self, text: str) -> None:
        self._pending.append(text)
        self._pending_characters += len(text)
        if self._pending_characters >= _COUNTED_AT_ONCE:
            self._count_pending()

    def recount(self, count: Callable[[str], int]) -> None:
        self._count_pending()
        self._count = count
        self._tokens, self._counted = count("".join(self._counted or ())), None

    @property
    def tokens(self) -> int:
        self._count_pending()
        return self._tokens

    @property
    def counted_so_far(self) -> int:
        """The tokens without those of the last words; quick."""
        return self._tokens

    @property
    def least_tokens(self) -> int:
        self._count_pending()
        return self._least_tokens

    def _count_pending(self) -> None:
        if not self._pending:
            return
        text = "".join(self._pending)
        self._pending, self._pending_characters = [], 0
        if self._counted is not None:
            self._counted.append(text)
        self._tokens += self._count(text)
        self._least_tokens += self._count(_RUNS.sub(r"\1\2", text))


class Counted(NamedTuple):
    """Tokens counted here: those of the input, about those of the answer, and the fewest the answer can have.

    ``is_whole``: the input is all text, and nothing in the request makes the endpoint add to it.
    """

    input_tokens: int
    answer_tokens: int
    least_answer_tokens: int
    is_whole: bool = True


class Believed(NamedTuple):
    """The usage to go by, and a clause about what is absurd in the reported one, ``None`` if nothing is."""

    usage: Usage
    doubt: str | None = None


def believed_usage(reported: Usage, counted: Counted) -> Believed:
    """Return ``reported`` with counted tokens in place of absurdly few.

    An input that is absurdly large is kept, as the higher figure.
    """
    usage, doubts = reported, []
    answered, reasoning = reported.output_tokens, reported.reasoning_tokens or 0
    if answered is not None and reasoning > answered:
        # xAI and others count reasoning beside the answer.
        answered += reasoning
        usage = replace(usage, output_tokens=answered)
    if answered is not None and _is_too_few(answered, counted.least_answer_tokens):
        usage = replace(usage, output_tokens=counted.answer_tokens)
        doubts.append(_of(answered, counted.answer_tokens, "answer"))
    sent = reported.input_tokens
    if sent is not None:
        read = max(sent, reported.cached_tokens or 0)
        if _is_too_few(read, counted.input_tokens):
            usage = replace(usage, input_tokens=counted.input_tokens)
            doubts.append(_of(read, counted.input_tokens, "input"))
        elif counted.is_whole and sent > counted.input_tokens * _TIMES_MORE + _MORE_TOKENS:
            doubts.append(_of(sent, counted.input_tokens, "input"))
    return Believed(usage, " and ".join(doubts) if doubts else None)


def cost_doubt(reported_usd: Decimal, computed_usd: Decimal) -> str | None:
    """Return a clause about a reported cost that is absurdly low, ``None`` if it may be right.

    ``computed_usd`` is the least the answer costs at the price in force.
    """
    if reported_usd * _TIMES_CHEAPER >= computed_usd:
        return None
    cost = dollars(reported_usd) if reported_usd else "a cost of 0"
    return f"{cost} (about {dollars(computed_usd)} at its price)"


def _is_too_few(reported: int, counted: int) -> bool:
    return reported * _TIMES < counted


def _of(reported: int, counted: int, what: str) -> str:
    return f"{reported:,} {what} tokens (about {counted:,} counted)"
