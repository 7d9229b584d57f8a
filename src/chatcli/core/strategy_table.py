"""Tables of context strategies and long-input strategies, for settings, help, completion and what implements them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ContextStrategy(NamedTuple):
    """A row: which part of a conversation larger than the window is sent, and the class that chooses it.

    ``implementation`` is ``module:class`` in ``conversation.strategies``. It is a name, so that only the strategy in use
    is loaded and settings do not import the conversation.
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

LONG_INPUT_STRATEGIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "map-reduce": "reads everything, in parallel",
        "refine": "reads everything, one part after another",
        "head": "only the beginning",
        "tail": "only the end",
        "middle-out": "only the beginning and the end",
    }
)
"""How a question too long for the window is read. ``conversation.long_input`` implements them."""

RECOMMENDED_LONG_INPUT: Final = "map-reduce"
FAIL: Final = "fail"
"""The value of ``--long`` that refuses a question too long for the window."""
