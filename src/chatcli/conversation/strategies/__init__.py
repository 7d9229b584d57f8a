"""The context strategies: one file each, collected into one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.conversation.strategies.middle_out import MiddleOut
from chatcli.conversation.strategies.nothing_left_out import NothingLeftOut
from chatcli.conversation.strategies.recall import Recall
from chatcli.conversation.strategies.summarize import Summarize
from chatcli.conversation.strategies.truncate import Truncate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.conversation.strategies.strategy import Strategy
    from chatcli.conversation.turn_vectors import TurnVectors

STRATEGIES: Final[Mapping[str, Callable[[], Strategy]]] = {
    "truncate": Truncate,
    "summarize": Summarize,
    "middle-out": MiddleOut,
    "recall": Recall,
    "none": NothingLeftOut,
}
"""What makes each strategy, by the names of ``core.context_strategies``, which also says what each does."""


def strategy_of(name: str, vectors: TurnVectors | None = None) -> Strategy:
    """Return a new strategy by its name; ``vectors`` are for the one that finds older turns by their meaning."""
    return Recall(vectors) if name == "recall" else STRATEGIES[name]()
