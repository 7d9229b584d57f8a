"""Dollars as a person reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatcli.cost.price import Price

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
