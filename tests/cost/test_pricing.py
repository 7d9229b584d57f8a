from __future__ import annotations

from decimal import Decimal

import pytest

from chatcli.core.events import Usage
from chatcli.cost.pricing import Pricing

MILLION = Usage(1_000_000, 0)


def pricing(host="api.openai.com", *, is_free=False, **own):
    return Pricing(host, is_free=is_free, own=own)


def test_the_table_says_from_when_it_is():
    source = pricing().price_of("gpt-5-mini").source
    assert source.startswith("OpenAI, as of 20")


def test_own_prices_win_over_the_table_and_over_what_is_free():
    own = {"gpt-5-mini": {"input": 9}}
    assert pricing(**own).cost_of(MILLION, "gpt-5-mini") == 9
    assert pricing(is_free=True, **own).cost_of(MILLION, "gpt-5-mini") == 9
    assert pricing(**own).price_of("gpt-5-mini").source == "config.toml"


def test_an_own_price_is_that_of_the_name_that_is_used_or_that_answers():
    own = {"our-alias": {"input": 9}}
    assert pricing("models.example", **own).cost_of(MILLION, "our-alias", "gpt-5-mini") == 9
    assert pricing("models.example", **own).cost_of(MILLION, "auto", "our-alias") == 9


def test_what_runs_here_is_free_whatever_it_is_called():
    assert pricing("127.0.0.1:8080", is_free=True).cost_of(MILLION, "gpt-5-mini") == 0


def test_at_a_gateway_a_model_costs_what_its_only_vendor_asks_and_that_is_reported():
    for host in ("models.example", "127.0.0.1:4000"):
        in_force = pricing(host).price_of("gpt-5-mini")
        assert in_force.price == pricing().price_of("gpt-5-mini").price
        assert in_force.source.endswith(f"{host} may ask something else")


def test_of_a_model_nobody_lists_the_price_is_unknown():
    assert pricing("models.example").price_of("our-model") is None
    assert pricing("models.example").cost_of(MILLION, "our-model") is None


def test_a_vendor_knows_what_it_offers():
    assert pricing("api.anthropic.com").price_of("gpt-5-mini") is None


def test_the_model_that_answered_tells_more_than_the_one_that_was_asked():
    asked, answered = "gpt-4o", "gpt-4o-2024-05-13"
    assert pricing().cost_of(MILLION, asked, answered) == 5
    assert pricing().cost_of(MILLION, asked, "who knows") == Decimal("2.5")


@pytest.mark.parametrize(
    ("host", "model", "own", "usd"),
    [
        ("api.openai.com", "gpt-5", {}, Decimal("0.01")),
        ("api.openai.com", "gpt-4o-search-preview", {}, Decimal("0.025")),
        ("gateway.example", "gpt-5", {}, None),
        ("gateway.example", "gpt-5", {"gpt-5": {"input": 1, "output": 1, "search": 3}}, Decimal("0.003")),
    ],
)
def test_a_web_search_has_the_price_of_the_host_or_the_persons(host, model, own, usd):
    pricing = Pricing(host, is_free=False, own=own)
    assert pricing.search_usd(model) == usd
    without, searched = (pricing.cost_of(Usage(100, 10, searches=number), model) for number in (None, 2))
    assert searched == (None if usd is None or without is None else without + 2 * usd)


def test_a_search_of_what_runs_on_this_machine_is_free():
    assert Pricing("127.0.0.1", is_free=True, own={}).cost_of(Usage(1, 1, searches=3), "small") == 0
