"""Numbers with their nouns, amounts of money, and the answers people type to questions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from decimal import Decimal


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, as in ``1 turn`` and ``1,234 turns``; ``plural`` if it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


_LEAST_USD: Final = 0.0001


def dollars(usd: Decimal | float) -> str:
    """Return an amount with as many decimals as needed to differ from zero, at most four; 0 is ``free``."""
    if not usd:
        return "free"
    if float(usd) < _LEAST_USD:
        return f"under ${_LEAST_USD}"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}".removesuffix("00")


def more_than(usd: Decimal | float) -> str:
    """Return the known part of an amount, as in ``over $0.0012``."""
    return f"over {dollars(usd) if usd >= _LEAST_USD else '$0'}"


YES_OR_NO: Final = "[y/N]"
_YES: Final = frozenset({"y", "yes"})
_NUMBER: Final = re.compile(r"(\d{1,9})[.)]?")


def is_yes(answer: str | None) -> bool:
    """Return whether ``answer`` is a yes; any other answer, or none, is a no."""
    return (answer or "").strip().lower() in _YES


def number_meant(answer: str, count: int) -> int | None:
    """Return the number from 1 to ``count`` that ``answer`` is (``2`` or ``2.``), ``None`` for anything else."""
    written = _NUMBER.fullmatch(answer.strip())
    number = int(written[1]) if written else 0
    return number if 1 <= number <= count else None
