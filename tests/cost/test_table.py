"""The table as it is packaged, and whose models it is asked about."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest

from chatcli.core.usage import Usage
from chatcli.cost.price import KINDS, Price
from chatcli.cost.table import listed_price

OPENAI, OPENROUTER = "api.openai.com", "openrouter.ai"
TABLE = json.loads(files("chatcli.cost").joinpath("prices.json").read_text(encoding="utf-8"))
ROWS = [
    pytest.param(vendor, name, row, id=name)
    for vendor in TABLE["vendors"]
    for name, row in vendor["models"].items()
]


def test_a_model_is_found_by_its_name():
    listed = listed_price(OPENAI, "gpt-5-mini")
    assert listed.price == Price.of({"input": 0.25, "cached": 0.025, "output": 2})
    assert listed.vendor == "OpenAI"
    assert listed.as_of <= date(2026, 11, 26)


@pytest.mark.parametrize(
    ("host", "name", "plain"),
    [
        (OPENAI, "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("api.anthropic.com", "claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("generativelanguage.googleapis.com", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        (OPENAI, "GPT-4o", "gpt-4o"),
    ],
)
def test_a_snapshot_costs_what_its_model_does(host, name, plain):
    assert listed_price(host, name) == listed_price(host, plain) is not None


def test_a_snapshot_with_a_price_of_its_own_has_that():
    assert listed_price(OPENAI, "gpt-4o-2024-05-13").price.input == Decimal(5)
    assert listed_price(OPENAI, "gpt-4o-2024-08-06").price.input == Decimal("2.5")


@pytest.mark.parametrize(
    "name",
    [
        *("gpt-5-mini-2", "gpt-5-minimal", "gpt-5-mini-0613", "mini", "", "ft:gpt-4o-2024-08-06:me::1"),
        *("openai/gpt-5-mini", "gpt-5-mini:free", "models"),
    ],
)
def test_what_only_looks_like_a_model_has_no_price(name):
    assert listed_price(OPENAI, name) is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("models.example", "gpt-5-mini"),
        ("api.deepseek.com", "gpt-5-mini"),
        ("my.openai.azure.com", "gpt-5-mini"),
        ("api.openai.com.example", "gpt-5-mini"),
        ("api.openai.com:8443", "gpt-5-mini"),
    ],
)
def test_at_anybody_elses_endpoint_the_price_is_unknown(host, name):
    assert listed_price(host, name) is None


@pytest.mark.parametrize(
    ("name", "host", "plain"),
    [
        ("openai/gpt-5-mini", OPENAI, "gpt-5-mini"),
        ("anthropic/claude-sonnet-4.5", "api.anthropic.com", "claude-sonnet-4-5"),
        ("x-ai/grok-4", "api.x.ai", "grok-4"),
    ],
)
def test_openrouter_asks_what_the_vendor_asks(name, host, plain):
    assert listed_price(OPENROUTER, name) == listed_price(host, plain) is not None


@pytest.mark.parametrize(
    "name",
    ["gpt-5-mini", "deepseek/deepseek-v4-pro", "openai/gpt-5-mini:free", "openrouter/auto", "x/openai/gpt-5"],
)
def test_what_many_offer_at_openrouter_has_no_price_of_the_table(name):
    assert listed_price(OPENROUTER, name) is None


@pytest.mark.parametrize(("vendor", "name", "row"), ROWS)
def test_every_row_is_complete_and_every_part_of_it_makes_sense(vendor, name, row):
    for part in filter(None, [row, row.get("beyond")]):
        assert set(part) <= {*KINDS, "up_to_tokens", "beyond"}
        assert 0 < part["input"] <= part["output"] <= 1_000
        assert 0 < part.get("cached", part["input"]) <= part["input"]
    assert ("beyond" not in row) or row["beyond"]["input"] > row["input"]
    assert listed_price(vendor["hosts"][0], name).price.cost_of(Usage(1, 1)) > 0


def test_every_vendor_is_dated_and_tells_where_it_is_from():
    for vendor in TABLE["vendors"]:
        assert date.fromisoformat(vendor["as_of"])
        assert vendor["sources"]
        assert all(source.startswith("https://") for source in vendor["sources"])
