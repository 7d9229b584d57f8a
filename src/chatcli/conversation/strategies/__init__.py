"""Context strategies, constructed by their names in ``core.strategy_table``."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from chatcli.core.strategy_table import CONTEXT_STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.conversation.strategies.strategy import Strategy


def _made(implementation: str, *arguments: object) -> Strategy:
    module, _, name = implementation.partition(":")
    return cast("Strategy", getattr(import_module(f"{__name__}.{module}"), name)(*arguments))


STRATEGIES: Final[Mapping[str, Callable[..., Strategy]]] = {
    name: partial(_made, row.implementation) for name, row in CONTEXT_STRATEGIES.items()
}
"""Constructors: called with the turn vectors, if any, they return a strategy for one conversation."""
