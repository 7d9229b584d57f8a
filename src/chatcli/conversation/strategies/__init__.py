"""The context strategies: one file each, collected into one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatcli.conversation.strategies.truncate import Truncate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatcli.conversation.strategies.strategy import Strategy

STRATEGIES: Final[Mapping[str, Callable[[], Strategy]]] = {
    "truncate": Truncate,
}
"""What makes each strategy, by the names of ``core.context_strategies``, which also says what each does."""
