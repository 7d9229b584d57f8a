from __future__ import annotations

from decimal import Decimal

import pytest

from chatcli.cost.amounts import dollars


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (Decimal(0), "free"),
        (0.0, "free"),
        (Decimal("0.00001"), "under $0.0001"),
        (Decimal("0.0001"), "$0.0001"),
        (Decimal("0.0123"), "$0.0123"),
        (Decimal("0.12"), "$0.12"),
        (0.1, "$0.10"),
        (Decimal(5), "$5.00"),
        (Decimal("1234.5"), "$1,234.50"),
    ],
)
def test_an_amount_is_told_from_nothing(usd, shown):
    assert dollars(usd) == shown
