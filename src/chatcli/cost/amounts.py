"""Dollars as a person reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_LEAST: Final = Decimal("0.0001")


def dollars(usd: Decimal | float) -> str:
    """Return an amount with as many places as it takes to tell it from nothing, four at most; 0 is ``free``."""
    if not usd:
        return "free"
    if usd < _LEAST:
        return f"under ${_LEAST}"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}".removesuffix("00")


def limit_of(usd: Decimal) -> str:
    """Return an amount that may be spent: none is not free."""
    return dollars(usd) if usd else "$0"
