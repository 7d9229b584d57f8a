"""What a model's tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from chatcli.core.usage import Usage


_TOKENS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; ``None`` where nobody knows.

    ``input`` is sent and not in the endpoint's cache, ``cached`` is, ``output`` comes back, thoughts included.
    ``image`` and ``audio`` are what a picture's or a sound's tokens cost where that is not ``input``; usage does not
    tell them apart yet. A request of more than ``up_to_tokens`` costs what ``beyond`` says, all of it.
    """

    input: Decimal | None = None
    cached: Decimal | None = None
    output: Decimal | None = None
    image: Decimal | None = None
    audio: Decimal | None = None
    up_to_tokens: int | None = None
    beyond: Price | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the price a table writes down: numbers by the names above, ``beyond`` a table of its own."""
        beyond, up_to_tokens = row.get("beyond"), row.get("up_to_tokens")
        return cls(
            # From its text: 0.1 is a tenth here, whatever a float makes of it.
            **{kind: Decimal(str(row[kind])) for kind in KINDS if kind in row},
            up_to_tokens=None if up_to_tokens is None else int(up_to_tokens),
            beyond=None if beyond is None else Price.of(beyond),
        )

    @property
    def is_free(self) -> bool:
        return self == FREE

    def cost_of(self, usage: Usage) -> Decimal | None:
        """Return what ``usage`` costs in US dollars, ``None`` where a number or a price that it takes is not known.

        Cached tokens are part of the input, thoughts part of the output. Where nobody tells of a cache there is none.
        """
        sent, answered, cached = usage.input_tokens, usage.output_tokens, usage.cached_tokens or 0
        if sent is None or answered is None:
            return None
        if self.up_to_tokens is not None and sent > self.up_to_tokens:
            return None if self.beyond is None else self.beyond.cost_of(usage)
        # Some endpoints count what is cached beside what is sent, which must not make it a gift.
        parts = ((max(0, sent - cached), self.input), (cached, self.cached), (answered, self.output))
        total = Decimal(0)
        for tokens, price in parts:
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return total / _TOKENS


KINDS: Final = ("input", "cached", "output", "image", "audio")
"""The kinds of tokens that have prices."""

FREE: Final = Price.of(dict.fromkeys(KINDS, 0))


_LEAST: Final = Decimal("0.0001")


def dollars(usd: Decimal | float) -> str:
    """Return an amount with as many places as it takes to tell it from nothing, four at most; 0 is ``free``."""
    if not usd:
        return "free"
    if usd < _LEAST:
        return f"under ${_LEAST}"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}".removesuffix("00")


def per_million(price: Price, *, briefly: bool = False) -> str:
    """Return what a million tokens cost: ``$2 in, $10 out``, or ``$2/$10``; nothing where that is not known."""
    if price.input is None or price.output is None:
        return ""
    if price.is_free:
        return "free"
    sent, answered = (f"${usd.normalize():f}" for usd in (price.input, price.output))
    return f"{sent}/{answered}" if briefly else f"{sent} in, {answered} out"


def limit_of(usd: Decimal) -> str:
    """Return an amount that may be spent: none is not free."""
    return dollars(usd) if usd else "$0"
