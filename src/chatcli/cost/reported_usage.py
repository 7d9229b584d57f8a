"""Usage and costs that an endpoint reports, held against what was counted: a budget is not kept by absurd figures.

Only what cannot be is absurd. Vocabularies differ by two to three times, most of all in Chinese, Japanese and Korean;
reasoning is often not shown; cached tokens may be reported beside the input; a gateway may be cheaper than the vendor.
In place of too low a figure the counted one is believed, in place of too high a one the highest that can be: one
nonsensical report cannot use up a month.
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.cost.request_options import LONGEST_ANSWER_TOKENS
from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatcli.core.events import Usage

_TIMES: Final = 8
"""No vocabulary has so many times fewer tokens than counted."""
_TIMES_CHEAPER: Final = 20
"""No discount and no other host is so many times cheaper than the price in force."""
_TIMES_MORE: Final = 10
_MORE_TOKENS: Final = 10_000
"""The input may grow by so much at the endpoint: its own instructions, the definitions of its tools."""
_LARGEST_WINDOW: Final = 2_000_000
_DEAREST_USD: Final = Decimal("0.001")
"""No model asks more for a token."""
_MORE_USD: Final = Decimal("0.1")
"""Endpoints may charge so much beside the tokens, as for a search."""

_MOST_BYTES: Final = 4
"""Of a character in UTF-8."""
_COUNTED_AT_ONCE: Final = 200
"""Characters; words at the seams count twice."""
_RUNS: Final = lazy_pattern(r"(\s)\s+|([^\w\s]|_)\2{3,}")
"""Blanks and ruled lines, of which a token may hold a hundred characters."""


class ReceivedTokens:
    """The tokens of text received in deltas, counted approximately by ``count``.

    ``tokens`` is about the number, ``least_tokens`` counts long runs of a character once. ``recount`` replaces
    the counter, also for what was received before, if ``keeps_text``. ``is_whole``: what is received is the whole answer,
    and counted when somebody asks.
    """

    def __init__(
        self, count: Callable[[str], int], *, keeps_text: bool = False, is_whole: bool = False
    ) -> None:
        self._count = count
        self._counted_at_once = math.inf if is_whole else _COUNTED_AT_ONCE
        self._counted: list[str] | None = [] if keeps_text else None
        self._pending: list[str] = []
        self._pending_characters = 0
        self._tokens = self._least_tokens = 0

    def add(self, text: str) -> None:
        self._pending.append(text)
        self._pending_characters += len(text)
        if self._pending_characters >= self._counted_at_once:
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
    def most_tokens(self) -> int:
        """A number that the tokens do not pass; quick."""
        return self._tokens + sum(map(most_tokens, self._pending))

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


def most_tokens(text: str) -> int:
    """Return a number that the tokens of ``text`` do not pass in any vocabulary: its bytes, or more."""
    return len(text) if text.isascii() else len(text) * _MOST_BYTES


class Counted(NamedTuple):
    """Tokens counted here: those of the input, about those of the answer, and the fewest the answer can have.

    ``is_whole``: the input is all text, and nothing in the request makes the endpoint add to it. ``limit_tokens``
    is the limit of the answer that the endpoint was told, ``None`` if it was told none; reasoning may be beside it.
    ``answers`` were asked for at once.
    """

    input_tokens: int
    answer_tokens: int
    least_answer_tokens: int
    is_whole: bool = True
    limit_tokens: int | None = None
    answers: int = 1

    @property
    def most_input_tokens(self) -> int:
        by_count = self.input_tokens * _TIMES_MORE + _MORE_TOKENS
        return by_count if self.is_whole else max(by_count, _LARGEST_WINDOW)

    @property
    def most_answer_tokens(self) -> int:
        longest = max(LONGEST_ANSWER_TOKENS, self.limit_tokens or 0) * self.answers
        return max(longest, self.answer_tokens)


class Doubt(NamedTuple):
    """A clause about what is absurd in a report; ``is_high`` if it is too high."""

    words: str
    is_high: bool = False


class Believed(NamedTuple):
    """The usage to go by, and what is absurd in the reported one, ``None`` if nothing is."""

    usage: Usage
    doubt: Doubt | None = None


def is_credible(reported: Usage, *, most_input: int, most_answer: int, limit_tokens: int | None) -> bool:
    """Return whether ``believed_usage`` certainly returns ``reported`` as it is; quick, as nothing is counted.

    Input and answer have at most so many tokens; ``limit_tokens`` is the limit of the answer, as in ``Counted``.
    """
    sent, answered = reported.input_tokens, reported.output_tokens
    if sent is None or answered is None or (reported.reasoning_tokens or 0) > answered:
        return False
    read = _read_tokens(reported)
    return (
        not (_is_too_few(answered, most_answer) or _is_too_few(read, most_input))
        and answered <= LONGEST_ANSWER_TOKENS
        and (limit_tokens is None or answered <= limit_tokens)
        and read <= _MORE_TOKENS
    )


def believed_usage(reported: Usage, counted: Counted) -> Believed:
    """Return ``reported`` with counted tokens in place of absurdly few, and the most that can be of absurdly many."""
    usage, doubts = reported, []
    answered, reasoning = reported.output_tokens, reported.reasoning_tokens or 0
    if answered is not None:
        # xAI and others count reasoning beside the answer.
        answered += reasoning if reasoning > answered else 0
        if _is_too_few(answered, counted.least_answer_tokens):
            doubts.append(_of(answered, counted.answer_tokens, "answer"))
            answered = counted.answer_tokens
        elif answered > counted.most_answer_tokens:
            doubts.append(_more_than(answered, counted.most_answer_tokens, "answer"))
            answered = counted.most_answer_tokens
        elif counted.limit_tokens is not None and answered > _most_within(counted):
            doubts.append(_more_than(answered, counted.limit_tokens * counted.answers, "answer", "asked for"))
        if answered != reported.output_tokens:
            usage = replace(usage, output_tokens=answered)
    sent = reported.input_tokens
    if sent is not None:
        most, cached = counted.most_input_tokens, reported.cached_tokens
        written = reported.cache_write_tokens
        read = _read_tokens(reported)
        if _is_too_few(read, counted.input_tokens):
            usage = replace(usage, input_tokens=counted.input_tokens)
            doubts.append(_of(read, counted.input_tokens, "input"))
        elif read > most:
            cached, written = (None if tokens is None else min(tokens, most) for tokens in (cached, written))
            usage = replace(
                usage, input_tokens=min(sent, most), cached_tokens=cached, cache_write_tokens=written
            )
            doubts.append(_more_than(read, most, "input"))
    if not doubts:
        return Believed(usage)
    return Believed(
        usage, Doubt(" and ".join(doubt.words for doubt in doubts), any(doubt.is_high for doubt in doubts))
    )


def cost_doubt(reported_usd: Decimal, least_usd: Decimal, most_usd: Decimal) -> Doubt | None:
    """Return what is absurd about a reported cost, ``None`` if it may be right.

    The answer costs ``least_usd`` at least at the price in force, and about ``most_usd`` at most.
    """
    if reported_usd * _TIMES_CHEAPER < least_usd:
        cost = dollars(reported_usd) if reported_usd else "a cost of 0"
        return Doubt(f"{cost} (about {dollars(least_usd)} at its price)")
    most_usd = most_usd * _TIMES_CHEAPER + _MORE_USD
    if reported_usd > most_usd:
        return Doubt(
            f"a cost of {dollars(reported_usd)} (at most {dollars(most_usd)} possible)", is_high=True
        )
    return None


def dearest(usage: Usage) -> Decimal:
    """Return the cost of ``usage`` for the dearest model there is, where no price is known."""
    return _DEAREST_USD * ((usage.input_tokens or 0) + (usage.output_tokens or 0))


def _most_within(counted: Counted) -> int:
    """Return the most tokens of an answer with the reasoning that endpoints may not count as part of the limit."""
    return (counted.limit_tokens or 0) * counted.answers * _TIMES_MORE + _MORE_TOKENS


def _read_tokens(reported: Usage) -> int:
    """Return the tokens of the input: some endpoints count those of their cache beside it."""
    beside = (reported.cached_tokens or 0) + (reported.cache_write_tokens or 0)
    return max(reported.input_tokens or 0, beside)


def _is_too_few(reported: int, counted: int) -> bool:
    return reported * _TIMES < counted


def _of(reported: int, counted: int, what: str) -> Doubt:
    return Doubt(f"{reported:,} {what} tokens (about {counted:,} counted)")


def _more_than(reported: int, most: int, what: str, why: str = "possible") -> Doubt:
    return Doubt(f"{reported:,} {what} tokens (at most {most:,} {why})", is_high=True)
