"""Prices and budgets in config.toml."""

from __future__ import annotations

import pytest

from chatcli.core.errors import ConfigurationError, UsageError

PRICES = """
[prices."gpt-5-mini"]
input = 0.25
cached = 0.025
output = 2
[prices."our/model"]
output = 1
[profiles.work.prices."gpt-5-mini"]
input = 9
"""


def test_prices_are_tables_by_model_and_those_of_a_profile_win(machine):
    assert machine.resolve(config=PRICES).prices == {
        "gpt-5-mini": {"input": 0.25, "cached": 0.025, "output": 2.0},
        "our/model": {"output": 1.0},
    }
    assert machine.resolve(flags={"profile": "work"}, config=PRICES).prices == {
        "gpt-5-mini": {"input": 9.0},
        "our/model": {"output": 1.0},
    }


def test_a_budget_has_a_limit_for_each_period(machine):
    settings = machine.resolve(config="[budget]\nsession = 1.0\nday = 5\nmonth = 50")
    assert settings.budget == {"session": 1.0, "day": 5.0, "month": 50.0}
    assert machine.resolve().budget == {}
    assert machine.resolve().max_cost is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("prices = 3", 'config.toml prices must be tables of prices, like [prices."gpt-5-mini"], not 3'),
        ("[prices]\ninput = 3", 'config.toml prices "input" must be a table of amounts'),
        ("[prices.m]\ninptu = 3", 'config.toml prices "m" has no inptu; did you mean'),
        ("[prices.m]\ninput = -1", 'config.toml prices "m" input must be an amount of US dollars'),
        ("[prices.m]\ninput = nan", 'config.toml prices "m" input must be an amount'),
        ("[prices.m]\ninput = true", 'config.toml prices "m" input must be an amount'),
        ("budget = 5", "config.toml budget must be a table of amounts: session, day, month"),
        ("[budget]\nweek = 5", "config.toml budget has no week"),
        ("[budget]\nday = inf", "config.toml budget day must be an amount of US dollars"),
        ("[profiles.work.budget]\nday = 5", "unknown setting 'budget'"),
    ],
)
def test_a_mistake_is_told_where_it_stands(machine, config, message):
    with pytest.raises(ConfigurationError) as raised:
        machine.resolve(config=config)
    assert message in raised.value.message


def test_a_limit_that_is_no_amount_is_bad_usage(machine):
    with pytest.raises(UsageError) as raised:
        machine.resolve(flags={"max_cost": "much"})
    assert raised.value.message == "--max-cost must be an amount of US dollars, like 0.25, not 'much'"
