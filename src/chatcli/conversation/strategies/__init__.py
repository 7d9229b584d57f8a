"""The context strategies, collected into one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.conversation.strategies.recall import Recall
from chatcli.conversation.strategies.strategy import MiddleOut, NothingLeftOut, Truncate
from chatcli.conversation.strategies.summarize import Summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatcli.conversation.strategies.strategy import Strategy

STRATEGIES: Final[Mapping[str, type[Strategy]]] = {
    "truncate": Truncate,
    "summarize": Summarize,
    "middle-out": MiddleOut,
    "recall": Recall,
    "none": NothingLeftOut,
}
"""What makes each strategy, by the names of ``core.context_strategies``, which also says what each does."""
