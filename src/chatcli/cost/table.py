"""The packaged table: what vendors ask at their own endpoints, and from when that is known."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from chatcli.cost.price import Price

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENROUTER_HOST: Final = "openrouter.ai"
"""It passes on what vendors ask for their own models, under the vendor's name: ``openai/gpt-5-mini``."""

# How vendors name a model as it was on a day: gpt-5-mini-2025-08-07, claude-opus-4-20250514.
_SNAPSHOT: Final = re.compile(r"(?P<name>.+)-(?:\d{4}-\d{2}-\d{2}|\d{8})")


@dataclass(frozen=True, slots=True)
class Listed:
    """A price of the table, which ``vendor`` asked on the day ``as_of``."""

    price: Price
    vendor: str
    as_of: date


@dataclass(frozen=True, slots=True)
class _Vendor:
    """``prices`` are by the names of models as ``_spelled`` writes them; ``openrouter`` is its name there, if any."""

    name: str
    hosts: frozenset[str]
    openrouter: str | None
    as_of: date
    prices: Mapping[str, Price]

    def listed(self, model: str) -> Listed | None:
        name = _spelled(model)
        price = self.prices.get(name)
        if price is None and (snapshot := _SNAPSHOT.fullmatch(name)):
            price = self.prices.get(snapshot["name"])
        return None if price is None else Listed(price, self.name, self.as_of)


def listed_price(host: str, model: str) -> Listed | None:
    """Return what the vendor at ``host`` asks for ``model``, ``None`` where the table does not know."""
    if host == OPENROUTER_HOST:
        prefix, slash, model = model.partition("/")
        vendors = [vendor for vendor in _vendors() if slash and vendor.openrouter == prefix]
    else:
        vendors = [vendor for vendor in _vendors() if host in vendor.hosts]
        # Google lists its models with the name of their collection.
        model = model.removeprefix("models/")
    return vendors[0].listed(model) if vendors else None


def passed_on_price(host: str, model: str) -> Listed | None:
    """Return what the only vendor of a ``model`` of this name asks for it, as a gateway at ``host`` may pass it on.

    ``None`` where ``host`` is a vendor's own, which would know.
    """
    if host == OPENROUTER_HOST or any(host in vendor.hosts for vendor in _vendors()):
        return None
    listed = [found for vendor in _vendors() if (found := vendor.listed(model)) is not None]
    return listed[0] if len(listed) == 1 else None


def _spelled(model: str) -> str:
    # OpenRouter writes claude-sonnet-4.5 for what Anthropic calls claude-sonnet-4-5.
    return model.lower().replace(".", "-")


@cache
def _vendors() -> tuple[_Vendor, ...]:
    text = files("chatcli.cost").joinpath("prices.json").read_text(encoding="utf-8")
    return tuple(
        _Vendor(
            vendor["name"],
            frozenset(vendor["hosts"]),
            vendor["openrouter"],
            date.fromisoformat(vendor["as_of"]),
            {_spelled(name): Price.of(row) for name, row in vendor["models"].items()},
        )
        for vendor in json.loads(text, parse_float=Decimal)["vendors"]
    )
