"""The price in force at an endpoint: the person's own, free, or the table's."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.frozen import frozen
from chatcli.cost.price import FREE, Price, per_million

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.core.events import Usage
    from chatcli.cost.model_table import ModelTable


_THOUSAND: Final = 1_000
_THOUSAND_SEARCHES: Final = (
    # By host and names of models, in US dollars. https://platform.openai.com/docs/pricing, as of 2026-11.
    ("api.openai.com", "search-preview", 25),
    ("api.openai.com", "", 10),
    ("api.x.ai", "", 5),  # https://docs.x.ai/docs/models
    # What they may ask at most; both report the cost of an answer themselves.
    ("openrouter.ai", "", 20),
    ("api.perplexity.ai", "", 14),
)


@frozen
class PriceInForce:
    """A price and a description of its source; with ``is_passed_on`` it is another provider's."""

    price: Price
    source: str
    is_passed_on: bool = False

    def per_million(self, *, briefly: bool = False) -> str:
        """Return the price of a million tokens, with a ``~`` if the endpoint may charge another."""
        words = per_million(self.price, briefly=briefly)
        return f"~{words}" if self.is_passed_on and words else words


@frozen
class ModelFacts:
    """Facts for choosing a model; ``None`` is unknown."""

    window_tokens: int | None
    price: PriceInForce | None
    abilities: frozenset[str] | None


def _shipped_table() -> ModelTable:
    # Imported on first use: the prompt needs no table.
    from chatcli.cost.model_table import ModelTable  # noqa: PLC0415

    return ModelTable()


@dataclass(frozen=True, eq=False)
class Pricing:
    """The prices at one endpoint, at ``host``.

    ``own`` are the person's prices by model, as ``Price.of`` reads them; they win. ``is_free``: the model
    runs on this machine, and costs the endpoint reports are ignored. A gateway is assumed to charge the
    vendor's price, from the table that ``open_table`` opens on first use.
    """

    host: str
    _: KW_ONLY
    is_free: bool
    own: Mapping[str, Mapping[str, Any]]
    open_table: Callable[[], ModelTable] = _shipped_table
    _found: dict[tuple[str, str | None], PriceInForce | None] = field(default_factory=dict, init=False)

    def price_of(self, requested: str, answered: str | None = None) -> PriceInForce | None:
        """Return the price of the model that was ``requested``, ``None`` if unknown.

        ``answered`` is the endpoint's name of the model that answered.
        """
        key = requested, answered
        if key not in self._found:
            self._found[key] = self._find_price(requested, answered)
        return self._found[key]

    def _find_price(self, requested: str, answered: str | None) -> PriceInForce | None:
        # The answer names the snapshot, or the model behind an alias; own prices are set for the names people
        # use.
        names = (requested,) if answered is None else (requested, answered)
        for name in names:
            if name in self.own:
                return PriceInForce(Price.of(self.own[name]), "config.toml")
        if self.is_free:
            return PriceInForce(FREE, "it runs on this machine")
        table = self.open_table()
        for name in reversed(names):
            if (listed := table.price(self.host, name)) is not None:
                return PriceInForce(listed.price, f"{listed.provider}, as of {listed.as_of}")
        for name in reversed(names):
            if (passed_on := table.passed_on_price(self.host, name)) is not None:
                asks = f"what {passed_on.provider} asks, as of {passed_on.as_of}"
                return PriceInForce(
                    passed_on.price, f"{asks}; {self.host} may ask something else", is_passed_on=True
                )
        return None

    def facts_of(self, model: str, reported_tokens: int | None) -> ModelFacts:
        """Return the facts of an offered ``model``, with a window of ``reported_tokens`` if the endpoint reports it.

        For a model that runs on this machine, only the server knows the window it was loaded with.
        """
        table = self.open_table()
        window_tokens = reported_tokens or (None if self.is_free else table.window_tokens(self.host, model))
        return ModelFacts(window_tokens, self.price_of(model), table.abilities(self.host, model))

    def cost_of(self, usage: Usage, requested: str, answered: str | None = None) -> Decimal | None:
        """Return the cost of ``usage`` in US dollars, ``None`` if unknown."""
        in_force = self.price_of(requested, answered)
        cost_usd = None if in_force is None else in_force.price.cost_of(usage)
        if cost_usd is None or not usage.searches:
            return cost_usd
        search_usd = self.search_usd(requested, answered)
        return None if search_usd is None else cost_usd + search_usd * usage.searches

    def search_usd(self, requested: str, answered: str | None = None) -> Decimal | None:
        """Return the price of one web search in US dollars, ``None`` if unknown."""
        in_force = self.price_of(requested, answered)
        thousand_usd = None if in_force is None else in_force.price.search
        if thousand_usd is None and self.is_free:
            return Decimal(0)
        if thousand_usd is None:
            thousand_usd = next(
                (
                    Decimal(usd)
                    for host, names, usd in _THOUSAND_SEARCHES
                    if host == self.host and re.search(names, requested)
                ),
                None,
            )
        return None if thousand_usd is None else thousand_usd / _THOUSAND
