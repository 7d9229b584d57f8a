from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import Usage
from chatcli.cost.price import FREE, Price

MINI = Price.of({"input": 0.25, "cached": 0.025, "output": 2.0})
TIERED = Price.of(
    {
        "input": 1,
        "cached": 0.1,
        "output": 10,
        "up_to_tokens": 200,
        "beyond": {"input": 2, "cached": 0.2, "output": 15},
    }
)

tokens = st.integers(0, 10_000_000)
amounts = st.decimals(0, 1_000, places=4)
prices = st.builds(Price, amounts, amounts, amounts)


@st.composite
def usages(draw):
    sent = draw(tokens)
    return Usage(sent, draw(tokens), draw(st.none() | st.integers(0, sent)), draw(st.none() | tokens))


def test_cached_tokens_cost_their_own_price_and_thoughts_are_part_of_the_output():
    usage = Usage(1_000_000, 1_000_000, cached_tokens=400_000, reasoning_tokens=900_000)
    assert MINI.cost_of(usage) == Decimal("0.15") + Decimal("0.01") + 2


def test_a_tenth_of_a_dollar_is_exactly_that():
    assert Price.of({"input": 0.1, "output": 0.2}).cost_of(Usage(1_000_000, 1_000_000)) == Decimal("0.3")


def test_what_is_written_into_a_cache_costs_a_quarter_more_unless_its_price_is_known():
    usage = Usage(1_000_000, 0, cached_tokens=400_000, cache_write_tokens=200_000)
    assert MINI.cost_of(usage) == Decimal("0.1") + Decimal("0.01") + Decimal("0.0625")
    dear = Price.of({"input": 1, "cached": 0, "output": 1, "written": 2})
    assert dear.cost_of(usage) == Decimal("0.4") + Decimal("0.4")


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(5), Usage(None, 5), Usage(output_tokens=1, cached_tokens=1)]
)
def test_what_nobody_counted_has_no_cost_that_is_known(usage):
    assert MINI.cost_of(usage) is None


@pytest.mark.parametrize(
    ("price", "usage"),
    [
        (Price(), Usage(1, 1)),
        (Price(input=Decimal(1)), Usage(1, 1)),
        (Price(output=Decimal(1)), Usage(1, 1)),
        (Price(input=Decimal(1), output=Decimal(1)), Usage(2, 1, cached_tokens=1)),
    ],
)
def test_a_price_that_is_needed_and_unknown_is_not_taken_for_nothing(price, usage):
    assert price.cost_of(usage) is None


def test_a_price_that_is_not_needed_need_not_be_known():
    assert Price(input=Decimal(1), output=Decimal(1)).cost_of(Usage(1_000_000, 0, cached_tokens=0)) == 1
    assert Price(output=Decimal(3)).cost_of(Usage(0, 1_000_000)) == 3


def test_a_long_request_costs_more_from_its_first_token_on():
    assert TIERED.cost_of(Usage(200, 100)) == (200 + 100 * 10) / Decimal(1_000_000)
    assert TIERED.cost_of(Usage(201, 100, 1)) == (200 * 2 + Decimal("0.2") + 100 * 15) / Decimal(1_000_000)


def test_beyond_what_is_known_the_price_is_unknown():
    price = Price.of({"input": 1, "output": 10, "up_to_tokens": 200})
    assert price.cost_of(Usage(200, 1)) is not None
    assert price.cost_of(Usage(201, 1)) is None


def test_what_is_cached_beside_what_is_sent_is_not_taken_off_the_bill():
    assert MINI.cost_of(Usage(10, 0, cached_tokens=30)) == 30 * Decimal("0.025") / 1_000_000


@given(usages())
def test_what_is_free_costs_nothing_and_that_is_known(usage):
    assert FREE.cost_of(usage) == 0
    assert FREE.is_free


@given(prices, usages())
def test_no_cost_is_negative(price, usage):
    assert price.cost_of(usage) >= 0


@given(prices, usages(), usages())
def test_two_answers_cost_what_they_cost_together(price, one, other):
    both = Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        (one.cached_tokens or 0) + (other.cached_tokens or 0),
    )
    assert price.cost_of(both) == price.cost_of(one) + price.cost_of(other)


@given(prices, usages(), tokens, tokens)
def test_more_tokens_never_cost_less(price, usage, more_input, more_output):
    more = Usage(usage.input_tokens + more_input, usage.output_tokens + more_output, usage.cached_tokens)
    assert price.cost_of(more) >= price.cost_of(usage)
