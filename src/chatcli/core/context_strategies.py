"""The names of the context strategies and what each does, for settings, help and completion."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTEXT_STRATEGIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "truncate": "the newest turns",
        "summarize": "a summary of older turns, and the newest ones",
        "middle-out": "the opening and the newest turns",
        "recall": "the newest turns, and older ones relevant to the question",
        "none": "everything, or the question is refused",
    }
)
"""What stays of a conversation that outgrows the window. ``conversation.strategies`` has what does it."""

DEFAULT_CONTEXT_STRATEGY: Final = "truncate"
