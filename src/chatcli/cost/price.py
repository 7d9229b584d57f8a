"""Prices of a model's tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.frozen import frozen
from chatcli.text.wording import dollars

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from chatcli.core.events import Usage


_TOKENS: Final = 1_000_000
_WRITTEN_SHARE: Final = Decimal("1.25")


@frozen
class Price:
    """US dollars per million tokens; ``None`` if unknown.

    ``input`` are tokens sent and not cached, ``cached`` those in the endpoint's cache, ``output`` those
    received, reasoning included. ``image`` and ``audio`` are prices of picture and sound tokens where they
    differ from ``input``; usage does not separate them yet. A request of more than ``up_to_tokens`` is
    charged entirely at ``beyond``. ``search`` is the price of a thousand web searches. ``written`` are tokens put into the endpoint's cache.
    """

    input: Decimal | None = None
    cached: Decimal | None = None
    output: Decimal | None = None
    image: Decimal | None = None
    audio: Decimal | None = None
    up_to_tokens: int | None = None
    beyond: Price | None = None
    written: Decimal | None = None
    search: Decimal | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the price in a table: numbers by the names above, ``beyond`` as a table of its own."""
        beyond, up_to_tokens = row.get("beyond"), row.get("up_to_tokens")
        return cls(
            # Parsed from the text, so that 0.1 is exactly a tenth.
            **{kind: Decimal(str(row[kind])) for kind in (*KINDS, "written", "search") if kind in row},
            up_to_tokens=None if up_to_tokens is None else int(up_to_tokens),
            beyond=None if beyond is None else Price.of(beyond),
        )

    @property
    def is_free(self) -> bool:
        return self == FREE

    def cost_of(self, usage: Usage) -> Decimal | None:
        """Return the cost of ``usage`` in US dollars, ``None`` if a required count or price is unknown.

        Cached tokens are part of the input, reasoning tokens part of the output. No report of cached tokens
        means none. Without a price, tokens written into the cache cost a quarter more than others, as Anthropic asks.
        """
        sent, answered, cached = usage.input_tokens, usage.output_tokens, usage.cached_tokens or 0
        written = usage.cache_write_tokens or 0
        if sent is None or answered is None:
            return None
        if self.up_to_tokens is not None and sent > self.up_to_tokens:
            return None if self.beyond is None else self.beyond.cost_of(usage)
        # Some endpoints count cached tokens beside the input, which must not make them free.
        parts = (
            (max(0, sent - cached - written), self.input),
            (cached, self.cached),
            (answered, self.output),
            (written, self._written),
        )
        total = Decimal(0)
        for tokens, price in parts:
            if tokens and price is None:
                return None
            total += tokens * (price or 0)
        return total / _TOKENS

    @property
    def _written(self) -> Decimal | None:
        if self.written is not None or self.input is None:
            return self.written
        return self.input * _WRITTEN_SHARE


KINDS: Final = ("input", "cached", "output", "image", "audio")
"""The kinds of tokens that have prices."""

FREE: Final = Price.of(dict.fromkeys(KINDS, 0))


def per_million(price: Price, *, briefly: bool = False) -> str:
    """Return the price of a million tokens: ``$2 in, $10 out``, or ``$2/$10``; empty if unknown."""
    if price.input is None or price.output is None:
        return ""
    if price.is_free:
        return "free"
    sent, answered = (f"${usd.normalize():f}" for usd in (price.input, price.output))
    return f"{sent}/{answered}" if briefly else f"{sent} in, {answered} out"


def limit_of(usd: Decimal) -> str:
    """Return a spending limit as text; a limit of zero is not ``free``."""
    return dollars(usd) if usd else "$0"
