"""The table of the context strategies: what settings, help and completion say of each, and where it is implemented."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ContextStrategy(NamedTuple):
    """A row: what stays of a conversation that outgrows the window, and the ``Strategy`` that sees to it.

    ``implementation`` is ``module:class`` in ``conversation.strategies``. It is a name, so that only the strategy in use
    is loaded, and so that settings need not know the conversation.
    """

    summary: str
    implementation: str


CONTEXT_STRATEGIES: Final[Mapping[str, ContextStrategy]] = MappingProxyType(
    {
        "truncate": ContextStrategy("the newest turns", "strategy:Truncate"),
        "summarize": ContextStrategy("a summary of older turns, and the newest ones", "summarize:Summarize"),
        "middle-out": ContextStrategy("the opening and the newest turns", "strategy:MiddleOut"),
        "recall": ContextStrategy(
            "the newest turns, and older ones relevant to the question", "recall:Recall"
        ),
        "none": ContextStrategy("everything, or the question is refused", "strategy:NothingLeftOut"),
    }
)

DEFAULT_CONTEXT_STRATEGY: Final = "truncate"
