"""Which price is in force at an endpoint: the person's own, none, or that of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chatcli.cost.price import FREE, Price, per_million

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from chatcli.core.usage import Usage
    from chatcli.cost.model_table import ModelTable


@dataclass(frozen=True, slots=True)
class PriceInForce:
    """A price, and where it comes from, in words for the person; ``is_passed_on``, it is what another one asks."""

    price: Price
    source: str
    is_passed_on: bool = False

    def per_million(self, *, briefly: bool = False) -> str:
        """Return what a million tokens cost, with a ``~`` where the endpoint may ask something else."""
        words = per_million(self.price, briefly=briefly)
        return f"~{words}" if self.is_passed_on and words else words


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a person chooses a model by; ``None`` is what nobody knows."""

    window_tokens: int | None
    price: PriceInForce | None
    abilities: frozenset[str] | None


def _shipped_table() -> ModelTable:
    # Not before it is asked: the prompt needs no table.
    from chatcli.cost.model_table import ModelTable  # noqa: PLC0415

    return ModelTable()


class Pricing:
    """The prices at one endpoint, at ``host``.

    ``own`` are the person's, by model, as ``Price.of`` reads them; they win. ``is_free``: the model itself runs on this
    machine, and nothing it says costs anything. At a gateway a model is taken to cost what its vendor asks, which the
    table of ``open_table`` knows: it is opened once a price is asked for.
    """

    def __init__(
        self,
        host: str,
        *,
        is_free: bool,
        own: Mapping[str, Mapping[str, Any]],
        open_table: Callable[[], ModelTable] = _shipped_table,
    ) -> None:
        self.host = host
        self._open_table = open_table
        self._is_free = is_free
        self._own = own

    def price_of(self, asked: str, answered: str | None = None) -> PriceInForce | None:
        """Return the price of the model that was ``asked``, ``None`` where nobody knows it.

        ``answered`` is what the endpoint calls the model that did.
        """
        # The answer tells which snapshot it was, or what stood behind an alias; own prices are for names that are used.
        names = (asked,) if answered is None else (asked, answered)
        for name in names:
            if name in self._own:
                return PriceInForce(Price.of(self._own[name]), "config.toml")
        if self._is_free:
            return PriceInForce(FREE, "it runs on this machine")
        table = self._open_table()
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
        """Return what is known of a ``model`` that is offered, with a window of ``reported_tokens`` if the endpoint says so.

        How large a model was loaded that runs on this machine, only the server knows.
        """
        table = self._open_table()
        window_tokens = reported_tokens or (None if self._is_free else table.window_tokens(self.host, model))
        return ModelFacts(window_tokens, self.price_of(model), table.abilities(self.host, model))

    def cost_of(self, usage: Usage, asked: str, answered: str | None = None) -> Decimal | None:
        """Return what ``usage`` cost in US dollars, ``None`` where that is not known."""
        in_force = self.price_of(asked, answered)
        return None if in_force is None else in_force.price.cost_of(usage)
